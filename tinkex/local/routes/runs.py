"""Training runs and checkpoints: listing, deleting, publishing, expiry, download."""

from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Any

from starlette.responses import FileResponse, Response
from tinkex_generated.models import (
    Checkpoint,
    CheckpointsListResponse,
    CheckpointType,
    Cursor,
    TrainingRun,
    TrainingRunsResponse,
)

from tinkex._base.checkpoint_path import CheckpointKind
from tinkex._base.file_names import portable_name
from tinkex.local.app_state import AppState
from tinkex.local.call import Call
from tinkex.local.checkpoints import CheckpointRecord
from tinkex.local.run_status import status_of
from tinkex.local.runs import RunRecord

MODEL_OWNER = "local"
_TYPES: dict[CheckpointKind, CheckpointType] = {
    "weights": "training",
    "sampler_weights": "sampler",
    "external_weights": "external",
}


def list_training_runs(state: AppState, call: Call) -> TrainingRunsResponse:
    """List training runs, newest first."""
    limit, offset = call.parameters["limit"], call.parameters["offset"]
    page, total = state.runs.page(limit, offset, call.parameters["project_id"])
    return TrainingRunsResponse(
        training_runs=[_run(state, run) for run in page],
        cursor=Cursor(offset=offset, limit=limit, total_count=total),
    )


def get_training_run(state: AppState, call: Call) -> TrainingRun:
    """Describe a training run."""
    return _run(state, state.runs.get(call.parameters["training_run_id"]))


def list_checkpoints(state: AppState, call: Call) -> CheckpointsListResponse:
    """List a run's checkpoints, newest first."""
    run = state.runs.get(call.parameters["training_run_id"])
    return CheckpointsListResponse(
        checkpoints=[_checkpoint(record) for record in state.checkpoints.of_run(run.run_id)]
    )


def list_user_checkpoints(state: AppState, call: Call) -> CheckpointsListResponse:
    """List the checkpoints of all runs, newest first."""
    limit, offset = call.parameters["limit"], call.parameters["offset"]
    page, total = state.checkpoints.page(limit, offset)
    return CheckpointsListResponse(
        checkpoints=[_checkpoint(record) for record in page],
        cursor=Cursor(offset=offset, limit=limit, total_count=total),
    )


def delete_checkpoint(state: AppState, call: Call) -> None:
    """Delete a checkpoint for good."""
    state.checkpoints.delete(call.checkpoint_path())


def publish_checkpoint(state: AppState, call: Call) -> None:
    """Mark a checkpoint as public."""
    state.checkpoints.set_public(call.checkpoint_path(), True)


def unpublish_checkpoint(state: AppState, call: Call) -> None:
    """Mark a checkpoint as private again."""
    state.checkpoints.set_public(call.checkpoint_path(), False)


def set_checkpoint_ttl(state: AppState, call: Call) -> None:
    """Set or remove the expiry of a checkpoint."""
    state.checkpoints.set_ttl(call.checkpoint_path(), call.body.ttl_seconds)


def get_checkpoint_archive_url(state: AppState, call: Call) -> Response:
    """Redirect to the archive of a checkpoint."""
    path = call.checkpoint_path()
    state.archives.ensure(state.checkpoints.get(path))
    query, ends = state.signer.query(f"archive {path}")
    # The URL may have left out the kind, which that of the archive never does.
    base = f"{call.url.rpartition('/checkpoints/')[0]}/checkpoints/{path.checkpoint_id}"
    return Response(
        status_code=302,
        headers={"location": f"{base}/download?{query}", "expires": format_datetime(ends, True)},
    )


def download_checkpoint_archive(state: AppState, call: Call) -> Response:
    """Send the archive of a checkpoint, or a range of it."""
    path = call.checkpoint_path()
    call.verify_signature(state.signer, f"archive {path}")
    record = state.checkpoints.get(path)
    file = state.archives.ensure(record)
    return send_file(
        state, call, record, file, portable_name(f"{path.training_run_id}_{path.name}.tar")
    )


def send_file(
    state: AppState, call: Call, record: CheckpointRecord, file: Path, filename: str
) -> Response:
    """Send a file made from a checkpoint, or a range of it; its folder never changes."""
    headers = {"etag": f'"{record.folder_id}"', "accept-ranges": "bytes"}
    if call.request.headers.get("if-none-match") == headers["etag"]:
        return Response(status_code=304, headers=headers)
    state.audit.add("checkpoint", "read", tinker_path=str(record.path), purpose="download")
    return FileResponse(
        file, media_type="application/octet-stream", filename=filename, headers=headers
    )


def _run(state: AppState, run: RunRecord) -> TrainingRun:
    newest = state.checkpoints.newest(run.run_id, "weights")
    sampler = state.checkpoints.newest(run.run_id, "sampler_weights")
    found = status_of(state, run)
    return TrainingRun(
        training_run_id=run.run_id,
        base_model=run.base_model,
        model_owner=MODEL_OWNER,
        is_lora=True,
        lora_rank=run.lora_rank,
        last_request_time=as_time(run.last_request_at),
        last_checkpoint=None if newest is None else _checkpoint(newest),
        last_sampler_checkpoint=None if sampler is None else _checkpoint(sampler),
        user_metadata=run.user_metadata,
        display_name=found.display_name,
        status=found.status,
    )


def _checkpoint(record: CheckpointRecord) -> Checkpoint:
    return Checkpoint(
        checkpoint_id=record.path.checkpoint_id,
        checkpoint_type=_TYPES[record.path.kind],
        time=as_time(record.created_at),
        tinker_path=str(record.path),
        size_bytes=record.size_bytes,
        public=record.public,
        expires_at=None if record.expires_at is None else as_time(record.expires_at),
        user_metadata=record.user_metadata,
    )


def as_time(seconds: float) -> datetime:
    """Return a clock reading as the wire has it: a time in UTC."""
    return datetime.fromtimestamp(seconds, UTC)


HANDLERS: dict[str, Any] = {
    "list_training_runs": list_training_runs,
    "get_training_run": get_training_run,
    "list_checkpoints": list_checkpoints,
    "list_user_checkpoints": list_user_checkpoints,
    "delete_checkpoint": delete_checkpoint,
    "publish_checkpoint": publish_checkpoint,
    "unpublish_checkpoint": unpublish_checkpoint,
    "set_checkpoint_ttl": set_checkpoint_ttl,
    "get_checkpoint_archive_url": get_checkpoint_archive_url,
    "get_sampler_archive_url": get_checkpoint_archive_url,
    "download_checkpoint_archive": download_checkpoint_archive,
}
