"""Refused requests of a model: their sequence numbers hold up no later request."""

from collections.abc import Iterator
from contextlib import contextmanager

import orjson
from attrs import define
from starlette.requests import ClientDisconnect
from tinkex_generated.errors import ParseError

from tinkex._base.protobuf.fields import Message
from tinkex.local.app_state import AppState
from tinkex.local.problem import Problem

# The same bytes will come again under the same number.
_RETRIED = frozenset({408, 429})


@define
class Refusal:
    """What is known of a request whose handling may end in a refusal."""

    content: bytes = b""
    binary: bool = False


@contextmanager
def noting_refusal(site: AppState) -> Iterator[Refusal]:
    """Note the sequence number of a request that is refused within the block."""
    refusal = Refusal()
    try:
        yield refusal
    except ClientDisconnect:
        raise
    except Exception as error:
        if not (isinstance(error, Problem) and error.status in _RETRIED):
            _note(site, refusal)
        raise


def _note(site: AppState, refusal: Refusal) -> None:
    try:
        model_id, seq_id = (_read_binary if refusal.binary else _read_json)(refusal.content)
    except (ParseError, ValueError, RecursionError):
        # What cannot be read belongs to no model.
        return
    if isinstance(model_id, str) and type(seq_id) is int:
        model = site.models.find(model_id)
        if model is not None:
            model.turns.refuse(seq_id)


def _read_json(content: bytes) -> tuple[object, object]:
    body = orjson.loads(content)
    if not isinstance(body, dict):
        return None, None
    return body.get("model_id"), body.get("seq_id")


def _read_binary(content: bytes) -> tuple[object, object]:
    message = Message(content)
    return message.text(1), message.integer(2, bits=32)
