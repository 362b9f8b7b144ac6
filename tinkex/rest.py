"""The client for what lies on the server: training runs, checkpoints, sessions, samplers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

from tinkex_generated.api.runs import get_training_run, list_training_runs
from tinkex_generated.api.sampling import get_sampler
from tinkex_generated.api.service import get_server_capabilities
from tinkex_generated.api.sessions import get_session, list_sessions

from tinkex._core.transport import Transport
from tinkex.account import AccountCalls
from tinkex.checks import checked_id
from tinkex.clock import Clock
from tinkex.config import Config
from tinkex.errors import ValidationError
from tinkex.multipart import Files
from tinkex.pages import PAGE, all_pages
from tinkex.raw import RawResponse, send_raw
from tinkex.rest_checkpoints import CheckpointAdministration
from tinkex.types import (
    CheckpointPath,
    GetSamplerResponse,
    GetServerCapabilitiesResponse,
    GetSessionResponse,
    ListSessionsResponse,
    TrainingRun,
    TrainingRunsResponse,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tinkex.checkpoints.download import Download

AccessScope = Literal["owned", "accessible"]


class RestClient(CheckpointAdministration, AccountCalls):
    """Look at and manage training runs, checkpoints and sessions.

    Made by `ServiceClient.create_rest_client`; it needs no session.

    >>> for checkpoint in rest.iter_user_checkpoints():
    ...     print(checkpoint.tinker_path, checkpoint.size_bytes)
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    @property
    def base_url(self) -> str:
        """Return the server's URL."""
        return self._transport.where

    def download_checkpoint(
        self,
        path: str,
        output_dir: str | os.PathLike[str] | None = None,
        force: bool = False,
        progress: Callable[[int, int | None], None] | None = None,
        extract: bool = True,
    ) -> Download:
        """Download a checkpoint into a folder of its own; see `tinkex.checkpoints.download`.

        >>> rest.download_checkpoint("tinker://run-1:train:0/weights/a", "checkpoints").files

        Raises:
            ValidationError: The path is no checkpoint's.
            CheckpointError: The target exists or cannot be written, or the download broke.
            ApiError: The server refuses the archive.
        """
        from tinkex.checkpoints.download import download

        return download(self, path, output_dir, force, progress, extract)

    def download_session_trace(
        self, session_id: str, file: str | os.PathLike[str] | None = None, force: bool = False
    ) -> Path:
        """Write a session's trace to a file; see `tinkex.session_trace`.

        >>> rest.download_session_trace(service.session.id, "trace.json")
        PosixPath('trace.json')

        Raises:
            ValidationError: The file is there already, and force is not True.
            RequestFailedError: The server could not make the trace, or not in time.
            CheckpointError: The file cannot be written, or the download broke.
        """
        from tinkex.session_trace import download_session_trace

        return download_session_trace(self, session_id, file, force)

    @property
    def config(self) -> Config:
        """Return the settings of the way to the server."""
        return self._transport.config

    @property
    def clock(self) -> Clock:
        """Return the clock that this client waits by."""
        return self._transport.clock

    def get_training_run(
        self, training_run_id: str, access_scope: AccessScope = "owned"
    ) -> TrainingRun:
        """Return a training run by its id."""
        return self._transport.call(
            get_training_run.build_request(
                training_run_id=checked_id(training_run_id, "training_run_id"),
                access_scope=_scope(access_scope),
            ),
            get_training_run.parse_response,
        )

    def get_training_run_by_tinker_path(
        self, tinker_path: str, access_scope: AccessScope = "owned"
    ) -> TrainingRun:
        """Return the training run that a checkpoint belongs to."""
        return self.get_training_run(
            CheckpointPath.parse(tinker_path).training_run_id, access_scope
        )

    def list_training_runs(
        self,
        limit: int = 20,
        offset: int = 0,
        access_scope: AccessScope = "owned",
        project_id: str | None = None,
    ) -> TrainingRunsResponse:
        """Return a page of training runs, newest first.

        Args:
            limit: Most runs on the page.
            offset: How many to leave out before it.
            access_scope: "owned", or "accessible" for those of others that you may see as well.
            project_id: Only the runs of this project.
        """
        return self._transport.call(
            list_training_runs.build_request(
                limit=limit,
                offset=offset,
                access_scope=_scope(access_scope),
                project_id=project_id,
            ),
            list_training_runs.parse_response,
        )

    def iter_training_runs(
        self, access_scope: AccessScope = "owned", project_id: str | None = None
    ) -> Iterator[TrainingRun]:
        """Yield all training runs, newest first, page by page."""
        return all_pages(
            lambda limit, offset: self.list_training_runs(limit, offset, access_scope, project_id),
            lambda page: page.training_runs,
        )

    def get_session(
        self, session_id: str, access_scope: AccessScope = "owned"
    ) -> GetSessionResponse:
        """Return the training runs and samplers of a session."""
        return self._transport.call(
            get_session.build_request(
                session_id=checked_id(session_id, "session_id"), access_scope=_scope(access_scope)
            ),
            get_session.parse_response,
        )

    def list_sessions(
        self, limit: int = 20, offset: int = 0, access_scope: AccessScope = "owned"
    ) -> ListSessionsResponse:
        """Return a page of session ids, newest first."""
        return self._transport.call(
            list_sessions.build_request(
                limit=limit, offset=offset, access_scope=_scope(access_scope)
            ),
            list_sessions.parse_response,
        )

    def iter_sessions(self, access_scope: AccessScope = "owned") -> Iterator[str]:
        """Yield all session ids, newest first, page by page."""
        offset = 0
        while True:
            # This list has no cursor: a page that is not full is the last one.
            page = self.list_sessions(PAGE, offset, access_scope).sessions
            yield from page
            offset += len(page)
            if len(page) < PAGE:
                return

    def get_sampler(self, sampler_id: str) -> GetSamplerResponse:
        """Return base model and checkpoint of a sampler."""
        return self._transport.call(
            get_sampler.build_request(sampler_id=checked_id(sampler_id, "sampler_id")),
            get_sampler.parse_response,
        )

    def get_server_capabilities(self) -> GetServerCapabilitiesResponse:
        """Return the models that the server has."""
        return self._transport.call(
            get_server_capabilities.build_request(), get_server_capabilities.parse_response
        )

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        params: Mapping[str, str | int | float | bool] | None = None,
        timeout: float | None = None,
        files: Files | None = None,
    ) -> RawResponse:
        """Send a request of your own, and return the answer as it came.

        >>> rest.request("GET", "/api/v1/healthz").json()
        {'status': 'ok'}
        >>> rest.request("POST", "/api/v1/uploads", {"note": "x"}, files={"file": Path("a.bin")})

        For routes that have no method here, and for a look at status and headers. Reading is
        repeated after failures that may pass; anything else only if nothing was sent.

        Args:
            method: "GET", "POST", "PUT", "PATCH" or "DELETE".
            path: From the server's base URL on, such as "/api/v1/sessions/S".
            body: What is sent as JSON; numpy arrays are written as lists.
            params: The query.
            timeout: Seconds that one attempt may take; with files, that no byte moves.
            files: Files by name, or pairs of both: a path, bytes, text, an open binary file, or a
                tuple (file name, one of these, media type, headers). They are sent as a form
                (multipart/form-data), streamed, and the body's items become its fields, nested
                ones in brackets.

        Raises:
            ValidationError: Method or path cannot be right, or a file is not there.
            ApiError: The server answered with an error status.
            TransportError: No answer came.
        """
        return send_raw(self._transport, method, path, body, params, timeout, files)

    def __repr__(self) -> str:
        return f"<RestClient {self._transport.where}>"


def _scope(access_scope: AccessScope) -> AccessScope:
    if access_scope not in ("owned", "accessible"):
        raise ValidationError(
            f"must be one of owned, accessible, not {access_scope!r}", path="access_scope"
        )
    return access_scope
