"""Telemetry events without private data."""

from __future__ import annotations

import logging
import math
import re
import traceback
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, get_args
from uuid import uuid4

from tinkex_generated.models import (
    GenericEvent,
    SessionEndEvent,
    SessionStartEvent,
    UnhandledExceptionEvent,
)

from tinkex._base.redaction import clean, redact
from tinkex._core.events.bus import Event as BusEvent
from tinkex.errors import TinkexError

Severity = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]
EventType = Literal["SESSION_START", "SESSION_END", "UNHANDLED_EXCEPTION", "GENERIC_EVENT"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
# Spellings of other logging libraries.
_ALIASES: dict[str, Severity] = {
    "TRACE": "DEBUG", "NOTICE": "INFO", "WARN": "WARNING", "ERR": "ERROR", "EXCEPTION": "ERROR",
    "FATAL": "CRITICAL", "CRIT": "CRITICAL",
}  # fmt: skip
Event = GenericEvent | SessionStartEvent | SessionEndEvent | UnhandledExceptionEvent

LONGEST_TEXT = 200
MOST_KEYS = 32
MOST_CAUSES = 8
_LARGEST = 2**63 - 1

# The fields of bus events that may leave the process; others are withheld until they are listed
# here.
FIELDS = (
    "operation",
    "caller",
    "method",
    "status_code",
    "result",
    "duration",
    "retries",
    "error_type",
    "category",
    "state",
    "reason",
    "request_id",
    "subject",
)
# A local path anywhere in a text; "tinker://run/weights/a" is not one.
_FILE_PATH = re.compile(r"(?<![\w:/.-])(?:~|\.{1,2}|[A-Za-z]:)?[/\\](?=[\w.~-])[^\s'\"]*")


def severity_of(value: object) -> Severity | None:
    """Return the severity of a name or of a level of `logging`, or None if it is unknown.

    >>> severity_of("info"), severity_of("warn"), severity_of(logging.ERROR), severity_of("loud")
    ('INFO', 'WARNING', 'ERROR', None)
    """
    text = logging.getLevelName(value) if isinstance(value, int) else value
    if not isinstance(text, str):
        return None
    name = text.strip().upper()
    return next((one for one in SEVERITIES if one == name), _ALIASES.get(name))


def _frame(index: int, severity: Severity) -> dict[str, Any]:
    return {
        "event_id": str(uuid4()),
        "event_session_index": index,
        "severity": severity,
        "timestamp": datetime.now(UTC),
    }


def session_start(index: int) -> SessionStartEvent:
    """Return the event of a session's start."""
    return SessionStartEvent(**_frame(index, "INFO"))


def session_end(index: int, seconds: float) -> SessionEndEvent:
    """Return the event of a session's end, with its duration."""
    return SessionEndEvent(**_frame(index, "INFO"), duration=str(timedelta(seconds=seconds)))


def generic(
    index: int, name: str, data: Mapping[str, Any] | None, severity: Severity
) -> GenericEvent:
    """Return a generic event; `data` keeps numbers, booleans, None and short strings.

    Keys and local paths in a string are masked.
    """
    return GenericEvent(
        **_frame(index, severity),
        event_name=_text(name),
        event_data=plain(data or {}),
    )


def from_bus(index: int, event: BusEvent, severity: Severity) -> GenericEvent:
    """Return a bus event with the fields that may leave the process."""
    fields = event.fields()
    reported = {name: fields[name] for name in FIELDS if fields.get(name) is not None}
    return generic(index, event.name, reported, severity)


def exception(
    index: int, error: BaseException, severity: Severity
) -> UnhandledExceptionEvent | GenericEvent:
    """Return the event of an error: its type and its location in tinkex, never its message.

    A message may quote a prompt, a path or a header. The event has the error's class, status, category
    and request id, those of its causes, and the lines of tinkex in their tracebacks. An error that the
    user can fix is a generic event named ``user_error``.
    """
    cause = user_error(error)
    if cause is not None:
        return generic(index, "user_error", _facts(cause), "WARNING")
    causes = list(chain(error))[:MOST_CAUSES]
    return UnhandledExceptionEvent(
        **_frame(index, severity),
        error_type=type(error).__name__,
        error_message="; caused by ".join(
            ", ".join(f"{name}={value}" for name, value in _facts(one).items()) for one in causes
        ),
        traceback="\ncaused by\n".join(
            f"{type(one).__name__}\n{_locations(one)}".rstrip() for one in causes
        ),
    )


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and the chain of its causes, each once."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        hidden = current.__suppress_context__
        current = current.__cause__ or (None if hidden else current.__context__)


def user_error(error: BaseException) -> BaseException | None:
    """Return the error in the chain of causes that the user can fix, if there is one."""
    for current in chain(error):
        status = getattr(current, "status_code", None)
        if isinstance(status, int) and 400 <= status < 500 and status not in (408, 410, 429):
            return current
        if isinstance(current, TinkexError) and current.category == "user":
            return current
    return None


def plain(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the data that may leave the process: at most 32 numbers, booleans, None and short strings."""
    kept: dict[str, Any] = {}
    for name, value in list(data.items())[:MOST_KEYS]:
        kept[_text(str(name))] = _plain(value)
    return kept


def _plain(value: object) -> object:
    if isinstance(value, str):
        return _text(value)
    if value is None or isinstance(value, bool):
        return value
    # JSON has no NaN or infinity, and some parsers have no large integers.
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(float(value))
    if isinstance(value, int):
        return int(value) if -_LARGEST <= value <= _LARGEST else "a large integer"
    return type(value).__name__


def _text(text: str) -> str:
    return _FILE_PATH.sub("[PATH]", clean(redact(text)))[:LONGEST_TEXT]


def _facts(error: BaseException) -> dict[str, Any]:
    facts = {
        "error_type": type(error).__name__,
        "status_code": getattr(error, "status_code", None),
        "category": getattr(error, "category", None),
        "request_id": getattr(error, "request_id", None),
    }
    return plain({name: value for name, value in facts.items() if value is not None})


def _locations(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    locations = []
    for frame in frames:
        _, package, rest = frame.filename.replace("\\", "/").rpartition("/tinkex/")
        where = f"tinkex/{rest}" if package else "user code"
        locations.append(f"{where}:{frame.lineno} in {frame.name}" if package else where)
    return "\n".join(locations)
