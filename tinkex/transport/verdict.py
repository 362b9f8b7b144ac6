"""What an attempt means for the call: done, once more, or an error."""

from __future__ import annotations

from collections.abc import Callable, Container

from tinkex.errors import ApiError, TransportError
from tinkex.transport.answer import Broken, Reply
from tinkex.transport.classes import RequestClass, request_class
from tinkex.transport.failures import is_retryable_status
from tinkex.transport.retry import retry_after_seconds


def is_fine(response: Reply, accept: Container[int]) -> bool:
    """Tell whether an answer is a result: any 2xx, and what the caller counts among them."""
    return response.is_success or response.status_code in accept


def failure_of(
    outcome: Reply | Broken, api_error: Callable[[Reply, str], ApiError], operation: str
) -> tuple[ApiError | TransportError, bool, float | None]:
    """Return the error, whether the request may be repeated, and how long the server asks."""
    kind = request_class(operation)
    if isinstance(outcome, Reply):
        error = api_error(outcome, operation)
        may_repeat = kind is not RequestClass.BACKGROUND and is_retryable_status(
            outcome, idempotent=kind.is_idempotent
        )
        return error, may_repeat, retry_after_seconds(outcome.headers)
    safe = kind.is_idempotent or (kind is RequestClass.UNKEYED and not outcome.was_sent)
    return outcome.error, safe and outcome.error.retryable, None


def final(
    error: ApiError | TransportError, refusal: str, history: list[str]
) -> ApiError | TransportError:
    """Return the error of a call that is given up, with why and with what was tried."""
    if refusal:
        error.message += f"; {refusal}"
    error.attempts = tuple(history)
    return error
