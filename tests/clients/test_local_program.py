"""Programs as users of the official SDK write them, on the embedded server."""

from __future__ import annotations

import concurrent.futures
import threading

import numpy as np
import pytest
from support.nano import NANO, nano_url

import tinkex as tinker
from tinkex import ServiceClient, types
from tinkex.errors import ConflictError, NotFoundError, RequestFailedError, TinkexError


def test_a_program_for_the_official_sdk_runs_after_changing_the_import(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Train, sample, score, save and go on, by the official names and blocking calls."""
    monkeypatch.setenv("TINKER_BASE_URL", nano_url())
    monkeypatch.delenv("TINKER_API_KEY", raising=False)

    service_client = tinker.ServiceClient()
    models = [m.model_name for m in service_client.get_server_capabilities().supported_models]
    assert NANO in models
    training_client = service_client.create_lora_training_client(base_model=NANO, rank=4, seed=1)
    tokenizer = training_client.get_tokenizer()

    tokens = tokenizer.encode("the quick brown fox")
    data = [
        types.Datum(
            model_input=types.ModelInput.from_ints(tokens=tokens[:-1]),
            loss_fn_inputs={"target_tokens": tokens[1:], "weights": [1.0] * (len(tokens) - 1)},
        )
    ]
    losses = []
    for _ in range(5):
        fwdbwd_future = training_client.forward_backward(data, "cross_entropy")
        optim_future = training_client.optim_step(types.AdamParams(learning_rate=1e-2))
        fwdbwd_result = fwdbwd_future.result()
        optim_future.result()
        logprobs = np.concatenate(
            [output["logprobs"].to_numpy() for output in fwdbwd_result.loss_fn_outputs]
        )
        losses.append(-float(logprobs.sum()))
        assert fwdbwd_result.metrics["loss:sum"] == pytest.approx(losses[-1], rel=1e-4)
    assert losses[-1] < losses[0]

    sampling_client = training_client.save_weights_and_get_sampling_client(name="trained")
    prompt = types.ModelInput.from_ints(tokens[:2])
    params = types.SamplingParams(max_tokens=5, temperature=0.0, stop=["\n"])
    result = sampling_client.sample(prompt=prompt, sampling_params=params, num_samples=2).result()
    assert [len(s.tokens) <= 5 for s in result.sequences] == [True, True]
    assert result.sequences[0].tokens == result.sequences[1].tokens
    assert isinstance(tokenizer.decode(result.sequences[0].tokens), str)

    scores = sampling_client.compute_logprobs(types.ModelInput.from_ints(tokens)).result()
    assert scores[0] is None
    forward = training_client.forward(data, "cross_entropy").result()
    expected = forward.loss_fn_outputs[0]["logprobs"].tolist()
    assert scores[1:] == pytest.approx(expected, abs=1e-3)

    save_path = training_client.save_state("step-5").result().path
    resumed = service_client.create_training_client_from_state_with_optimizer(save_path)
    again = resumed.forward(data, "cross_entropy").result()
    assert again.loss_fn_outputs[0]["logprobs"].tolist() == pytest.approx(expected, abs=1e-5)
    assert resumed.get_info().lora_rank == 4
    step = types.AdamParams(learning_rate=1e-2)
    for client in (training_client, resumed):
        client.forward_backward(data, "cross_entropy")
        client.optim_step(step).result()
    after = [c.forward(data, "cross_entropy").result().loss for c in (training_client, resumed)]
    assert after[0] == pytest.approx(after[1], abs=1e-5)
    assert types.CheckpointPath.parse(save_path).training_run_id == training_client.model_id
    service_client.close()


def test_weights_without_their_optimizer_are_restored(nano_service: ServiceClient) -> None:
    """create_training_client_from_state has the weights, and load_state brings them back again."""
    data = [
        types.Datum(
            types.ModelInput.from_ints([3, 4, 5]),
            {"target_tokens": [4, 5, 6], "weights": [1, 1, 1]},
        )
    ]
    training = nano_service.create_lora_training_client(NANO, rank=2, train_unembed=False)
    path = training.save_state("start").result().path
    before = training.forward(data, "cross_entropy").result().loss
    step = training.train_step(data, "cross_entropy", types.AdamParams(learning_rate=0.05))[1]
    assert step.result().metrics is not None
    assert training.forward(data, "cross_entropy").result().loss < before
    restored = nano_service.create_training_client_from_state(path)
    assert restored.forward(data, "cross_entropy").result().loss == pytest.approx(before, abs=1e-5)
    rest = nano_service.create_rest_client()
    info = rest.get_weights_info_by_tinker_path(path)
    assert (info.lora_rank, info.train_unembed, info.train_mlp) == (2, False, True)
    with pytest.raises(TinkexError, match="start"):
        training.save_state("start").result()
    assert training.save_state("start", overwrite=True).result().path == path


def test_a_batch_of_several_chunks_gives_one_batchs_gradients() -> None:
    """Sent whole or in three parts, loss, outputs and the step that follows are the same."""
    data = [
        types.Datum(
            types.ModelInput.from_ints([i, i + 1]),
            {"target_tokens": [i + 1, i + 2], "weights": [1.0, 0.5]},
        )
        for i in range(5)
    ]
    results = []
    for most in (1024, 2):
        with ServiceClient(base_url=nano_url(), chunk_len=most) as service:
            training = service.create_lora_training_client(NANO, rank=2, seed=7)
            output, step = training.train_step(data, "cross_entropy", types.AdamParams(1e-2))
            step.result()
            after = training.forward(data, "cross_entropy").result()
        results.append((output.result().loss, after.loss, len(after.loss_fn_outputs)))
    assert results[0] == pytest.approx(results[1], rel=1e-5)


def test_samples_from_many_threads_all_come(nano_service: ServiceClient) -> None:
    """Futures of several threads share the client, and as_completed brings each of them once."""
    sampler = nano_service.create_sampling_client(base_model=NANO)
    params = types.SamplingParams(max_tokens=2, stop=[])
    futures: list[tinker.Future[types.SampleResponse]] = []
    lock = threading.Lock()

    def submit(first: int) -> None:
        mine = [
            sampler.sample(types.ModelInput.from_ints([first + i]), 1, params) for i in range(10)
        ]
        with lock:
            futures.extend(mine)

    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        list(threads.map(submit, range(0, 40, 10)))
    done = list(tinker.as_completed(futures))
    assert len(set(done)) == 40
    assert {len(future.result().sequences[0].tokens) for future in done} == {2}


def test_sampler_checkpoints_are_listed_sampled_and_deleted(nano_service: ServiceClient) -> None:
    """What is saved for sampling can be found, sampled from by path, published and deleted."""
    training = nano_service.create_lora_training_client(NANO, rank=2)
    path = training.save_weights_for_sampler("final", ttl_seconds=3600).result().path
    rest = nano_service.create_rest_client()
    (listed,) = rest.list_checkpoints(training.model_id).checkpoints
    assert (listed.tinker_path, listed.checkpoint_type) == (path, "sampler")
    assert path in [checkpoint.tinker_path for checkpoint in rest.iter_user_checkpoints()]
    rest.publish_checkpoint(path)
    rest.unpublish_checkpoint(path)
    rest.set_checkpoint_ttl(path, None)
    sampler = nano_service.create_sampling_client(path)
    assert sampler.get_base_model() == NANO
    assert sampler.get_tokenizer().vocab_size > 256
    prompt = types.ModelInput.from_ints([5])
    sampled = sampler.sample(prompt, 1, types.SamplingParams(max_tokens=1), True, 2).result()
    assert sampled.prompt_logprobs == [None]
    rest.delete_checkpoint(path)
    assert rest.list_checkpoints(training.model_id).checkpoints == []
    with pytest.raises((NotFoundError, RequestFailedError)):
        nano_service.create_sampling_client(path).sample(prompt).result()


def test_runs_and_sessions_can_be_looked_at(nano_service: ServiceClient) -> None:
    """The run and the session of a training client are where the REST client looks."""
    training = nano_service.create_lora_training_client(NANO, rank=2, user_metadata={"k": "v"})
    rest = nano_service.create_rest_client()
    run = rest.get_training_run(training.model_id)
    assert (run.base_model, run.lora_rank, run.user_metadata) == (NANO, 2, {"k": "v"})
    assert training.model_id in [run.training_run_id for run in rest.iter_training_runs()]
    assert training.model_id in rest.get_session(nano_service.session.id).training_run_ids
    assert nano_service.session.id in rest.list_sessions().sessions
    assert training.unload_model().result().model_id == training.model_id


def test_a_server_without_the_model_says_so(nano_service: ServiceClient) -> None:
    """A model that the server does not have is an error that names it."""
    with pytest.raises(TinkexError, match="no/such-model"):
        nano_service.create_lora_training_client("no/such-model")
    with pytest.raises((TinkexError, ConflictError), match="no/such-model"):
        nano_service.create_sampling_client(base_model="no/such-model")
