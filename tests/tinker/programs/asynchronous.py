"""An asynchronous program: everything is awaited, in the new style and by the deprecated twins."""

import asyncio

import tinker
from tinker import types

MODEL = "tinkex/nano"
TOKENS = [40, 41, 42, 43, 44, 45, 46, 47]


def datum() -> types.Datum:
    return types.Datum(
        model_input=types.ModelInput.from_ints(TOKENS[:-1]),
        loss_fn_inputs={"target_tokens": TOKENS[1:], "weights": [1.0] * (len(TOKENS) - 1)},
    )


async def main() -> None:
    service_client = tinker.ServiceClient()
    training_client = await service_client.create_lora_training_client(MODEL, rank=4, seed=1)
    twin = await service_client.create_lora_training_client_async(MODEL, rank=4, seed=1)
    assert type(training_client) is type(twin) is tinker.TrainingClient

    fwd_bwd_future = training_client.forward_backward([datum()], "cross_entropy")
    optim_future = training_client.optim_step(types.AdamParams(learning_rate=1e-2))
    output = await fwd_bwd_future
    await optim_future.result_async(timeout=60)
    twin_future = await twin.forward_backward_async([datum()], "cross_entropy")
    assert (await twin_future.result_async()).metrics == output.metrics

    sampling_client = await training_client.save_weights_and_get_sampling_client_async("final")
    prompt = types.ModelInput.from_ints(TOKENS[:3])
    params = types.SamplingParams(max_tokens=4, temperature=0.0)
    responses = await asyncio.gather(
        *(sampling_client.sample(prompt, 1, params) for _ in range(4)),
        *(sampling_client.sample_async(prompt, 1, params) for _ in range(4)),
        asyncio.create_task(sampling_client.sample(prompt, 1, params).coroutine()),
    )
    assert len({tuple(response.sequences[0].tokens) for response in responses}) == 1
    assert len(await sampling_client.compute_logprobs_async(prompt)) == 3

    rest_client = tinker.RestClient()
    assert (await rest_client.list_training_runs()).training_runs
    assert (await rest_client.list_sessions_async(limit=1)).sessions
    try:
        await rest_client.get_session("no-such-session")
    except tinker.NotFoundError:
        await service_client.close("success")


asyncio.run(main())
print("done")
