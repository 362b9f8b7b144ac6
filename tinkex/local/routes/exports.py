"""Exported weights: an adapter as files, each with a separate URL."""

from typing import Any

from starlette.responses import Response
from tinkex_generated.models import (
    ExternalWeightsUrlsResponse,
    SaveWeightsExternalResponseInternal,
    UntypedAPIFuture,
)

from tinkex._base.checkpoint_path import CheckpointPath
from tinkex.local.app_state import AppState
from tinkex.local.call import Call
from tinkex.local.engine import Trainer
from tinkex.local.live import LiveModel
from tinkex.local.manifest import COMPLETE_MARKER, MANIFEST_NAME
from tinkex.local.problem import Problem
from tinkex.local.routes.runs import send_file
from tinkex.local.routes.weights import promised_path, submit_save

RETRY_AFTER_S = 1
# What the server keeps beside an export's files.
_OWN_FILES = frozenset({COMPLETE_MARKER, MANIFEST_NAME})


def save_weights_external(state: AppState, call: Call) -> UntypedAPIFuture:
    """Export the adapter in PEFT layout."""
    body = call.body
    if body.age_encryption_recipients:
        raise Problem(
            400,
            "age_encryption_recipients: the local server cannot encrypt; leave it out to get"
            " unencrypted files",
        )
    path = promised_path(body, "external_weights")

    def work(trainer: Trainer) -> SaveWeightsExternalResponseInternal:
        record = state.checkpoints.save(
            path, lambda folder: trainer.save(folder, False), ttl_seconds=body.ttl_seconds
        )
        return SaveWeightsExternalResponseInternal(path=str(path), size_bytes=record.size_bytes)

    return submit_save(state, call, path, work, overwrite=False)


def get_external_weights_urls(state: AppState, call: Call) -> ExternalWeightsUrlsResponse:
    """Sign a URL for each file of an export."""
    path = call.checkpoint_path()
    if path.kind != "external_weights":
        raise Problem(
            400, f"{path} is no export: ask for its archive, or save it with save_weights_external"
        )
    models: list[LiveModel] = list(state.models.all())
    if not state.checkpoints.exists(path) and any(
        str(path) in one.promised_names for one in models
    ):
        raise Problem(
            425, f"{path} is still being written", headers={"retry-after": str(RETRY_AFTER_S)}
        )
    folder = state.checkpoints.folder(state.checkpoints.get(path))
    base = call.url.removesuffix("/external_weights_urls")
    urls, ends = {}, None
    for file in sorted(folder.glob("*")):
        if file.name not in _OWN_FILES:
            query, ends = state.signer.query(_subject(path, file.name))
            urls[file.name] = f"{base}/files/{file.name}?{query}"
    if ends is None:
        raise Problem(404, f"checkpoint {path} was deleted meanwhile")
    return ExternalWeightsUrlsResponse(urls=urls, expires=ends)


def download_external_weights(state: AppState, call: Call) -> Response:
    """Send a file of an export, or a range of it."""
    path, name = call.checkpoint_path(), call.parameters["file_name"]
    call.verify_signature(state.signer, _subject(path, name))
    record = state.checkpoints.get(path)
    file = state.checkpoints.folder(record) / name
    if name in _OWN_FILES or not file.is_file():
        raise Problem(404, f"{path} has no file {name!r}")
    return send_file(state, call, record, file, name)


def _subject(path: CheckpointPath, name: str) -> str:
    return f"file {name} {path}"


HANDLERS: dict[str, Any] = {
    "save_weights_external": save_weights_external,
    "get_external_weights_urls": get_external_weights_urls,
    "download_external_weights": download_external_weights,
}
