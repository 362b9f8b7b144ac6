"""Train and sample with the official `tinker` client, unchanged, and say what worked.

Run by tests/interop/run.py in a virtual environment that holds `tinker` and nothing of ours; the
server comes from TINKER_BASE_URL. Token ids are made here, since the official client loads tokenizers
from a hub.
"""

from __future__ import annotations

import math
import sys
import traceback
import warnings
from collections.abc import Callable
from typing import Any

import tinker
from tinker import types

MODEL = "tinkex/nano"
RANK = 4
TEXT = [40, 41, 42, 43, 44, 45, 46, 47, 48]
ADAM = types.AdamParams(learning_rate=1e-2)


def tensor(values: list[Any], dtype: str) -> Any:
    return types.TensorData(data=values, dtype=dtype, shape=[len(values)])


def datum(**inputs: list[float]) -> Any:
    """Return an example that teaches to count on from each token of TEXT."""
    tensors = {"target_tokens": tensor(TEXT[1:], "int64")}
    tensors |= {name: tensor(values, "float32") for name, values in inputs.items()}
    return types.Datum(model_input=types.ModelInput.from_ints(TEXT[:-1]), loss_fn_inputs=tensors)


def weighted() -> Any:
    return datum(weights=[1.0] * (len(TEXT) - 1))


def logprobs_of(output: Any) -> list[float]:
    return list(output.loss_fn_outputs[0]["logprobs"].data)


class Session:
    """Go through a user's day, one step after the other; each step may use what those before made."""

    def __init__(self) -> None:
        self.service = tinker.ServiceClient()
        self.training: Any = None
        self.sampler: Any = None
        self.state = self.weights = ""
        self.greedy: list[int] = []

    def capabilities(self) -> str:
        """Ask what the server offers."""
        models = [m.model_name for m in self.service.get_server_capabilities().supported_models]
        check(MODEL in models, f"{MODEL} is not among {models}")
        return ", ".join(models)

    def create_a_lora_model(self) -> str:
        """Begin a session and a model."""
        self.training = self.service.create_lora_training_client(MODEL, rank=RANK)
        info = self.training.get_info()
        check(info.lora_rank == RANK, f"rank {info.lora_rank}")
        check(info.model_data.model_name == MODEL, f"model {info.model_data.model_name}")
        return str(info.model_id)

    def forward(self) -> str:
        """Compute a loss without gradients."""
        output = self.training.forward([weighted()], "cross_entropy").result()
        nll = -sum(logprobs_of(output))
        check(close(output.metrics["loss:sum"], nll), f"{output.metrics} is not {nll}")
        return f"loss {nll:.3f}"

    def cross_entropy(self) -> str:
        """Take steps with cross_entropy, forward_backward and optim_step in flight together."""
        losses = []
        for _ in range(8):
            passed = self.training.forward_backward([weighted()] * 3, "cross_entropy")
            stepped = self.training.optim_step(ADAM)
            losses.append(passed.result().metrics["loss:sum"])
            stepped.result()
            check(len(passed.result().loss_fn_outputs) == 3, "not one output for each datum")
        check(losses[-1] < losses[0] / 2, f"the loss does not fall: {losses}")
        return f"loss {losses[0]:.2f} → {losses[-1]:.2f}"

    def importance_sampling(self) -> str:
        """Take a step with importance_sampling, whose ratios are 1 for logprobs of its own."""
        own = logprobs_of(self.training.forward([weighted()], "cross_entropy").result())
        data = [datum(logprobs=own, advantages=[0.5] * len(own))]
        passed = self.training.forward_backward(data, "importance_sampling")
        self.training.optim_step(types.AdamParams(learning_rate=1e-3)).result()
        loss = passed.result().metrics["loss:sum"]
        check(close(loss, -0.5 * len(own)), f"loss {loss}, expected {-0.5 * len(own)}")
        return f"loss {loss:.3f}"

    def ppo_with_settings(self) -> str:
        """Give a loss settings."""
        own = logprobs_of(self.training.forward([weighted()], "cross_entropy").result())
        data = [datum(logprobs=own, advantages=[1.0] * len(own))]
        limits = {"clip_low_threshold": 0.0, "clip_high_threshold": 0.5}
        loss = self.training.forward(data, "ppo", limits).result().metrics["loss:sum"]
        check(close(loss, -0.5 * len(own)), f"loss {loss}: the ratio is not clipped at 0.5")
        return f"loss {loss:.3f}"

    def save_state(self) -> str:
        """Save weights and optimizer."""
        self.state = self.training.save_state("state").result().path
        check(self.state.endswith("/weights/state"), self.state)
        return self.state

    def save_weights_for_sampler(self) -> str:
        """Save weights to sample from."""
        self.weights = self.training.save_weights_for_sampler("final").result().path
        check(self.weights.endswith("/sampler_weights/final"), self.weights)
        return self.weights

    def sample(self) -> str:
        """Sample from the weights as they are now."""
        self.sampler = self.training.save_weights_and_get_sampling_client("now")
        self.greedy, answer = self._greedy(self.sampler)
        first, second = answer.sequences
        check(list(first.tokens) == list(second.tokens), "greedy samples differ")
        check(len(first.logprobs) == len(first.tokens), "not one logprob for each token")
        check(all(p <= 0 for p in first.logprobs), "a positive logprob")
        check(first.stop_reason == "length", f"stop reason {first.stop_reason}")
        check(self.greedy == TEXT[3:7], f"sampled {self.greedy}, trained to {TEXT[3:7]}")
        return f"{TEXT[:3]} → {self.greedy}"

    def sample_many_at_once(self) -> str:
        """Have many samples in flight."""
        params = types.SamplingParams(max_tokens=4, temperature=1.0, seed=1)
        prompt = types.ModelInput.from_ints(TEXT[:2])
        futures = [
            self.sampler.sample(prompt=prompt, num_samples=1, sampling_params=params)
            for _ in range(50)
        ]
        drawn = {tuple(future.result().sequences[0].tokens) for future in futures}
        check(len(drawn) == 1, "the same seed gave different samples")
        return f"{len(futures)} samples"

    def stop_at_a_token(self) -> str:
        """End a sample by a stop token."""
        params = types.SamplingParams(max_tokens=8, temperature=0.0, stop=[TEXT[5]])
        prompt = types.ModelInput.from_ints(TEXT[:3])
        future = self.sampler.sample(prompt=prompt, num_samples=1, sampling_params=params)
        sequence = future.result().sequences[0]
        check(sequence.stop_reason == "stop", f"stop reason {sequence.stop_reason}")
        return str(list(sequence.tokens))

    def sample_from_a_path(self) -> str:
        """Sample from saved weights; the base model comes from the server."""
        sampler = self.service.create_sampling_client(model_path=self.weights)
        tokens, _ = self._greedy(sampler)
        check(tokens == self.greedy, f"sampled {tokens}, not {self.greedy}")
        if hasattr(sampler, "get_base_model"):
            check(sampler.get_base_model() == MODEL, f"base model {sampler.get_base_model()}")
        return self.weights

    def compute_logprobs(self) -> str:
        """Score a prompt."""
        scored = self.sampler.compute_logprobs(types.ModelInput.from_ints(TEXT)).result()
        check(len(scored) == len(TEXT) and scored[0] is None, f"{scored}")
        expected = logprobs_of(self.training.forward([weighted()], "cross_entropy").result())
        pairs = zip(scored[1:], expected, strict=True)
        check(all(math.isclose(a, b, abs_tol=1e-3) for a, b in pairs), f"{scored} {expected}")
        return f"{len(scored)} tokens"

    def top_logprobs_of_the_prompt(self) -> str:
        """Ask for the likeliest tokens at each position of the prompt."""
        answer = self.sampler.sample(
            prompt=types.ModelInput.from_ints(TEXT),
            num_samples=1,
            sampling_params=types.SamplingParams(max_tokens=1),
            include_prompt_logprobs=True,
            topk_prompt_logprobs=3,
        ).result()
        rows = answer.topk_prompt_logprobs
        check(len(rows) == len(TEXT) and rows[0] is None, f"{rows}")
        check(all(len(row) == 3 for row in rows[1:]), f"{rows}")
        check(rows[-1][0][0] == TEXT[-1], f"the likeliest last token is {rows[-1][0]}")
        return "3 of each"

    def restore(self) -> str:
        """Go on from the saved state, weights and optimizer, in a new model."""
        before = self.training.forward([weighted()], "cross_entropy").result().metrics["loss:sum"]
        restored = self.service.create_training_client_from_state_with_optimizer(self.state)
        after = restored.forward([weighted()], "cross_entropy").result().metrics["loss:sum"]
        check(before == after, f"loss {after}, was {before}")
        restored.forward_backward([weighted()], "cross_entropy")
        restored.optim_step(ADAM).result()
        return f"loss {after:.4f}"

    def look_up(self) -> str:
        """List runs and checkpoints."""
        rest = self.service.create_rest_client()
        mine = self.training.get_info().model_id
        runs = [run.training_run_id for run in rest.list_training_runs().result().training_runs]
        check(mine in runs, f"{mine} is not among {runs}")
        listed = rest.list_checkpoints(mine).result().checkpoints
        paths = {checkpoint.tinker_path for checkpoint in listed}
        check({self.state, self.weights} <= paths, f"{paths}")
        return f"{len(runs)} runs, {len(paths)} checkpoints"

    def close(self) -> str:
        """End the session."""
        if not hasattr(self.service, "close"):
            return "nothing to close in this version"
        self.service.close("success", detail="all is well").result()
        return "finished"

    def _greedy(self, sampler: Any) -> tuple[list[int], Any]:
        answer = sampler.sample(
            prompt=types.ModelInput.from_ints(TEXT[:3]),
            num_samples=2,
            sampling_params=types.SamplingParams(max_tokens=4, temperature=0.0),
        ).result()
        return list(answer.sequences[0].tokens), answer


def check(holds: bool, otherwise: str) -> None:
    if not holds:
        raise AssertionError(otherwise)


def close(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=1e-4, abs_tol=1e-4)


def main() -> int:
    warnings.simplefilter("ignore")
    session = Session()
    steps: list[Callable[[], str]] = [
        getattr(session, name)
        for name, value in vars(Session).items()
        if callable(value) and not name.startswith("_")
    ]
    print(f"tinker {tinker.__version__}")
    failures = 0
    for step in steps:
        name = step.__name__.replace("_", " ")
        try:
            print(f"  ok      {name:28} {step()}", flush=True)
        except Exception as error:
            failures += 1
            print(f"  FAILED  {name:28} {type(error).__name__}: {error}", flush=True)
            traceback.print_exc()
    print(f"  {len(steps) - failures} of {len(steps)} steps worked")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
