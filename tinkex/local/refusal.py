"""Refused requests: noted for the page, and their sequence numbers hold up no later request."""

from collections.abc import Iterator
from contextlib import contextmanager

import orjson
from attrs import define
from starlette.requests import ClientDisconnect
from tinkex_generated.errors import ParseError

from tinkex._base.protobuf.fields import Message
from tinkex.local.app_state import AppState
from tinkex.local.problem import Problem, dotted

# The same bytes will come again under the same number.
_RETRIED = frozenset({408, 429})


@define
class Refusal:
    """A request that may be refused, as far as it is known."""

    content: bytes = b""
    binary: bool = False


@contextmanager
def noting_refusal(state: AppState, operation: str) -> Iterator[Refusal]:
    """Note the refusal of a request within the block, and its sequence number."""
    refusal = Refusal()
    try:
        yield refusal
    except ClientDisconnect:
        raise
    except Exception as error:
        if not (isinstance(error, Problem) and error.status in _RETRIED):
            _note(state, operation, refusal, error)
        raise


def reason_of(problem: Problem) -> str:
    """Return why a request was refused, as one line."""
    if not isinstance(problem.detail, list):
        return str(problem)
    issues = [f"{dotted(tuple(one['loc']))}: {one['msg']}" for one in problem.detail]
    return "; ".join(issues)


def _note(state: AppState, operation: str, refusal: Refusal, error: Exception) -> None:
    status, reason = 500, type(error).__name__
    if isinstance(error, Problem):
        status, reason = error.status, reason_of(error)
    state.troubles.add(f"{operation} ({status})", reason)
    try:
        model_id, seq_id = (_read_binary if refusal.binary else _read_json)(refusal.content)
    except (ParseError, ValueError, RecursionError):
        # What cannot be read belongs to no model.
        return
    if isinstance(model_id, str) and type(seq_id) is int:
        model = state.models.find(model_id)
        if model is not None:
            model.turns.refuse(seq_id)
            state.run_log.add(model_id, f"{operation} was refused ({status}): {reason}", "error")


def _read_json(content: bytes) -> tuple[object, object]:
    body = orjson.loads(content)
    if not isinstance(body, dict):
        return None, None
    return body.get("model_id"), body.get("seq_id")


def _read_binary(content: bytes) -> tuple[object, object]:
    message = Message(content)
    return message.text(1), message.integer(2, bits=32)
