"""A program in the style of former releases: clients from factories, concurrent futures of samples."""

import concurrent.futures

import tinker
from tinker import types
from tinker.types.tensor_data import TensorData

MODEL = "tinkex/nano"
TOKENS = [40, 41, 42, 43, 44, 45, 46, 47]

service_client = tinker.ServiceClient()
models = [model.model_name for model in service_client.get_server_capabilities().supported_models]
assert MODEL in models

training_client = service_client.create_lora_training_client(base_model=MODEL, rank=4, seed=1)
datum = types.Datum(
    model_input=types.ModelInput.from_ints(TOKENS[:-1]),
    loss_fn_inputs={
        "target_tokens": TensorData(data=TOKENS[1:], dtype="int64", shape=[len(TOKENS) - 1]),
        "weights": TensorData(data=[1.0] * (len(TOKENS) - 1), dtype="float32"),
    },
)
fwd_bwd_future = training_client.forward_backward([datum], "cross_entropy")
optim_future = training_client.optim_step(adam_params=types.AdamParams(learning_rate=1e-3))
result = fwd_bwd_future.result()
optim_future.result()
assert len(result.loss_fn_outputs[0]["logprobs"].data) == len(TOKENS) - 1
assert training_client.model_id

path = training_client.save_weights_for_sampler(name="final").result().path
sampling_client = service_client.create_sampling_client(model_path=path)
prompt = types.ModelInput.empty().append(types.EncodedTextChunk(tokens=TOKENS[:3])).append_int(43)
params = types.SamplingParams(max_tokens=4, stop=[44], temperature=0.0)
futures = [sampling_client.sample(prompt=prompt, sampling_params=params, num_samples=1)] * 2
for future in concurrent.futures.as_completed(futures):
    assert future.done()
    assert len(future.result().sequences) == 1

rest_client = service_client.create_rest_client()
assert rest_client.list_user_checkpoints(limit=5).result().checkpoints
training_client.save_state(name="again").result()
other = service_client.create_lora_training_client(MODEL, rank=4)
other.load_state(training_client.save_state(name="more").result().path).result()
service_client.close("success").result()
print("done")
