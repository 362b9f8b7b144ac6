"""The call that a thread is working for, so that requests and polls know what they belong to."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from tinkex._core.tracing import OperationSpan


class OperationContext:
    """Be one call of the user's, from its submission to its result.

    Used as a context manager around the submission. A `Future` that is made inside keeps it, works
    inside it wherever it is stepped, and ends it; without one it ends with the block.

    Attributes:
        operation: The call, such as "forward_backward".
        model: The base model, or what the client knows instead.
    """

    def __init__(
        self, operation: str, model: str | None = None, span: OperationSpan | None = None
    ) -> None:
        self.operation = operation
        self.model = model
        self.span = span
        self._is_kept = False

    def keep(self) -> Self:
        """Let the scope outlive its block; whoever keeps it ends it."""
        self._is_kept = True
        return self

    def is_free_for(self, operation: str) -> bool:
        """Tell whether the scope is that of a call, and nobody keeps it yet."""
        return not self._is_kept and self.operation == operation

    def end(self, error: BaseException | None = None, request_id: str | None = None) -> None:
        """End the call's span, if it has one."""
        if self.span is not None:
            self.span.end(error, request_id)

    @contextlib.contextmanager
    def again(self) -> Iterator[None]:
        """Work inside the scope once more."""
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)

    def __enter__(self) -> Self:
        self._token = _current.set(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _current.reset(self._token)
        if error is not None or not self._is_kept:
            self.end(error)


_current: ContextVar[OperationContext | None] = ContextVar("tinkex_scope", default=None)


def current_context() -> OperationContext | None:
    """Return the call that this thread is working for, if that is known."""
    return _current.get()
