"""Token counts of calls, emitted to the subscribers of `TokensUsed`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from attrs import define

from tinkex._core.events.bus import emit, has_subscribers, has_subscribers_for
from tinkex._core.operation_context import current_context
from tinkex.types.datum import Datum
from tinkex.types.model_input import ModelInput


def emit_trained_tokens(session_id: str, operation: str, data: Sequence[Datum]) -> None:
    """Emit the tokens of a submitted batch; `forward` only reads them."""
    if not _is_wanted():
        return
    tokens = sum(datum.model_input.known_length() or 0 for datum in data)
    if operation == "forward":
        _emit(operation, session_id, prompted=tokens)
    else:
        _emit(operation, session_id, trained=tokens)


def emit_sampled_tokens(session_id: str, prompt: ModelInput, value: Any) -> None:
    """Emit the tokens of a finished sample, or of a prompt with its log probabilities."""
    if not _is_wanted():
        return
    # Of the tokens as they came: no list or array is made of them here.
    sampled = sum(len(sequence._tokens) for sequence in getattr(value, "sequences", ()))
    operation = "sample" if hasattr(value, "sequences") else "compute_logprobs"
    _emit(operation, session_id, prompted=prompt.known_length() or 0, sampled=sampled)


@define
class StreamedTokens:
    """The number of tokens that a stream has yielded."""

    count: int = 0


@contextlib.contextmanager
def emit_streamed_tokens(
    session_id: str, model: str | None, prompt_tokens: int
) -> Iterator[StreamedTokens]:
    """Emit a stream's tokens when the block ends, however it ends."""
    seen = StreamedTokens()
    try:
        yield seen
    finally:
        if _is_wanted() and seen.count:
            _emit("sample_stream", session_id, model, prompted=prompt_tokens, sampled=seen.count)


def _is_wanted() -> bool:
    if not has_subscribers():
        return False
    from tinkex._core.events.types import TokensUsed

    return has_subscribers_for(TokensUsed)


def _emit(operation: str, session_id: str, model: str | None = None, **counts: int) -> None:
    from tinkex._core.events.types import TokensUsed

    context = current_context()
    if context is not None:
        operation, model = context.operation, model or context.model
    emit(TokensUsed(operation=operation, model=model, session_id=session_id, **counts))
