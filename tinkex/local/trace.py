"""A session's requests as a trace that chrome://tracing and ui.perfetto.dev show.

Format: the JSON object form of the Trace Event Format (Google, "Trace Event Format", 2016). A model
computes one request at a time, so its requests are complete events ("X") on a separate track.
Samples overlap; they, and every wait in the queue, are asynchronous events ("b" and "e").
"""

from collections.abc import Sequence
from typing import Any

from tinkex.local.journal import JournalEntry

_PROCESS = 1
_SAMPLING = frozenset({"asample", "stream_sample"})


def trace_of(session_id: str, entries: Sequence[JournalEntry]) -> dict[str, Any]:
    """Return the trace of a session; times are microseconds since 1970."""
    tracks: dict[str, int] = {}
    events = [_named("process_name", 0, f"session {session_id}")]
    for entry in entries:
        if entry.track not in tracks:
            tracks[entry.track] = len(tracks) + 1
            events.append(_named("thread_name", tracks[entry.track], entry.track))
        events.extend(_events(entry, tracks[entry.track]))
    return {"displayTimeUnit": "ms", "traceEvents": events}


def _events(entry: JournalEntry, track: int) -> list[dict[str, Any]]:
    arguments = {"request_id": entry.request_id, "failed": entry.failed}
    begun = entry.finished_at if entry.began_at is None else entry.began_at
    waiting = _span("queue", f"{entry.operation} waits", entry, track, entry.opened_at, begun, {})
    if entry.began_at is None:
        return waiting
    if entry.operation in _SAMPLING:
        return waiting + _span(
            "sampling", entry.operation, entry, track, begun, entry.finished_at, arguments
        )
    return [
        *waiting,
        {
            "ph": "X",
            "cat": "training",
            "name": entry.operation,
            "pid": _PROCESS,
            "tid": track,
            "ts": _microseconds(begun),
            "dur": _microseconds(entry.finished_at) - _microseconds(begun),
            "args": arguments,
        },
    ]


def _span(
    category: str,
    name: str,
    entry: JournalEntry,
    track: int,
    start: float,
    end: float,
    arguments: dict[str, Any],
) -> list[dict[str, Any]]:
    shared = {
        "cat": category,
        "name": name,
        "id": entry.request_id,
        "pid": _PROCESS,
        "tid": track,
    }
    return [
        {"ph": "b", **shared, "ts": _microseconds(start), "args": arguments},
        {"ph": "e", **shared, "ts": _microseconds(end), "args": {}},
    ]


def _named(kind: str, track: int, name: str) -> dict[str, Any]:
    return {"ph": "M", "name": kind, "pid": _PROCESS, "tid": track, "args": {"name": name}}


def _microseconds(seconds: float) -> int:
    return round(seconds * 1e6)
