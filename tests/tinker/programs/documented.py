"""A program in the documented style of the official package: futures of everything."""

import concurrent.futures
import sys

import tinker
from tinker import types

MODEL = "tinkex/nano"
TOKENS = [40, 41, 42, 43, 44, 45, 46, 47]


def datum() -> types.Datum:
    return types.Datum(
        model_input=types.ModelInput.from_ints(tokens=TOKENS[:-1]),
        loss_fn_inputs={"target_tokens": TOKENS[1:], "weights": [1.0] * (len(TOKENS) - 1)},
    )


with tinker.ServiceClient(user_metadata={"program": "documented"}) as service_client:
    training_client = service_client.create_lora_training_client(
        base_model=MODEL, rank=4, seed=1
    ).result()
    assert isinstance(training_client, tinker.TrainingClient)
    assert training_client.get_info().model_data.model_name == MODEL

    losses = []
    for _ in range(5):
        fwd_bwd_future = training_client.forward_backward([datum()], "cross_entropy")
        optim_future = training_client.optim_step(types.AdamParams(learning_rate=1e-2))
        assert isinstance(fwd_bwd_future, tinker.APIFuture)
        losses.append(fwd_bwd_future.result(timeout=60).metrics["loss:sum"])
        optim_future.result()
    assert losses[-1] < losses[0]
    output = training_client.forward([datum()], "cross_entropy").result()
    assert output.loss_fn_outputs[0]["logprobs"].to_numpy().shape == (len(TOKENS) - 1,)

    state = training_client.save_state("state", ttl_seconds=3600).result()
    parsed = tinker.ParsedCheckpointTinkerPath.from_tinker_path(state.path)
    assert parsed.checkpoint_id == "weights/state"
    try:
        training_client.save_state("state").result()
    except tinker.APIStatusError as error:
        if error.status_code not in (400, 409) or error.response.status_code != error.status_code:
            sys.exit(f"an odd refusal: {error!r}")
    else:
        sys.exit("a name that is taken was not refused")

    sampling_client = training_client.save_weights_and_get_sampling_client().result()
    prompt = types.ModelInput.from_ints(TOKENS[:3])
    params = types.SamplingParams(max_tokens=4, temperature=0.0)
    futures = [sampling_client.sample(prompt, 2, params) for _ in range(4)]
    done, pending = concurrent.futures.wait([future.future() for future in futures], timeout=60)
    assert len(done) == 4
    assert not pending
    response = futures[0].result()
    assert [len(sequence.tokens) for sequence in response.sequences] == [4, 4]
    assert response.sequences[0].logprobs_np.dtype == "float32"
    scores = sampling_client.compute_logprobs(types.ModelInput.from_ints(TOKENS)).result()
    assert scores[0] is None

    restored = service_client.create_training_client_from_state_with_optimizer(state.path).result()
    after = restored.forward([datum()], "cross_entropy").result()
    assert abs(after.metrics["loss:sum"] - output.metrics["loss:sum"]) < 1e-3

rest_client = tinker.RestClient()
run = rest_client.get_training_run_by_tinker_path(state.path).result()
assert run.base_model == MODEL
assert run.model_dump()["lora_rank"] == 4
checkpoints = rest_client.list_checkpoints(run.training_run_id).result().checkpoints
assert state.path in [checkpoint.tinker_path for checkpoint in checkpoints]
rest_client.delete_checkpoint_from_tinker_path(state.path).result()
assert tinker.AdminClient().get_audit_log().result().entries is not None
try:
    rest_client.get_training_run("no-such-run").result()
except tinker.NotFoundError:
    print("done")
