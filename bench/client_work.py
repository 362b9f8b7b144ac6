"""One measurement of one client, in a separate process; `client.py` runs it in each venv.

    python bench/client_work.py tinkex sample_at_once http://127.0.0.1:1234 2000

All clients are called by the same code, because they offer the same names. Prints one line of
JSON; fails if a client returned anything but what the stand-in server sent.
"""

from __future__ import annotations

import importlib
import json
import resource
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import payload


class Meter:
    """Measure CPU time, wall time and the growth of resident memory between its two ends."""

    def __enter__(self) -> Self:
        # From here on, the kernel's high-water mark is that of the work alone (Linux).
        try:
            Path("/proc/self/clear_refs").write_text("5")
        except OSError:
            self._resident = None
        else:
            self._resident = _status("VmRSS")
        self._cpu, self._began = _cpu(), time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.wall, self.cpu = time.perf_counter() - self._began, _cpu() - self._cpu
        self.peak = None if self._resident is None else _status("VmHWM")
        self.growth = None if self.peak is None else self.peak - self._resident

    def reading(self, units: int) -> dict[str, Any]:
        """Return the times per unit of work, and the memory of all of it.

        `growth` is the high-water mark of resident memory during the work less what was resident
        before it; `peak` is the mark itself, so it includes the interpreter, the imports and the
        data.
        """
        times = {"cpu": self.cpu / units, "wall": self.wall / units}
        return times | {"growth": self.growth, "peak": self.peak}


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _settle() -> None:
    """Wait until what came before has ended: NumPy's BLAS threads spin for a while once they are there."""
    used = _cpu()
    while True:
        threading.Event().wait(0.05)
        before, used = used, _cpu()
        if used - before < 0.002:
            return


def _status(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    raise LookupError(name)


def measure_import(client: str, _: str, __: int) -> dict[str, Any]:
    """Import the client until the class that a user begins with is there."""
    with Meter() as meter:
        assert importlib.import_module(client).ServiceClient
    return meter.reading(1) | {"modules": len(sys.modules)}


def measure_first_sample(client: str, base_url: str, _: int) -> dict[str, Any]:
    """Go from a bare interpreter to the tokens of a first sample."""
    with Meter() as meter:
        sdk = importlib.import_module(client)
        service = sdk.ServiceClient(api_key="tml-bench", base_url=base_url)
        sampler = _ready(service.create_sampling_client(base_model="bench"))
        prompt = sdk.types.ModelInput.from_ints(list(range(payload.PROMPT_TOKENS)))
        params = sdk.types.SamplingParams(max_tokens=payload.SAMPLED_TOKENS)
        responses = [sampler.sample(prompt, 1, params).result()]
    _check_samples(responses, 1)
    _finish(service)
    return meter.reading(1)


def measure_step_numpy(client: str, base_url: str, steps: int) -> dict[str, Any]:
    """Train on data that lie in numpy arrays."""
    return _measure_steps(client, base_url, steps, as_lists=False)


def measure_step_lists(client: str, base_url: str, steps: int) -> dict[str, Any]:
    """Train on data that lie in Python lists."""
    return _measure_steps(client, base_url, steps, as_lists=True)


def _measure_steps(client: str, base_url: str, steps: int, *, as_lists: bool) -> dict[str, Any]:
    """Make data out of arrays or lists, forward_backward, optim_step, log probabilities back."""
    sdk = importlib.import_module(client)
    service = sdk.ServiceClient(api_key="tml-bench", base_url=base_url)
    training = _ready(service.create_lora_training_client("bench", rank=8))
    rollouts = _rollouts(payload.DATUMS, payload.TOKENS_PER_DATUM, as_lists=as_lists)
    make = _maker(client, sdk, as_lists=as_lists)
    _step(sdk, training, make, _rollouts(4, 32, as_lists=as_lists))
    _settle()
    with Meter() as meter:
        for _ in range(steps):
            rows = _step(sdk, training, make, rollouts)
    _check_rows(rows)
    _finish(service)
    return meter.reading(steps)


def _rollouts(datums: int, length: int, *, as_lists: bool) -> list[tuple[Any, ...]]:
    import numpy as np

    draw = np.random.default_rng(5)
    rollouts: list[tuple[Any, ...]] = []
    for key in range(datums):
        text = draw.integers(0, payload.VOCABULARY, length + 1)
        text[0] = key
        scores = -np.abs(draw.normal(2.0, 1.0, length)).astype(np.float32)
        advantages = np.full(length, draw.normal(), np.float32)
        arrays = (text[:-1].copy(), text[1:].copy(), scores, advantages)
        rollouts.append(tuple(a.tolist() for a in arrays) if as_lists else arrays)
    return rollouts


def _maker(client: str, sdk: Any, *, as_lists: bool) -> Callable[..., Any]:
    # The official ModelInput refuses arrays, so its users call tolist.
    convert = client != "tinkex" and not as_lists

    def make(tokens: Any, targets: Any, logprobs: Any, advantages: Any) -> Any:
        return sdk.types.Datum(
            model_input=sdk.types.ModelInput.from_ints(tokens.tolist() if convert else tokens),
            loss_fn_inputs={
                "target_tokens": targets,
                "logprobs": logprobs,
                "advantages": advantages,
            },
        )

    return make


def _step(
    sdk: Any, training: Any, make: Callable[..., Any], rollouts: list[tuple[Any, ...]]
) -> list[Any]:
    data = [make(*rollout) for rollout in rollouts]
    gradient = training.forward_backward(data, "importance_sampling")
    update = training.optim_step(sdk.types.AdamParams(learning_rate=1e-4))
    output = gradient.result()
    update.result()
    return [row["logprobs"].to_numpy() for row in output.loss_fn_outputs]


def _check_rows(rows: list[Any]) -> None:
    import numpy as np

    assert len(rows) == payload.DATUMS, len(rows)
    for key, row in enumerate(rows):
        expected = np.array(payload.logprobs(key, payload.TOKENS_PER_DATUM), np.float32)
        assert row.dtype == np.float32, row.dtype
        assert np.array_equal(row, expected), f"row {key} is not what the server sent"


def measure_sample_at_once(client: str, base_url: str, count: int) -> dict[str, Any]:
    """Submit all samples, then collect all results."""

    def work(sample: Callable[[int], Any]) -> list[Any]:
        futures = [sample(i) for i in range(count)]
        return [future.result() for future in futures]

    return _measure_samples(client, base_url, count, work)


def measure_sample_in_turn(client: str, base_url: str, count: int) -> dict[str, Any]:
    """Wait for each sample before the next."""

    def work(sample: Callable[[int], Any]) -> list[Any]:
        return [sample(i).result() for i in range(count)]

    return _measure_samples(client, base_url, count, work)


def _measure_samples(
    client: str,
    base_url: str,
    count: int,
    work: Callable[[Callable[[int], Any]], list[Any]],
) -> dict[str, Any]:
    sdk = importlib.import_module(client)
    service = sdk.ServiceClient(api_key="tml-bench", base_url=base_url)
    sampler = _ready(service.create_sampling_client(base_model="bench"))
    params = sdk.types.SamplingParams(max_tokens=payload.SAMPLED_TOKENS, temperature=1.0)
    text = list(range(1000, 1000 + payload.PROMPT_TOKENS))

    def sample(i: int) -> Any:
        prompt = sdk.types.ModelInput.from_ints([i, *text[1:]])
        return sampler.sample(prompt=prompt, num_samples=1, sampling_params=params)

    for future in [sample(i) for i in range(8)]:
        future.result()
    _settle()
    with Meter() as meter:
        responses = work(sample)
        threads = threading.active_count()
    _check_samples(responses, count)
    _finish(service)
    return meter.reading(count) | {"threads": threads}


def _check_samples(responses: list[Any], count: int) -> None:
    assert len(responses) == count
    for key, response in enumerate(responses):
        (sequence,) = response.sequences
        tokens, logprobs = payload.sampled(key)
        assert list(sequence.tokens) == tokens, f"sample {key} has other tokens"
        got = payload.as_float32([float(value) for value in sequence.logprobs])
        assert got == payload.as_float32(logprobs), f"sample {key} has other log probabilities"
        assert str(getattr(sequence.stop_reason, "value", sequence.stop_reason)) == "length"


def _ready(client: Any) -> Any:
    """Return the client itself, of which the official SDK hands out a future."""
    return client.result() if hasattr(client, "result") else client


def _finish(service: Any) -> None:
    closed = service.close("success")
    if closed is not None:
        closed.result()


if __name__ == "__main__":
    name, work_name, url, units = sys.argv[1:]
    print(json.dumps(globals()[f"measure_{work_name}"](name, url, int(units))))
