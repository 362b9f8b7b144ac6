"""Examples that are wrong are refused, by the path of what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from engine.reference import examples, toy_base, toy_trainer

from tinkex.local.engine import EngineError, Example


def broken(change: Callable[[Example], Example | None]) -> list[Example]:
    data = examples((4, 5, 3), loss="ppo")
    data[1] = change(data[1]) or data[1]
    return data


def with_inputs(**changes: Any) -> Callable[[Example], None]:
    return lambda e: e.loss_inputs.update(changes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda e: Example(np.array([], np.int64), e.loss_inputs),
            r"data\[1\].model_input is empty",
        ),
        (
            lambda e: Example(e.tokens + 0.5, e.loss_inputs),
            r"data\[1\].model_input has dtype float64",
        ),
        (
            lambda e: Example(e.tokens[None], e.loss_inputs),
            r"data\[1\].model_input has shape \(1, 5\)",
        ),
        (
            lambda e: Example(np.array([0, 1, 23, 3, 4]), e.loss_inputs),
            r"data\[1\].model_input\[2\] is 23, outside the vocabulary of 23 tokens",
        ),
        (
            lambda e: Example(np.array([0, -1, 2, 3, 4]), e.loss_inputs),
            r"data\[1\].model_input\[1\] is -1",
        ),
        (
            lambda e: Example(np.zeros(65, np.int64), e.loss_inputs),
            r"data\[1\].model_input has 65 tokens, more than the context of 64",
        ),
        (
            with_inputs(target_tokens=np.zeros(4, np.int64)),
            r"data\[1\].loss_fn_inputs\['target_tokens'\] has shape \(4,\), expected \(5,\)",
        ),
        (
            with_inputs(target_tokens=np.zeros(5, np.float32)),
            r"data\[1\].loss_fn_inputs\['target_tokens'\] has dtype float32",
        ),
        (
            with_inputs(target_tokens=np.array([0, 0, 0, 99, 0])),
            r"data\[1\].loss_fn_inputs\['target_tokens'\]\[3\] is 99, outside the vocabulary",
        ),
        (
            with_inputs(advantages=np.zeros(3, np.float32)),
            r"data\[1\].loss_fn_inputs\['advantages'\] has shape \(3,\), expected \(5,\)",
        ),
        (
            with_inputs(advantages=np.zeros(5, np.int64)),
            r"data\[1\].loss_fn_inputs\['advantages'\] has dtype int64, expected floats",
        ),
        (
            with_inputs(logprobs=np.array([0, 0, np.nan, 0, 0], np.float32)),
            r"data\[1\].loss_fn_inputs\['logprobs'\]\[2\] is nan, expected finite numbers",
        ),
        (
            with_inputs(weights=np.zeros(5, np.float32)),
            r"data\[1\].loss_fn_inputs\['weights'\] is not an input of ppo",
        ),
        (
            lambda e: Example(e.tokens, {"target_tokens": e.loss_inputs["target_tokens"]}),
            r"data\[1\].loss_fn_inputs\['logprobs'\] is missing",
        ),
    ],
)
def test_wrong_examples_are_refused_by_path(
    change: Callable[[Example], Example | None], message: str
) -> None:
    """Every mistake in an example names where it is, and what was expected."""
    with pytest.raises(EngineError, match=message):
        toy_trainer(toy_base()).forward_backward(broken(change), "ppo")


def test_empty_data_is_refused() -> None:
    """A call without examples is a mistake."""
    with pytest.raises(EngineError, match="data is empty"):
        toy_trainer(toy_base()).forward_backward([], "cross_entropy")
