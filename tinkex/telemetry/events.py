"""Make telemetry events that hold nothing private."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import uuid4

from tinkex_generated.models import (
    GenericEvent,
    SessionEndEvent,
    SessionStartEvent,
    UnhandledExceptionEvent,
)

from tinkex.errors import TinkexError

Severity = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]
EventType = Literal["SESSION_START", "SESSION_END", "UNHANDLED_EXCEPTION", "GENERIC_EVENT"]
Event = GenericEvent | SessionStartEvent | SessionEndEvent | UnhandledExceptionEvent

LONGEST_TEXT = 200
MOST_KEYS = 32


def _frame(index: int, severity: Severity) -> dict[str, Any]:
    return {
        "event_id": str(uuid4()),
        "event_session_index": index,
        "severity": severity,
        "timestamp": datetime.now(UTC),
    }


def session_start(index: int) -> SessionStartEvent:
    """Say that a session began."""
    return SessionStartEvent(**_frame(index, "INFO"))


def session_end(index: int, seconds: float) -> SessionEndEvent:
    """Say that a session ended, and how long it took."""
    return SessionEndEvent(**_frame(index, "INFO"), duration=str(timedelta(seconds=seconds)))


def generic(
    index: int, name: str, data: Mapping[str, Any] | None, severity: Severity
) -> GenericEvent:
    """Say that something happened; `data` keeps numbers, booleans, None and short strings."""
    return GenericEvent(
        **_frame(index, severity), event_name=name[:LONGEST_TEXT], event_data=plain(data or {})
    )


def exception(
    index: int, error: BaseException, severity: Severity
) -> UnhandledExceptionEvent | GenericEvent:
    """Say which error happened and where in tinkex, never what it said.

    A message may quote a prompt, a path or a header. So an event has the error's class, status,
    category and request id, and the lines of tinkex that it passed. An error that the user can
    mend is a generic event named ``user_error``.
    """
    cause = user_error(error)
    if cause is not None:
        return generic(index, "user_error", _facts(cause), "WARNING")
    facts = ", ".join(f"{name}={value}" for name, value in _facts(error).items())
    return UnhandledExceptionEvent(
        **_frame(index, severity),
        error_type=type(error).__name__,
        error_message=facts,
        traceback=_places(error),
    )


def user_error(error: BaseException) -> BaseException | None:
    """Return the error in the chain of causes that the user can mend, if there is one."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        status = getattr(current, "status_code", None)
        if isinstance(status, int) and 400 <= status < 500 and status not in (408, 410, 429):
            return current
        if isinstance(current, TinkexError) and current.category == "user":
            return current
        current = current.__cause__ or current.__context__
    return None


def plain(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return what may leave the process: at most 32 numbers, booleans, None and short strings."""
    kept: dict[str, Any] = {}
    for name, value in list(data.items())[:MOST_KEYS]:
        if value is None or isinstance(value, bool | int | float):
            kept[str(name)[:LONGEST_TEXT]] = value
        elif isinstance(value, str):
            kept[str(name)[:LONGEST_TEXT]] = value[:LONGEST_TEXT]
        else:
            kept[str(name)[:LONGEST_TEXT]] = type(value).__name__
    return kept


def _facts(error: BaseException) -> dict[str, Any]:
    facts = {
        "error_type": type(error).__name__,
        "status_code": getattr(error, "status_code", None),
        "category": getattr(error, "category", None),
        "request_id": getattr(error, "request_id", None),
    }
    return plain({name: value for name, value in facts.items() if value is not None})


def _places(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    places = []
    for frame in frames:
        _, package, rest = frame.filename.replace("\\", "/").rpartition("/tinkex/")
        where = f"tinkex/{rest}" if package else "user code"
        places.append(f"{where}:{frame.lineno} in {frame.name}" if package else where)
    return "\n".join(places)
