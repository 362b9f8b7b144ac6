"""Usage, storage and the audit log. Nothing here costs anything."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tinkex_generated.decode import date, date_time
from tinkex_generated.errors import ParseError
from tinkex_generated.models import (
    AuditLogEntry,
    AuditLogResponse,
    BillingSession,
    BillingUsageEvent,
    BillingUsageResponse,
    CheckpointStorageUsage,
    CheckpointUsage,
    CurrentCheckpointStorageUsageResponse,
    SamplingPrefillUsage,
    SamplingSampleUsage,
    TrainingUsage,
)

from tinkex.local.app_state import AppState
from tinkex.local.audit import AuditEntry
from tinkex.local.call import Call
from tinkex.local.paths import parse_path
from tinkex.local.problem import Problem
from tinkex.local.routes.runs import as_time
from tinkex.local.usage import HOUR_S, UsageRow

BYTES_PER_GIGABYTE = 1e9
MOST_DAYS = 14


def get_audit_log(state: AppState, call: Call) -> AuditLogResponse:
    """List what happened on one day."""
    day = _read(date, call.parameters["day"], "day")
    entries = state.audit.of_day(day, call.parameters["event_type"])
    return AuditLogResponse(entries=[_audit_entry(entry) for entry in entries])


def get_billing_usage(state: AppState, call: Call) -> BillingUsageResponse:
    """Return the trained, read and sampled tokens and saved checkpoints by hour, without prices."""
    start, end = (
        _read(date_time, call.parameters[name], name) for name in ("starting_on", "ending_before")
    )
    for name, moment in (("starting_on", start), ("ending_before", end)):
        if moment.timestamp() % HOUR_S:
            raise Problem(400, f"{name} must be a full hour in UTC, got {moment.isoformat()}")
    if start.timestamp() > state.now():
        raise Problem(400, "starting_on must not be in the future")
    if not timedelta(0) < end - start <= timedelta(days=MOST_DAYS):
        raise Problem(
            400, f"ending_before must come after starting_on, by at most {MOST_DAYS} days"
        )
    rows = state.usage.window(start.timestamp(), end.timestamp())
    named = sorted({row.session_id for row in rows if row.session_id is not None})
    return BillingUsageResponse(
        data=[_usage_event(row) for row in rows],
        sessions={
            session_id: BillingSession(user_metadata=state.sessions.get(session_id).user_metadata)
            for session_id in named
        },
    )


def get_checkpoint_storage_usage(
    state: AppState, call: Call
) -> CurrentCheckpointStorageUsageResponse:
    """Return the storage of the checkpoints of each project."""
    project_id = call.parameters["project_id"]
    usage = state.checkpoints.storage_by_project()
    return CurrentCheckpointStorageUsageResponse(
        data=[
            CheckpointStorageUsage(
                checkpoint_count=count,
                size_bytes=size,
                size_gigabytes=size / BYTES_PER_GIGABYTE,
                project_id=project,
            )
            for project, count, size in usage
            if project_id in (None, project)
        ]
    )


def _audit_entry(entry: AuditEntry) -> AuditLogEntry:
    path = entry.details.get("tinker_path")
    return AuditLogEntry(
        timestamp=as_time(entry.at),
        event=f"{entry.resource}_{entry.action}",
        event_details=entry.details,
        tinker_path=path,
        model_id=None if path is None else parse_path(path).training_run_id,
        purpose=entry.details.get("purpose"),
    )


def _usage_event(row: UsageRow) -> BillingUsageEvent:
    start = datetime.fromtimestamp(row.hour * HOUR_S, UTC)
    return BillingUsageEvent(
        bucket_start=start,
        bucket_end=start + timedelta(hours=1),
        event_info=_event_info(row),
        base_model=row.base_model,
        session_id=row.session_id,
        project_id=row.project_id,
    )


def _event_info(row: UsageRow) -> Any:
    match row.kind:
        case "training":
            return TrainingUsage(token_count=row.count)
        case "sampling_prefill":
            return SamplingPrefillUsage(cached=False, token_count=row.count)
        case "sampling_sample":
            return SamplingSampleUsage(token_count=row.count)
        case "checkpoint":
            return CheckpointUsage(count=row.count)


def _read(read: Any, text: str | None, name: str) -> Any:
    """Return a date or time of the query, or raise a 400 problem for one that Python has not."""
    try:
        return None if text is None else read(text.upper())
    except (ParseError, OverflowError) as error:
        raise Problem(400, f"{name}: {text!r} cannot be read as a date") from error


HANDLERS = {
    "get_audit_log": get_audit_log,
    "get_billing_usage": get_billing_usage,
    "get_checkpoint_storage_usage": get_checkpoint_storage_usage,
}
