"""The client for what lies on the server: training runs, checkpoints, sessions, samplers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Literal, TypeVar

import httpx
from tinkex_generated.api.checkpoints import (
    delete_checkpoint,
    get_checkpoint_archive_url,
    list_checkpoints,
    list_user_checkpoints,
    publish_checkpoint,
    set_checkpoint_ttl,
    unpublish_checkpoint,
)
from tinkex_generated.api.runs import get_training_run, list_training_runs
from tinkex_generated.api.sampling import get_sampler
from tinkex_generated.api.service import get_server_capabilities
from tinkex_generated.api.sessions import get_session, list_sessions
from tinkex_generated.api.weights import weights_info
from tinkex_generated.models import CheckpointTtlRequest, WeightsInfoRequest
from tinkex_generated.types import Request

from tinkex.account import AccountCalls
from tinkex.checks import checked_id, checked_ttl
from tinkex.clock import Clock
from tinkex.config import Config
from tinkex.errors import ConflictError, DecodeError, ValidationError
from tinkex.transport import Answer, Transport
from tinkex.transport.retry import Retries, RetryPolicy
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

T = TypeVar("T")
AccessScope = Literal["owned", "accessible"]

PAGE = 100
REDIRECTS = frozenset({301, 302, 303, 307, 308})
ARCHIVE_WAIT = 30.0
ARCHIVE_PATIENCE = 1800.0
# What a signed URL is taken to live when the server does not say.
ARCHIVE_LIFETIME = timedelta(minutes=15)


class RestClient(AccountCalls):
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
        return self._call(
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
        self, limit: int = 20, offset: int = 0, access_scope: AccessScope = "owned"
    ) -> TrainingRunsResponse:
        """Return a page of training runs, newest first."""
        return self._call(
            list_training_runs.build_request(
                limit=limit, offset=offset, access_scope=_scope(access_scope)
            ),
            list_training_runs.parse_response,
        )

    def iter_training_runs(self, access_scope: AccessScope = "owned") -> Iterator[TrainingRun]:
        """Yield all training runs, page by page."""
        return _pages(
            lambda limit, offset: self.list_training_runs(limit, offset, access_scope),
            lambda page: page.training_runs,
        )

    def list_checkpoints(self, training_run_id: str) -> CheckpointsListResponse:
        """Return the checkpoints of a training run."""
        return self._call(
            list_checkpoints.build_request(
                training_run_id=checked_id(training_run_id, "training_run_id")
            ),
            list_checkpoints.parse_response,
        )

    def list_user_checkpoints(self, limit: int = 100, offset: int = 0) -> CheckpointsListResponse:
        """Return a page of all your checkpoints, newest first."""
        return self._call(
            list_user_checkpoints.build_request(limit=limit, offset=offset),
            list_user_checkpoints.parse_response,
        )

    def iter_user_checkpoints(self) -> Iterator[Checkpoint]:
        """Yield all your checkpoints, page by page."""
        return _pages(self.list_user_checkpoints, lambda page: page.checkpoints)

    def get_weights_info_by_tinker_path(self, tinker_path: str) -> WeightsInfoResponse:
        """Return base model, rank and adapted layers of a checkpoint."""
        CheckpointPath.parse(tinker_path)
        return self._call(
            weights_info.build_request(body=WeightsInfoRequest(tinker_path=tinker_path)),
            weights_info.parse_response,
        )

    def get_checkpoint_archive_url(
        self, tinker_path: str, patience: float = ARCHIVE_PATIENCE
    ) -> CheckpointArchiveUrlResponse:
        """Return a signed URL that a checkpoint's archive can be downloaded from for a while.

        Waits while the server is still building the archive.

        Args:
            tinker_path: The checkpoint.
            patience: Seconds to wait for the archive.
        """
        policy = RetryPolicy(
            max_attempts=10_000,
            deadline=patience,
            first_wait=1.0,
            longest_wait=ARCHIVE_WAIT,
            longest_retry_after=patience,
        )
        request = get_checkpoint_archive_url.build_request(**_parts(tinker_path))
        answer = self._archive_answer(request, policy)
        if answer.status_code not in REDIRECTS:
            return self._transport.parsed(
                answer, get_checkpoint_archive_url.parse_response, request.operation
            )
        return CheckpointArchiveUrlResponse(
            url=self._location(request, answer), expires=_expiry(answer.headers.get("expires"))
        )

    def delete_checkpoint(self, tinker_path: str) -> None:
        """Delete a checkpoint for good."""
        self._transport.send(delete_checkpoint.build_request(**_parts(tinker_path)))

    def publish_checkpoint(self, tinker_path: str) -> None:
        """Let everybody read a checkpoint."""
        self._transport.send(publish_checkpoint.build_request(**_parts(tinker_path)))

    def unpublish_checkpoint(self, tinker_path: str) -> None:
        """Let only its owner read a checkpoint again."""
        self._transport.send(unpublish_checkpoint.build_request(**_parts(tinker_path)))

    def set_checkpoint_ttl(self, tinker_path: str, ttl_seconds: int | None) -> None:
        """Set in how many seconds a checkpoint is deleted; None keeps it for ever."""
        ttl = checked_ttl(ttl_seconds)
        self._transport.send(
            set_checkpoint_ttl.build_request(
                **_parts(tinker_path), body=CheckpointTtlRequest(ttl_seconds=ttl)
            )
        )

    def get_session(
        self, session_id: str, access_scope: AccessScope = "owned"
    ) -> GetSessionResponse:
        """Return the training runs and samplers of a session."""
        return self._call(
            get_session.build_request(
                session_id=checked_id(session_id, "session_id"), access_scope=_scope(access_scope)
            ),
            get_session.parse_response,
        )

    def list_sessions(
        self, limit: int = 20, offset: int = 0, access_scope: AccessScope = "owned"
    ) -> ListSessionsResponse:
        """Return a page of session ids, newest first."""
        return self._call(
            list_sessions.build_request(
                limit=limit, offset=offset, access_scope=_scope(access_scope)
            ),
            list_sessions.parse_response,
        )

    def get_sampler(self, sampler_id: str) -> GetSamplerResponse:
        """Return base model and checkpoint of a sampler."""
        return self._call(
            get_sampler.build_request(sampler_id=checked_id(sampler_id, "sampler_id")),
            get_sampler.parse_response,
        )

    def get_server_capabilities(self) -> GetServerCapabilitiesResponse:
        """Return the models that the server has."""
        return self._call(
            get_server_capabilities.build_request(), get_server_capabilities.parse_response
        )

    def _call(self, request: Request, parse: Callable[[bytes], T]) -> T:
        return self._transport.call(request, parse)

    def _archive_answer(self, request: Request, policy: RetryPolicy) -> Answer:
        """Ask for an archive until it is built; 503 and 409 both say that it is not yet."""
        transport = self._transport
        retries = Retries(policy, transport.budget, transport.clock, transport.jitter)
        while True:
            try:
                return transport.send(request, policy=policy, accept=REDIRECTS)
            except ConflictError as error:
                wait = retries.next_wait(retry_after=error.retry_after)
                if wait is None:
                    error.message += f"; {retries.refusal}"
                    raise
            except httpx.InvalidURL:
                # httpx reads a redirect's target even where it is not to be followed.
                raise _no_url(None) from None
            transport.clock.sleep(wait)

    def _location(self, request: Request, answer: Answer) -> str:
        location = answer.headers.get("location", "")
        try:
            url = httpx.URL(self._transport.where + request.path).join(location)
        except httpx.InvalidURL:
            url = httpx.URL()
        if not location or url.scheme not in {"http", "https"} or not url.host:
            raise _no_url(answer.status_code)
        return str(url)

    def __repr__(self) -> str:
        return f"<RestClient {self._transport.where}>"


def _no_url(status_code: int | None) -> DecodeError:
    return DecodeError("the archive's redirect names no URL", status_code=status_code)


def _parts(tinker_path: str) -> dict[str, Any]:
    path = CheckpointPath.parse(tinker_path)
    return {
        "training_run_id": path.training_run_id,
        "checkpoint_kind": path.kind,
        "checkpoint_name": path.name,
    }


def _scope(access_scope: AccessScope) -> AccessScope:
    if access_scope not in ("owned", "accessible"):
        raise ValidationError(
            f"must be one of owned, accessible, not {access_scope!r}", path="access_scope"
        )
    return access_scope


def _expiry(http_date: str | None) -> datetime:
    try:
        expiry = parsedate_to_datetime(http_date or "")
    except ValueError:
        return datetime.now(UTC) + ARCHIVE_LIFETIME
    return expiry if expiry.tzinfo else expiry.replace(tzinfo=UTC)


def _pages(fetch: Callable[[int, int], Any], items: Callable[[Any], list[T]]) -> Iterator[T]:
    offset = 0
    while True:
        page = fetch(PAGE, offset)
        batch = items(page)
        yield from batch
        offset += len(batch)
        total = page.cursor.total_count if page.cursor else offset
        if not batch or offset >= total:
            return
