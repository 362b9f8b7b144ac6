"""The client for objects on the server: training runs, checkpoints, sessions, samplers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar, get_args
from urllib.parse import unquote, urljoin, urlsplit

from attrs import evolve
from tinkex_generated.api.billing import (
    get_audit_log,
    get_billing_usage,
    get_checkpoint_storage_usage,
)
from tinkex_generated.api.checkpoints import (
    delete_checkpoint,
    get_checkpoint_archive_url,
    get_external_weights_urls,
    get_sampler_archive_url,
    list_checkpoints,
    list_user_checkpoints,
    publish_checkpoint,
    set_checkpoint_ttl,
    unpublish_checkpoint,
)
from tinkex_generated.api.runs import get_training_run, list_training_runs
from tinkex_generated.api.sampling import get_sampler
from tinkex_generated.api.service import (
    delete_own_api_key,
    get_own_api_key,
    get_server_capabilities,
)
from tinkex_generated.api.sessions import (
    assign_session_project,
    export_session_trace,
    get_session,
    list_sessions,
    search_sessions,
)
from tinkex_generated.api.weights import copy_weights, weights_info
from tinkex_generated.models import (
    AuditLogResponse,
    BillingUsageResponse,
    CheckpointTtlRequest,
    CopyWeightsRequest,
    CopyWeightsResponse,
    CurrentCheckpointStorageUsageResponse,
    ExternalWeightsUrlsResponse,
    SelfApiKeyResponse,
    SessionProjectRequest,
    SessionSearchRequest,
    SessionSearchResponse,
    SessionSummary,
    SessionTraceExportPollResponse,
    WeightsInfoRequest,
)
from tinkex_generated.types import Request

from tinkex._base.clock import Clock
from tinkex._base.secret import Secret
from tinkex._core.checks import checked_id, checked_ttl
from tinkex._core.embedded_server import with_embedded_server
from tinkex._core.failures import is_missing_route
from tinkex._core.lenient import lenient, read_capabilities, with_run_id
from tinkex._core.multipart import Files
from tinkex._core.pagination import PAGE, all_pages
from tinkex._core.raw_request import RawResponse, send_raw
from tinkex._core.response import REDIRECTS, Response
from tinkex._core.retry import ARCHIVE_PATIENCE, TRACE_PATIENCE, RetryPolicy
from tinkex._core.transport import Transport
from tinkex.config import Config, settle
from tinkex.errors import (
    ApiError,
    BadRequestError,
    CheckpointError,
    DecodeError,
    NotFoundError,
    RequestFailedError,
    UnprocessableError,
    ValidationError,
)
from tinkex.types import (
    Checkpoint,
    CheckpointArchiveUrlResponse,
    CheckpointPath,
    CheckpointsListResponse,
    GetSamplerResponse,
    GetServerCapabilitiesResponse,
    GetSessionResponse,
    ListSessionsResponse,
    TrainingRun,
    TrainingRunsResponse,
    WeightsInfoResponse,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tinkex.checkpoints.download import Download

AccessScope = Literal["owned", "accessible"]

ARCHIVE_WAIT = 30.0
# Assumed lifetime of a signed URL if the server does not give one.
ARCHIVE_LIFETIME = timedelta(minutes=15)

T = TypeVar("T")

TRACE_POLL = 5.0
AUDIT_EVENTS = ("all", "checkpoints", "projects", "teams", "organizations")


class RestClient:
    """Access to training runs, checkpoints and sessions.

    Created by `ServiceClient.create_rest_client`, or directly; it needs no session.

    >>> for checkpoint in rest.iter_user_checkpoints():
    ...     print(checkpoint.tinker_path, checkpoint.size_bytes)

    Args:
        transport: The way to the server that another client has.
        base_url: The server's URL, or "local".
        api_key: The credential, or a function that returns it.
        config: All settings at once; arguments beside it take precedence over it.
        settings: Any other field of `Config`.

    Raises:
        ConfigurationError: A setting is invalid.
        MissingCredentialsError: There is no API key and no local server.
    """

    def __init__(
        self,
        transport: Transport | None = None,
        *,
        base_url: str | None = None,
        api_key: str | Secret | Callable[[], str | Secret] | None = None,
        config: Config | None = None,
        **settings: Any,
    ) -> None:
        arguments = {**settings, "base_url": base_url, "api_key": api_key}
        # No frame of a traceback through here may hold a key.
        settings.clear()
        del base_url, api_key
        self._owned: Transport | None = None
        if transport is None:
            transport = self._owned = Transport(with_embedded_server(settle(arguments, config)))
        self._transport = transport

    def close(self) -> None:
        """Close the connections, unless they are those of a `ServiceClient`."""
        if self._owned is not None:
            self._owned.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

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
        """Download a checkpoint into a new folder; see `tinkex.checkpoints.download`.

        >>> rest.download_checkpoint("tinker://run-1:train:0/weights/a", "checkpoints").files

        Raises:
            ValidationError: The path is not that of a checkpoint.
            CheckpointError: The target exists or cannot be written, or the download failed.
            ApiError: The server refuses access to the archive.
        """
        from tinkex.checkpoints.download import download

        return download(self, path, output_dir, force, progress, extract)

    def download_session_trace(
        self, session_id: str, file: str | os.PathLike[str] | None = None, force: bool = False
    ) -> Path:
        """Write a session's trace to a file; see `tinkex.checkpoints.session_trace`.

        >>> rest.download_session_trace(service.session.id, "trace.json")
        PosixPath('trace.json')

        Raises:
            ValidationError: The file exists and `force` is not True.
            RequestFailedError: The server failed to create the trace, or timed out.
            CheckpointError: The file cannot be written, or the download failed.
        """
        from tinkex.checkpoints.session_trace import download_session_trace

        return download_session_trace(self, session_id, file, force)

    @property
    def transport(self) -> Transport:
        """Return the connection to the server."""
        return self._transport

    @property
    def config(self) -> Config:
        """Return the settings of the connection."""
        return self._transport.config

    @property
    def clock(self) -> Clock:
        """Return the clock of this client's waits."""
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
            _read_run,
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
            offset: The number of runs to skip.
            access_scope: "owned", or "accessible" to include other users' runs that you may see.
            project_id: Only runs of this project.
        """
        return self._transport.call(
            list_training_runs.build_request(
                limit=limit,
                offset=offset,
                access_scope=_scope(access_scope),
                project_id=project_id,
            ),
            _read_runs,
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
            # This list has no cursor: an incomplete page is the last one.
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
        """Return the server's models."""
        return self._transport.call(get_server_capabilities.build_request(), read_capabilities)

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        params: Mapping[str, str | int | float | bool] | None = None,
        timeout: float | None = None,
        files: Files | None = None,
    ) -> RawResponse:
        """Send an arbitrary request, and return the raw response.

        >>> rest.request("GET", "/api/v1/healthz").json()
        {'status': 'ok'}
        >>> rest.request("POST", "/api/v1/uploads", {"note": "x"}, files={"file": Path("a.bin")})

        For routes without a method of their own, and for access to status and headers. GET requests are
        retried after transient failures; others only if nothing was sent.

        Args:
            method: "GET", "POST", "PUT", "PATCH" or "DELETE".
            path: Relative to the server's base URL, such as "/api/v1/sessions/S".
            body: Sent as JSON; numpy arrays are written as lists.
            params: Query parameters.
            timeout: Seconds per attempt; with files, seconds without progress.
            files: Files by name, as a mapping or as pairs: a path, bytes, text, an open binary file, or a
                tuple (file name, one of these, media type, headers). They are streamed as a form
                (multipart/form-data); the body's items become its fields, with nested names in
                brackets.

        Raises:
            ValidationError: The method or the path is invalid, or a file is missing.
            ApiError: The server responded with an error status.
            TransportError: No response came.
        """
        return send_raw(self._transport, method, path, body, params, timeout, files)

    def list_checkpoints(self, training_run_id: str) -> CheckpointsListResponse:
        """Return the checkpoints of a training run."""
        return self._transport.call(
            list_checkpoints.build_request(
                training_run_id=checked_id(training_run_id, "training_run_id")
            ),
            _read_checkpoints,
        )

    def iter_checkpoints(self, training_run_id: str) -> Iterator[Checkpoint]:
        """Yield the checkpoints of a training run; the server lists them on one page."""
        yield from self.list_checkpoints(training_run_id).checkpoints

    def list_user_checkpoints(self, limit: int = 100, offset: int = 0) -> CheckpointsListResponse:
        """Return a page of all your checkpoints, newest first."""
        return self._transport.call(
            list_user_checkpoints.build_request(limit=limit, offset=offset),
            _read_checkpoints,
        )

    def iter_user_checkpoints(self) -> Iterator[Checkpoint]:
        """Yield all your checkpoints, page by page."""
        return all_pages(self.list_user_checkpoints, lambda page: page.checkpoints)

    def get_weights_info_by_tinker_path(self, tinker_path: str) -> WeightsInfoResponse:
        """Return base model, rank and adapted layers of a checkpoint."""
        path = CheckpointPath.parse(tinker_path)
        try:
            return self._transport.call(
                weights_info.build_request(body=WeightsInfoRequest(tinker_path=tinker_path)),
                weights_info.parse_response,
            )
        except (BadRequestError, UnprocessableError, NotFoundError) as error:
            info = None if path.kind == "weights" else self._info_of_run(path)
            if info is None:
                raise error.with_traceback(None) from None
        return info

    def _info_of_run(self, path: CheckpointPath) -> WeightsInfoResponse | None:
        """Return what a run says of its checkpoint, where the server describes training ones alone."""
        try:
            listed = self.list_checkpoints(path.training_run_id).checkpoints
            run = self.get_training_run(path.training_run_id)
        except ApiError:
            return None
        paths = {CheckpointPath.parse(one.tinker_path).long for one in listed}
        if path.long not in paths:
            return None
        return WeightsInfoResponse(
            base_model=run.base_model, is_lora=run.is_lora, lora_rank=run.lora_rank
        )

    def get_checkpoint_archive_url(
        self,
        tinker_path: str,
        checkpoint_id: str | None = None,
        patience: float = ARCHIVE_PATIENCE,
    ) -> CheckpointArchiveUrlResponse:
        """Return a temporary signed URL for downloading a checkpoint's archive.

        Waits while the server builds the archive.

        Args:
            tinker_path: The checkpoint, or the id of its run.
            checkpoint_id: ``<kind>/<name>``, if `tinker_path` is the id of a run.
            patience: Seconds to wait for the archive.

        Raises:
            CheckpointError: The server keeps the files on its own disk, and says where.
        """
        policy = RetryPolicy(
            max_attempts=10_000,
            deadline=patience,
            first_wait=1.0,
            longest_wait=ARCHIVE_WAIT,
            longest_retry_after=patience,
        )
        parts = _parts(tinker_path, checkpoint_id)
        request = get_checkpoint_archive_url.build_request(**parts)
        try:
            response = self._archive(request, policy)
        except NotFoundError as error:
            if parts["checkpoint_kind"] != "sampler_weights":
                raise
            # Some servers address their only type of archive without the kind.
            del parts["checkpoint_kind"]
            request = get_sampler_archive_url.build_request(**parts)
            try:
                response = self._archive(request, policy)
            except NotFoundError as other:
                knows_more = _has_route(other) and not _has_route(error)
                raise (other if knows_more else error).with_traceback(None) from None
        if response.status_code not in REDIRECTS:
            return self._transport.parsed(
                response, get_checkpoint_archive_url.parse_response, request.operation
            )
        return CheckpointArchiveUrlResponse(
            url=self._location(request, response), expires=_expiry(response.headers.get("expires"))
        )

    def _archive(self, request: Request, policy: RetryPolicy) -> Response:
        # Both 503 and 409 mean that it is not built yet.
        return self._transport.send(request, policy=policy, accept=REDIRECTS, retry_on={409})

    def delete_checkpoint(self, tinker_path: str, checkpoint_id: str | None = None) -> None:
        """Delete a checkpoint permanently."""
        self._transport.send(delete_checkpoint.build_request(**_parts(tinker_path, checkpoint_id)))

    def publish_checkpoint(self, tinker_path: str, checkpoint_id: str | None = None) -> None:
        """Make a checkpoint readable for everyone."""
        self._transport.send(publish_checkpoint.build_request(**_parts(tinker_path, checkpoint_id)))

    def unpublish_checkpoint(self, tinker_path: str, checkpoint_id: str | None = None) -> None:
        """Make a checkpoint readable for its owner only."""
        self._transport.send(
            unpublish_checkpoint.build_request(**_parts(tinker_path, checkpoint_id))
        )

    def set_checkpoint_ttl(self, tinker_path: str, ttl_seconds: int | None) -> None:
        """Set the number of seconds after which a checkpoint is deleted; None keeps it indefinitely."""
        ttl = checked_ttl(ttl_seconds)
        self._transport.send(
            set_checkpoint_ttl.build_request(
                **_parts(tinker_path), body=CheckpointTtlRequest(ttl_seconds=ttl)
            )
        )

    # Aliases with the official SDK's names.
    get_checkpoint_archive_url_from_tinker_path = get_checkpoint_archive_url
    delete_checkpoint_from_tinker_path = delete_checkpoint
    publish_checkpoint_from_tinker_path = publish_checkpoint
    unpublish_checkpoint_from_tinker_path = unpublish_checkpoint
    set_checkpoint_ttl_from_tinker_path = set_checkpoint_ttl

    def _location(self, request: Request, response: Response) -> str:
        location = response.headers.get("location", "")
        url = _joined(self._transport.where + request.path, location)
        if url is not None:
            return url
        folder = _folder(location)
        # The location may be signed.
        del location
        if folder is None:
            raise _no_url(response.status_code)
        raise CheckpointError(
            f"the server offers no download: it keeps the checkpoint's files on its own disk, in "
            f"{folder}. Copy them from there",
            status_code=response.status_code,
        )

    def whoami(self) -> SelfApiKeyResponse:
        """Return the name and owner of the API key in use."""
        return self._optional(get_own_api_key.build_request(), get_own_api_key.parse_response)

    def token_claims(self) -> dict[str, Any]:
        """Return what the token in use says of its owner, without asking the server.

        Empty if a plain key is in use; `whoami` asks the server about that.
        """
        self._transport.run(self._transport.credentials.prepare())
        return self._transport.credentials.claims

    def delete_own_api_key(self) -> None:
        """Delete the API key in use permanently; later calls with it are refused."""
        self._optional(delete_own_api_key.build_request(), delete_own_api_key.parse_response)

    def assign_session_project(self, session_id: str, project_id: str) -> None:
        """Move a session to a project."""
        if not project_id:
            raise ValidationError("must not be empty", path="project_id")
        self._optional(
            assign_session_project.build_request(
                session_id=checked_id(session_id, "session_id"),
                body=SessionProjectRequest(project_id=project_id),
            ),
            assign_session_project.parse_response,
        )

    def search_sessions(self, request: SessionSearchRequest | None = None) -> SessionSearchResponse:
        """Return a page of matching sessions, newest first.

        >>> rest.search_sessions(SessionSearchRequest(user_metadata={"team": "a"})).sessions

        Args:
            request: The search (`tinkex.types.SessionSearchRequest`); all sessions by default.
        """
        return self._optional(
            search_sessions.build_request(body=request or SessionSearchRequest()),
            search_sessions.parse_response,
        )

    def iter_session_search(
        self, request: SessionSearchRequest | None = None
    ) -> Iterator[SessionSummary]:
        """Yield all matching sessions, newest first, page by page.

        >>> request = SessionSearchRequest(user_metadata={"team": "a"})
        >>> [found.session_id for found in rest.iter_session_search(request)]

        Args:
            request: The search; all sessions by default.
        """
        request = request or SessionSearchRequest()
        while True:
            page = self.search_sessions(request)
            yield from page.sessions
            if page.next_cursor is None:
                return
            request = evolve(request, cursor=page.next_cursor)

    def export_session_trace(
        self, session_id: str, patience: float = TRACE_PATIENCE
    ) -> SessionTraceExportPollResponse:
        """Return a signed URL of a session's trace, waiting while the server creates it.

        Args:
            session_id: The session.
            patience: Seconds to wait.

        Raises:
            RequestFailedError: The server failed to create it, or timed out.
        """
        clock = self._transport.clock
        until = clock.now() + patience
        request = export_session_trace.build_request(
            session_id=checked_id(session_id, "session_id")
        )
        while True:
            response = self._optional(request, export_session_trace.parse_response)
            if response.status == "ready":
                return response
            if response.status == "failed" or clock.now() >= until:
                why = response.error or f"it is still {response.status} after {patience:g} s"
                raise RequestFailedError(
                    f"the trace of session {session_id} is not available: {why}",
                    session_id=session_id,
                )
            clock.sleep(TRACE_POLL)

    def copy_weights(
        self,
        source_path: str,
        *,
        destination_project_id: str | None = None,
        session_id: str | None = None,
        model_seq_id: int | None = None,
        ttl_seconds: int | None = None,
        weights_access_token: Secret | str | None = None,
    ) -> CopyWeightsResponse:
        """Copy a checkpoint, your own or another account's, and return the copy's path.

        Args:
            source_path: The checkpoint to copy.
            destination_project_id: The project of the copy; without it and without a session, the project
                of the settings (TINKER_PROJECT_ID).
            session_id: The session of the copy, together with `model_seq_id`.
            model_seq_id: A number that no model of that session has.
            ttl_seconds: Seconds after which the copy is deleted; None keeps it.
            weights_access_token: The API key of the account that owns the source.
        """
        weights_access_token = Secret.of(weights_access_token)
        CheckpointPath.parse(source_path)
        if (session_id is None) != (model_seq_id is None):
            raise ValidationError("session_id and model_seq_id must be given together")
        if session_id is None and destination_project_id is None:
            destination_project_id = self._transport.config.project_id
        return self._optional(
            copy_weights.build_request(
                body=CopyWeightsRequest(
                    source_path=source_path,
                    session_id=session_id,
                    model_seq_id=model_seq_id,
                    destination_project_id=destination_project_id,
                    ttl_seconds=ttl_seconds,
                ),
                x_tinker_weights_access_token=self._transport.revealed(weights_access_token),
            ),
            copy_weights.parse_response,
        )

    def get_external_weights_urls(
        self, tinker_path: str, patience: float | None = None
    ) -> ExternalWeightsUrlsResponse:
        """Return a signed URL for each file of an exported checkpoint.

        Args:
            tinker_path: The checkpoint.
            patience: Seconds after which no further attempt starts; the usual limit of calls by
                default.
        """
        parts, policy = _parts(tinker_path), None
        if patience is not None:
            policy = RetryPolicy(
                max_attempts=10_000, deadline=patience, longest_retry_after=patience
            )
        return self._optional(
            get_external_weights_urls.build_request(**parts),
            get_external_weights_urls.parse_response,
            policy,
        )

    def get_billing_usage(
        self, starting_on: datetime | str, ending_before: datetime | str
    ) -> BillingUsageResponse:
        """Return the usage in a period, by hour and type.

        Args:
            starting_on: The first hour, time-zone aware and on the hour in UTC; a datetime, or text such
                as "2026-07-13T00:00:00Z".
            ending_before: The hour after the last one, at most 14 days later.
        """
        first = _moment(starting_on, "starting_on")
        end = _moment(ending_before, "ending_before")
        if end <= first:
            raise ValidationError("must be later than starting_on", path="ending_before")
        return self._optional(
            get_billing_usage.build_request(starting_on=first, ending_before=end),
            get_billing_usage.parse_response,
        )

    def get_checkpoint_storage_usage(
        self, project_id: str | None = None
    ) -> CurrentCheckpointStorageUsageResponse:
        """Return the storage that checkpoints use now, by project and user."""
        return self._optional(
            get_checkpoint_storage_usage.build_request(project_id=project_id),
            get_checkpoint_storage_usage.parse_response,
        )

    def get_audit_log(
        self, event_type: str = "all", day: date | str | None = None
    ) -> AuditLogResponse:
        """Return the events of a day.

        Args:
            event_type: "all", "checkpoints", "projects", "teams" or "organizations".
            day: The day in UTC, a date or text such as "2026-07-13"; today by default.
        """
        _one_of(event_type, AUDIT_EVENTS, "event_type")
        return self._optional(
            get_audit_log.build_request(event_type=event_type, day=_day(day)),  # type: ignore[arg-type]
            get_audit_log.parse_response,
        )

    def _optional(
        self, request: Request, parse: Callable[[bytes], T], policy: RetryPolicy | None = None
    ) -> T:
        try:
            return self._transport.call(request, parse, policy=policy)
        except NotFoundError as error:
            if _has_route(error):
                error.message += (
                    f". {request.operation} is optional: this server may not support it"
                )
            # Frames of sending are no use to the user.
            raise error.with_traceback(None) from None

    def __repr__(self) -> str:
        return f"<RestClient {self._transport.where}>"


def _read_checkpoints(content: bytes) -> CheckpointsListResponse:
    read = lenient(list_user_checkpoints.parse_response, CheckpointsListResponse.from_dict)
    page = read(content)
    return evolve(page, checkpoints=[with_run_id(checkpoint) for checkpoint in page.checkpoints])


def _read_run(content: bytes) -> TrainingRun:
    return _complete(lenient(get_training_run.parse_response, TrainingRun.from_dict)(content))


def _read_runs(content: bytes) -> TrainingRunsResponse:
    page = lenient(list_training_runs.parse_response, TrainingRunsResponse.from_dict)(content)
    return evolve(page, training_runs=[_complete(run) for run in page.training_runs])


def _complete(run: TrainingRun) -> TrainingRun:
    last, sampler = run.last_checkpoint, run.last_sampler_checkpoint
    return evolve(
        run,
        last_checkpoint=last and with_run_id(last),
        last_sampler_checkpoint=sampler and with_run_id(sampler),
    )


def _has_route(error: ApiError) -> bool:
    return not is_missing_route(error.status_code, error.body)


def _scope(access_scope: AccessScope) -> AccessScope:
    _one_of(access_scope, get_args(AccessScope), "access_scope")
    return access_scope


def _joined(base: str, location: str) -> str | None:
    """Return the target of a redirect, or None if it is not an http(s) URL.

    The target may be signed, so no traceback frame may hold it.
    """
    try:
        url = urljoin(base, location)
        parts = urlsplit(url)
    except ValueError:
        return None
    names_host = parts.scheme in {"http", "https"} and bool(parts.hostname)
    return url if location and names_host else None


def _folder(location: str) -> str | None:
    """Return the path that a file:// URL names, None if it is another URL."""
    try:
        parts = urlsplit(location)
    except ValueError:
        return None
    return unquote(parts.path) if parts.scheme == "file" and parts.path else None


def _no_url(status_code: int | None) -> DecodeError:
    return DecodeError("the archive's redirect has no valid URL", status_code=status_code)


def _parts(tinker_path: str, checkpoint_id: str | None = None) -> dict[str, Any]:
    if checkpoint_id is None:
        path = CheckpointPath.parse(tinker_path)
    else:
        run = checked_id(tinker_path, "training_run_id")
        kind, _, name = checkpoint_id.partition("/")
        if not name:
            raise ValidationError(
                f"must be <kind>/<name>, such as 'weights/step-100', not {checkpoint_id!r}",
                path="checkpoint_id",
            )
        path = CheckpointPath(run, kind, name)  # type: ignore[arg-type]
    return {
        "training_run_id": path.training_run_id,
        "checkpoint_kind": path.kind,
        "checkpoint_name": path.name,
    }


def _expiry(http_date: str | None) -> datetime:
    try:
        expiry = parsedate_to_datetime(http_date or "")
    except ValueError:
        return datetime.now(UTC) + ARCHIVE_LIFETIME
    return expiry if expiry.tzinfo else expiry.replace(tzinfo=UTC)


def _moment(value: datetime | str, path: str) -> datetime:
    """Return a moment with its time zone."""
    moment: object = value
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            moment = None
    if not isinstance(moment, datetime):
        raise ValidationError(
            f"must be a datetime, or text such as '2026-07-13T00:00:00Z', not {value!r:.50}",
            path=path,
        )
    if moment.tzinfo is None:
        raise ValidationError("must have a time zone, such as datetime.UTC", path=path)
    return moment


def _day(value: date | str | None) -> date | None:
    if value is None:
        return None
    day: object = value
    if isinstance(value, str):
        try:
            day = date.fromisoformat(value)
        except ValueError:
            day = None
    if isinstance(day, datetime):
        return day.date()
    if not isinstance(day, date):
        raise ValidationError(
            f"must be a date, or text such as '2026-07-13', not {value!r:.50}", path="day"
        )
    return day


def _one_of(value: str, allowed: Sequence[str], path: str) -> None:
    if value not in allowed:
        raise ValidationError(f"must be one of {', '.join(allowed)}, not {value!r}", path=path)
