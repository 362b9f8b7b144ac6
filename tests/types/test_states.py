"""The words of servers, as enumerations."""

from __future__ import annotations

import json
from typing import get_args

import pytest
import tinkex_generated.models as wire

from tinkex import types
from tinkex.errors import ApiError
from tinkex.types import QueueState, RequestErrorCategory, StopReason


@pytest.mark.parametrize(
    ("text", "state"),
    [
        (" Paused_Capacity ", QueueState.PAUSED_CAPACITY),
        ("active", QueueState.ACTIVE),
        ("napping", QueueState.UNKNOWN),
        (None, QueueState.UNKNOWN),
    ],
)
def test_any_text_is_a_state(text: object, state: QueueState) -> None:
    """Case and blanks do not count, and a state of tomorrow is unknown."""
    assert QueueState.parse(text) is state


def test_only_pauses_are_paused() -> None:
    """Neither a queue that moves, nor one that is not known."""
    assert [state for state in QueueState if state.is_paused] == [
        "paused_capacity", "paused_rate_limit",
    ]  # fmt: skip


def test_only_the_users_failures_are_final() -> None:
    """The server's may pass, and so may those of which nothing is known."""
    assert [c.value for c in RequestErrorCategory.values() if c.retryable] == ["unknown", "server"]
    assert RequestErrorCategory.parse("User") is RequestErrorCategory.USER
    assert RequestErrorCategory.parse("nobody") is RequestErrorCategory.UNKNOWN
    error = ApiError("x", status_code=400, category="user")
    assert error.category == RequestErrorCategory.USER


def test_a_reason_that_is_not_known_is_none() -> None:
    """So that a caller decides what it means."""
    assert StopReason.parse("STOP") is StopReason.STOP
    assert StopReason.parse("tired") is None


@pytest.mark.parametrize("name", ["QueueState", "RequestErrorCategory", "StopReason"])
def test_the_words_are_those_of_the_contract(name: str) -> None:
    """All of openapi.yaml's, and "unknown" where a reader may need it; they are JSON as they are."""
    kind = getattr(types, name)
    assert {*get_args(getattr(wire, name))} <= {*kind.values()}
    assert {*kind.values()} - {*get_args(getattr(wire, name))} <= {"unknown"}
    assert json.loads(json.dumps(kind.values())) == [word.value for word in kind]
