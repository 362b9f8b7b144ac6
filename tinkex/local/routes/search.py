"""Finding sessions again."""

from collections.abc import Callable
from typing import Any

from tinkex_generated.models import (
    ActiveStatus,
    CancelledStatus,
    ClientFinishedStatus,
    SessionFinishReason,
    SessionSearchCursor,
    SessionSearchResponse,
    SessionSummary,
)

from tinkex.local.app_state import AppState
from tinkex.local.call import Call
from tinkex.local.routes.runs import MODEL_OWNER, as_time
from tinkex.local.sessions import SessionRecord


def search_sessions(state: AppState, call: Call) -> SessionSearchResponse:
    """Find sessions by id, name, metadata, project or state, newest first."""
    body = call.body
    accept = _filter(body)
    found = [record for record in state.sessions.all() if accept(record)]
    if body.cursor is not None:
        last = (body.cursor.last_created_at.timestamp(), body.cursor.last_session_id)
        found = [record for record in found if _after(record, last)]
    page = found[: body.limit]
    cursor = None
    if len(found) > len(page):
        cursor = SessionSearchCursor(
            last_created_at=as_time(page[-1].created_at), last_session_id=page[-1].session_id
        )
    return SessionSearchResponse(
        sessions=[_summary(state, record) for record in page], next_cursor=cursor
    )


def _filter(body: Any) -> Callable[[SessionRecord], bool]:
    """Return whether a session is one of those that are asked for."""
    words = (body.display_name or "").lower().split()
    wanted = body.user_metadata or {}
    urns = getattr(body.owner, "owner_urns", None)

    def accept(record: SessionRecord) -> bool:
        if urns is not None and MODEL_OWNER not in urns:
            return False
        if body.project_ids is not None and record.project_id not in body.project_ids:
            return False
        metadata = record.user_metadata or {}
        if any(metadata.get(key) != value for key, value in wanted.items()):
            return False
        if body.statuses is not None and not any(_has(record, one) for one in body.statuses):
            return False
        if body.session_id is None and not words:
            return True
        name = (record.display_name or "").lower()
        named = bool(words) and all(word in name for word in words)
        return record.session_id == body.session_id or named

    return accept


def _has(record: SessionRecord, query: Any) -> bool:
    reasons = getattr(query, "reasons", None)
    return record.status == query.type_ and (reasons is None or record.reason in reasons)


def _after(record: SessionRecord, last: tuple[float, str]) -> bool:
    """Return whether a session comes after a cursor: older, or as old with a greater id."""
    # Times travel with microseconds; what is nearer than that counts as equal.
    difference = record.created_at - last[0]
    return difference < -1e-6 or (abs(difference) <= 1e-6 and record.session_id > last[1])


def _summary(state: AppState, record: SessionRecord) -> SessionSummary:
    count, size = state.checkpoints.storage_of_session(record.session_id)
    return SessionSummary(
        session_id=record.session_id,
        created_at=as_time(record.created_at),
        owner=MODEL_OWNER,
        project_id=record.project_id or "",
        checkpoints_count=count,
        status=_status(record),
        display_name=record.display_name,
        user_metadata=record.user_metadata,
        checkpoint_storage_bytes=size,
    )


def _status(record: SessionRecord) -> ActiveStatus | CancelledStatus | ClientFinishedStatus:
    if record.status == "active":
        return ActiveStatus()
    if record.status == "client_finished":
        reason = SessionFinishReason.from_dict({"type": record.reason})
        return ClientFinishedStatus(reason=reason, detail=record.detail)
    return CancelledStatus(detail=record.detail)


HANDLERS = {"search_sessions": search_sessions}
