"""Export of a training checkpoint for download, on servers without archives."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import Any

from tinkex_generated.api.models import unload_model
from tinkex_generated.api.weights import load_weights, save_weights_external
from tinkex_generated.models import (
    LoadWeightsRequest,
    SaveWeightsExternalRequest,
    UnloadModelRequest,
)
from tinkex_generated.types import Request

from tinkex._core.failures import is_missing_route
from tinkex._core.model_creation import create_model, lora_of, optimizer_of
from tinkex._core.session import Session
from tinkex._core.submission import SubmissionQueue, future
from tinkex._core.transport import Transport
from tinkex.errors import DecodeError, TinkexError, TransportError
from tinkex.types import (
    LoadWeightsResponse,
    SaveWeightsExternalResponse,
    WeightsInfoResponse,
)

log = logging.getLogger("tinkex.checkpoints")

NAME = "download"
# Seconds after which the server deletes an export that could not be deleted here after a crash.
TTL = 3600
PATIENCE = 10.0


def offers_exports(transport: Transport) -> bool:
    """Return whether a server has the route that exports weights; no model is needed."""
    body = SaveWeightsExternalRequest(model_id="none", path=NAME, seq_id=1)
    response = transport.send_once(save_weights_external.build_request(body=body), timeout=PATIENCE)
    if isinstance(response, TransportError):
        return False
    return not is_missing_route(response.status_code, response.content.decode("utf-8", "replace"))


@contextlib.contextmanager
def exported(
    transport: Transport, path: str, info: WeightsInfoResponse, delete: Callable[[str], None]
) -> Iterator[str]:
    """Restore a training checkpoint in a new session, and export it while the block runs.

    Args:
        transport: The connection to the server.
        path: The checkpoint.
        info: The server's description of it.
        delete: Deletes the export afterwards.

    Yields:
        The path of the export.

    Raises:
        TinkexError: The server refuses the checkpoint or the export.
    """
    session = Session(transport)
    try:
        model_id = create_model(session, info.base_model, lora_of(info), None, optimizer_of(info))
        queue = SubmissionQueue(session)

        def call(build: Callable[[int], Request], request_type: str, parse: Any) -> Any:
            work = queue.submit([build], request_type=request_type, parse=parse)
            return future(session, work, "download_checkpoint", model_id).result()

        call(
            lambda seq: load_weights.build_request(
                body=LoadWeightsRequest(path=path, optimizer=False, model_id=model_id, seq_id=seq)
            ),
            "LoadWeights",
            LoadWeightsResponse.from_dict,
        )
        export = call(
            lambda seq: save_weights_external.build_request(
                body=SaveWeightsExternalRequest(
                    model_id=model_id, path=NAME, seq_id=seq, ttl_seconds=TTL
                )
            ),
            "SaveWeightsExternal",
            SaveWeightsExternalResponse.from_dict,
        ).path
        if not export:
            raise DecodeError(f"the server exported {path} but returned no path")
        try:
            yield export
        finally:
            _try(lambda: delete(export), f"the export {export} stays until it expires")
            unload = unload_model.build_request(body=UnloadModelRequest(model_id=model_id))
            _try(lambda: transport.send_once(unload, timeout=PATIENCE), "the model stays loaded")
    finally:
        session.close()


def _try(call: Callable[[], object], otherwise: str) -> None:
    try:
        call()
    except TinkexError as error:
        log.warning("%s: %s", otherwise, error)
