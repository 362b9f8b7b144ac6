"""Count the tokens of a call, for those who listen to `TokensUsed`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from attrs import define

from tinkex._core.events.bus import emit, has_subscribers
from tinkex._core.operation_context import current_context
from tinkex.types.datum import Datum
from tinkex.types.model_input import ModelInput


def tell_trained(session_id: str, operation: str, data: Sequence[Datum]) -> None:
    """Tell of the tokens of a batch that the server has taken; `forward` only reads them."""
    tokens = sum(datum.model_input.known_length() or 0 for datum in data)
    if operation == "forward":
        _tell(operation, session_id, prompted=tokens)
    else:
        _tell(operation, session_id, trained=tokens)


def tell_sampled(session_id: str, prompt: ModelInput, value: Any) -> None:
    """Tell of the tokens of a sample that is there, or of a prompt whose logprobs are."""
    sampled = sum(len(sequence.tokens) for sequence in getattr(value, "sequences", ()))
    operation = "sample" if hasattr(value, "sequences") else "compute_logprobs"
    _tell(operation, session_id, prompted=prompt.known_length() or 0, sampled=sampled)


@define
class Streamed:
    """Hold how many tokens of a stream have come."""

    count: int = 0


@contextlib.contextmanager
def tokens_streamed(session_id: str, model: str | None, prompt_tokens: int) -> Iterator[Streamed]:
    """Tell of a stream's tokens at its end, whichever way it ends."""
    seen = Streamed()
    try:
        yield seen
    finally:
        if has_subscribers() and seen.count:
            _tell("sample_stream", session_id, model, prompted=prompt_tokens, sampled=seen.count)


def _tell(operation: str, session_id: str, model: str | None = None, **counts: int) -> None:
    from tinkex._core.events.types import TokensUsed

    scope = current_context()
    if scope is not None:
        operation, model = scope.operation, model or scope.model
    emit(TokensUsed(operation=operation, model=model, session_id=session_id, **counts))
