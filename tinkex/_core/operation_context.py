"""The user's call that the current thread or task works for, to attribute requests and polls."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any, Protocol, Self


class CallSpan(Protocol):
    """The span of a call, until its result is available."""

    span: Any

    def end(self, error: BaseException | None, request_id: str | None) -> None:
        """End the span."""
        ...


class OperationContext:
    """One call of the user's, from its submission to its result.

    A context manager around the submission. A `Future` that is created inside keeps it, resumes it for
    its work, and ends it; without a future it ends with the block.

    Attributes:
        operation: The call, such as "forward_backward".
        model: The base model, or the best description that the client has.
    """

    def __init__(
        self, operation: str, model: str | None = None, span: CallSpan | None = None
    ) -> None:
        self.operation = operation
        self.model = model
        self.span = span
        self._is_kept = False

    def keep(self) -> Self:
        """Extend the context beyond its block; the caller must end it."""
        self._is_kept = True
        return self

    def is_free_for(self, operation: str) -> bool:
        """Return whether the context is that of the call, and is not kept yet."""
        return not self._is_kept and self.operation == operation

    def end(self, error: BaseException | None = None, request_id: str | None = None) -> None:
        """End the call's span, if it has one."""
        if self.span is not None:
            self.span.end(error, request_id)

    @contextlib.contextmanager
    def again(self) -> Iterator[None]:
        """Re-enter the context."""
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)

    def __enter__(self) -> Self:
        self._token = _current.set(self)
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        _current.reset(self._token)
        if error is not None or not self._is_kept:
            self.end(error)


_current: ContextVar[OperationContext | None] = ContextVar("tinkex_scope", default=None)


def current_context() -> OperationContext | None:
    """Return the call that this thread works for, if known."""
    return _current.get()
