"""The examples in the docstrings of public names do what they say."""

from __future__ import annotations

import doctest
import inspect
import logging
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import api_page
import numpy as np
import pytest
import reference

import tinkex
from tinkex._base.file_names import portable_name
from tinkex._core.events import bus
from tinkex.local import LocalServer
from tinkex.observability.metrics import Metrics
from tinkex.recovery import RecoveryPolicy, resumable

# Not run, each for a reason.
NOT_RUN = {
    "push_to_hub": "needs an account of the hub; tests/checkpoints has a hub on loopback",
    "merge": "needs the folder of a base model; tests/checkpoints/test_merge.py makes some",
    "from_tiktoken": "needs a file of a model that is not ours to ship; tests/tokenizer reads made ones",
    "ServiceClient.create_custom_loss": "its graph is a page long; tests/local/test_custom_loss.py has one",
    "Form": "needs a server of the reader's; tests/checkpoints/test_multipart.py has one",
    "run": "needs an account, named by the environment; tests/cli/test_results.py has one",
}
# Run, but what they print is an illustration: it depends on weights, ids or the machine.
ILLUSTRATED = {"SamplingClient.compute_logprobs", "Future", "tinkex.observability.metrics"}
# Run without a stand-in for what only a reader has, since nothing is fetched.
AS_WRITTEN = {"resolve"}
LOG = '{"step": 0, "loss": 2.31}\n{"step": 1, "loss": 1.98}\n'
# What lies in the folder where examples run.
FILES = {
    "a.bin": "content",
    "orders.jsonl": '{"prompt": "2 red cups to Rome", "completion": "{\\"count\\": 2}"}\n' * 2,
    "pairs.jsonl": '{"prompt": "2+2=", "chosen": "4", "rejected": "5"}\n' * 2,
    "prompts.jsonl": '{"messages": [{"role": "user", "content": "2+2="}], "answer": "4"}\n' * 2,
    "prices.json": '{"tinkex/nano": {"train": 1.2, "prompt": 0.3, "sample": 0.9}}',
    "metrics.jsonl": LOG,
    "runs/mine/metrics.jsonl": LOG,
}
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def examples() -> list[Any]:
    """Return every public name and module whose docstring has an example, once."""
    found: dict[int, Any] = {}
    for _, module, names in reference.sections():
        if ">>>" in (inspect.getdoc(module) or ""):
            found[id(module)] = pytest.param(module.__name__, module, id=module.__name__)
        for name in names:
            thing = getattr(module, name)
            parts = [(name, thing)]
            if inspect.isclass(thing):
                for member, value in api_page.members(thing):
                    function = value.fget if isinstance(value, property) else value
                    parts.append((f"{name}.{member}", getattr(function, "__func__", function)))
            for title, part in parts:
                if ">>>" in (inspect.getdoc(part) or ""):
                    found.setdefault(id(part), pytest.param(title, part, id=title))
    return list(found.values())


def public_names() -> dict[str, Any]:
    """Return every public name, as after importing it."""
    return {
        name: getattr(module, name) for _, module, names in reference.sections() for name in names
    }


class Lenient(doctest.OutputChecker):
    """Compare what an example shows; where it shows nothing, it only has to run."""

    def __init__(self, illustrated: bool) -> None:
        self.illustrated = illustrated

    def check_output(self, want: str, got: str, optionflags: int) -> bool:
        # What an example raises unexpectedly fails it elsewhere, whatever is said here.
        unsaid = not want or self.illustrated
        return unsaid or super().check_output(want, got, optionflags)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Return the names that examples use without making them, and what stands for a reader's own."""
    folder = tmp_path_factory.mktemp("docstrings")
    with ExitStack() as opened:
        server = opened.enter_context(LocalServer())
        service = opened.enter_context(tinkex.ServiceClient(base_url=server.base_url))
        training = service.create_lora_training_client("tinkex/nano", rank=8, seed=0)
        kept = service.create_lora_training_client("tinkex/nano", rank=8, seed=0)
        path = kept.save_weights_for_sampler("final").result().path
        rest = service.create_rest_client()
        got = rest.download_checkpoint(path, folder)
        sampler = training.save_weights_and_get_sampling_client()
        prompt = tinkex.ModelInput.from_ints([1, 2, 3])
        datum = tinkex.Datum(prompt, {"target_tokens": [2, 3, 4], "weights": [1.0, 1.0, 1.0]})
        adam = tinkex.AdamParams(learning_rate=1e-3)
        gradients, _ = training.train_step([datum], "cross_entropy", adam)
        training.save_state("kept").result()
        began = resumable(folder / "run", service, base_model="tinkex/nano", checkpoint_every=50)
        metrics, run = opened.enter_context(Metrics()), opened.enter_context(began)
        yield {
            "kept": kept,
            "names": {
                "tinkex": tinkex, "np": np, "Path": Path, "timedelta": timedelta,
                "service": service, "training": training, "sampler": sampler, "rest": rest,
                "tokenizer": training.get_tokenizer(), "prompt": prompt, "prompts": [prompt] * 3,
                "data": [datum] * 24, "params": tinkex.SamplingParams(max_tokens=4), "adam": adam,
                "future": gradients, "gradients": gradients, "path": path, "folder": folder,
                "policy": RecoveryPolicy(enabled=True), "run": run, "step": next(run.steps(1)),
                "metrics": metrics, "train": lambda: None, "batch_of": lambda step: [datum],
            },
            "stand_ins": {
                'ServiceClient(base_url="local"': f'ServiceClient(base_url="{server.base_url}"',
                "ServiceClient(telemetry": f'ServiceClient(base_url="{server.base_url}", telemetry',
                'inspect("checkpoints/run-1_train_0_sampler_weights_final"': f'inspect("{got.folder}"',
                'weights/a", rank=32': 'weights/a", rank=8',
                "steps(1000)": "steps(3)",
                "run-1:train:0": kept.model_id,
                "run-1_train_0": portable_name(kept.model_id),
                "tinker://r/": f"tinker://{kept.model_id}/",
                "Qwen/Qwen3-8B": "tinkex/nano",
                "Qwen/Qwen3-32B": "tinkex/nano",
                "./my-model": "tinkex/nano",
            },
        }  # fmt: skip


@pytest.fixture(autouse=True)
def tidy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let examples write into a folder of their own, and leave logging and subscriptions as they were."""
    monkeypatch.chdir(tmp_path)
    for name, content in FILES.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(content, encoding="utf-8")
    monkeypatch.setattr(bus, "_subscriptions", bus._subscriptions)
    logger = logging.getLogger("tinkex")
    before = (logger.level, list(logger.handlers), logger.propagate)
    yield
    logger.level, logger.handlers, logger.propagate = before
    logger.setLevel(before[0])


def test_an_example_that_raises_fails() -> None:
    """Leniency is about what is printed: an error always counts."""
    parsed = doctest.DocTestParser().get_doctest(">>> 1 / 0", {}, "raises", None, 0)
    runner = doctest.DocTestRunner(Lenient(illustrated=True), optionflags=OPTIONS)
    assert runner.run(parsed, out=lambda _: None).failed == 1


@pytest.mark.parametrize(("title", "thing"), examples())
def test_a_docstrings_example_does_what_it_says(
    title: str, thing: Any, world: dict[str, Any]
) -> None:
    """The example runs, and prints what it shows."""
    if title in NOT_RUN:
        pytest.skip(NOT_RUN[title])
    text = inspect.getdoc(thing) or ""
    if "/weights/" in text:
        for name in "ab":  # an example before may have deleted them
            world["kept"].save_state(name, overwrite=True).result()
    if title not in AS_WRITTEN:
        for theirs, ours in world["stand_ins"].items():
            text = text.replace(theirs, ours)
    names = {
        **public_names(),
        **vars(sys.modules[getattr(thing, "__module__", title)]),
        **world["names"],
        # Whatever the world calls so: its own example means the thing itself.
        title: thing,
    }
    parsed = doctest.DocTestParser().get_doctest(text, names, title, None, 0)
    said: list[str] = []
    runner = doctest.DocTestRunner(Lenient(title in ILLUSTRATED), optionflags=OPTIONS)
    result = runner.run(parsed, out=said.append)
    assert result.attempted
    assert not result.failed, "".join(said)


def test_what_is_excepted_is_still_there() -> None:
    """No exception outlives its example."""
    titles = {param.id for param in examples()}
    assert titles >= NOT_RUN.keys() | ILLUSTRATED | AS_WRITTEN
