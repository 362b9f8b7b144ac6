"""Make telemetry events that hold nothing private."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Iterator, Mapping
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
from tinkex.events.bus import Event as BusEvent

Severity = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]
EventType = Literal["SESSION_START", "SESSION_END", "UNHANDLED_EXCEPTION", "GENERIC_EVENT"]
Event = GenericEvent | SessionStartEvent | SessionEndEvent | UnhandledExceptionEvent

LONGEST_TEXT = 200
MOST_KEYS = 32
MOST_CAUSES = 8

# The fields of an event of the bus that may leave the process; a new one stays at home until it is
# written here.
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
# A path of somebody's machine, wherever it stands in a text; "tinker://run/weights/a" is none.
_FILE_PATH = re.compile(r"(?<![\w:/.-])(?:~|\.{1,2}|[A-Za-z]:)?[/\\](?=[\w.~-])[^\s'\"]*")


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
    index: int,
    name: str,
    data: Mapping[str, Any] | None,
    severity: Severity,
    redact: Callable[[str], str] = str,
) -> GenericEvent:
    """Say that something happened; `data` keeps numbers, booleans, None and short strings.

    Keys and paths of this machine in a string are masked.
    """
    return GenericEvent(
        **_frame(index, severity),
        event_name=_text(name, redact),
        event_data=plain(data or {}, redact),
    )


def from_bus(
    index: int, event: BusEvent, severity: Severity, redact: Callable[[str], str] = str
) -> GenericEvent:
    """Say what the SDK did, in the fields that may be told."""
    fields = event.fields()
    told = {name: fields[name] for name in FIELDS if fields.get(name) is not None}
    return generic(index, event.name, told, severity, redact)


def exception(
    index: int, error: BaseException, severity: Severity
) -> UnhandledExceptionEvent | GenericEvent:
    """Say which error happened and where in tinkex, never what it said.

    A message may quote a prompt, a path or a header. So an event has the error's class, status,
    category and request id, those of its causes, and the lines of tinkex that they passed. An error
    that the user can mend is a generic event named ``user_error``.
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
            f"{type(one).__name__}\n{_places(one)}".rstrip() for one in causes
        ),
    )


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, its cause, the cause's cause and so on; each once."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        hidden = current.__suppress_context__
        current = current.__cause__ or (None if hidden else current.__context__)


def user_error(error: BaseException) -> BaseException | None:
    """Return the error in the chain of causes that the user can mend, if there is one."""
    for current in chain(error):
        status = getattr(current, "status_code", None)
        if isinstance(status, int) and 400 <= status < 500 and status not in (408, 410, 429):
            return current
        if isinstance(current, TinkexError) and current.category == "user":
            return current
    return None


def plain(data: Mapping[str, Any], redact: Callable[[str], str] = str) -> dict[str, Any]:
    """Return what may leave the process: at most 32 numbers, booleans, None and short strings."""
    kept: dict[str, Any] = {}
    for name, value in list(data.items())[:MOST_KEYS]:
        key = _text(str(name), redact)
        if value is None or isinstance(value, bool | int | float):
            kept[key] = value
        else:
            kept[key] = _text(value, redact) if isinstance(value, str) else type(value).__name__
    return kept


def _text(said: str, redact: Callable[[str], str]) -> str:
    return _FILE_PATH.sub("[PATH]", redact(said))[:LONGEST_TEXT]


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
