"""The examples in the docstrings of public names do what they say."""

from __future__ import annotations

import doctest
import inspect
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import api_page
import numpy as np
import pytest
import reference

import tinkex
from tinkex.local import LocalServer

# Not run, each for a reason.
NOT_RUN = {
    "from_tiktoken": "needs a file of a model that is not ours to ship; tests/tokenizer reads made ones",
    "ServiceClient.create_custom_loss": "its graph is a page long; tests/local/test_custom_loss.py has one",
}
# Run, but what they print is an illustration: it depends on weights, ids or the machine.
ILLUSTRATED = {"SamplingClient.compute_logprobs", "Future"}
# Run without a stand-in for what only a reader has, since nothing is fetched.
AS_WRITTEN = {"resolve"}
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def examples() -> list[Any]:
    """Return every public name whose docstring has an example, once."""
    found: dict[int, Any] = {}
    for _, module, names in reference.sections():
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
        raised = "Traceback (most recent call last)" in got
        if not want or self.illustrated:
            return not raised
        return super().check_output(want, got, optionflags)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Return the names that examples use without making them, and what stands for a reader's own."""
    folder = tmp_path_factory.mktemp("docstrings")
    with LocalServer() as server, tinkex.ServiceClient(base_url=server.base_url) as service:
        training = service.create_lora_training_client("tinkex/nano", rank=8, seed=0)
        kept = service.create_lora_training_client("tinkex/nano", rank=8, seed=0)
        for name in "ab":
            kept.save_state(name).result()
        path = kept.save_weights_for_sampler("final").result().path
        rest = service.create_rest_client()
        got = rest.download_checkpoint(path, folder)
        sampler = training.save_weights_and_get_sampling_client()
        prompt = tinkex.ModelInput.from_ints([1, 2, 3])
        data = [tinkex.Datum(prompt, {"target_tokens": [2, 3, 4], "weights": [1.0, 1.0, 1.0]})]
        yield {
            "names": {
                "service": service, "training": training, "sampler": sampler, "rest": rest,
                "tokenizer": training.get_tokenizer(), "prompt": prompt, "prompts": [prompt] * 3,
                "data": data, "params": tinkex.SamplingParams(max_tokens=4), "np": np, "path": path,
                "future": training.forward(data, "cross_entropy"),
            },
            "stand_ins": {
                'ServiceClient(base_url="local"': f'ServiceClient(base_url="{server.base_url}"',
                "ServiceClient(telemetry": f'ServiceClient(base_url="{server.base_url}", telemetry',
                'inspect("checkpoints/run-1:train:0_sampler_weights_final"': f'inspect("{got.folder}"',
                'weights/a", rank=32': 'weights/a", rank=8',
                "run-1:train:0": kept.model_id,
                "tinker://r/": f"tinker://{kept.model_id}/",
                "Qwen/Qwen3-8B": "tinkex/nano",
                "./my-model": "tinkex/nano",
            },
        }  # fmt: skip


@pytest.fixture(autouse=True)
def tidy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let examples write into a folder of their own, and leave logging as it was."""
    monkeypatch.chdir(tmp_path)
    logger = logging.getLogger("tinkex")
    before = (logger.level, list(logger.handlers), logger.propagate)
    yield
    logger.level, logger.handlers, logger.propagate = before
    logger.setLevel(before[0])


@pytest.mark.parametrize(("title", "thing"), examples())
def test_a_docstrings_example_does_what_it_says(
    title: str, thing: Any, world: dict[str, Any]
) -> None:
    """The example runs, and prints what it shows."""
    if title in NOT_RUN:
        pytest.skip(NOT_RUN[title])
    text = inspect.getdoc(thing) or ""
    if title not in AS_WRITTEN:
        for theirs, ours in world["stand_ins"].items():
            text = text.replace(theirs, ours)
    names = {**public_names(), **vars(sys.modules[thing.__module__]), **world["names"]}
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
