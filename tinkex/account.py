"""The REST calls that not every server offers: who am I, projects, billing, search, copies."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime
from typing import TypeVar

from attrs import evolve
from tinkex_generated.api.billing import (
    get_audit_log,
    get_billing_usage,
    get_checkpoint_storage_usage,
)
from tinkex_generated.api.checkpoints import get_external_weights_urls
from tinkex_generated.api.service import delete_own_api_key, get_own_api_key
from tinkex_generated.api.sessions import (
    assign_session_project,
    export_session_trace,
    search_sessions,
)
from tinkex_generated.api.weights import copy_weights
from tinkex_generated.models import (
    AuditLogResponse,
    BillingUsageResponse,
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
)
from tinkex_generated.types import Request

from tinkex._core.retry import RetryPolicy
from tinkex._core.transport import Transport
from tinkex.checks import checked_id
from tinkex.errors import NotFoundError, RequestFailedError, ValidationError
from tinkex.secret import Secret
from tinkex.types import CheckpointPath

T = TypeVar("T")

TRACE_POLL = 5.0
TRACE_PATIENCE = 600.0
AUDIT_EVENTS = ("all", "checkpoints", "projects", "teams", "organizations")


class AccountCalls:
    """Hold the calls of `RestClient` that are optional for a server.

    A server without one answers 404, 405 or 501; the error then says that it may lack the route.
    """

    _transport: Transport

    def whoami(self) -> SelfApiKeyResponse:
        """Return the name and owner of the API key in use."""
        return self._optional(get_own_api_key.build_request(), get_own_api_key.parse_response)

    def delete_own_api_key(self) -> None:
        """Delete the API key in use, for good; every later call with it is refused."""
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
        """Return a page of sessions that match, newest first.

        >>> rest.search_sessions(SessionSearchRequest(user_metadata={"team": "a"})).sessions

        Args:
            request: What to look for (`tinkex.types.SessionSearchRequest`); all if not given.
        """
        return self._optional(
            search_sessions.build_request(body=request or SessionSearchRequest()),
            search_sessions.parse_response,
        )

    def iter_session_search(
        self, request: SessionSearchRequest | None = None
    ) -> Iterator[SessionSummary]:
        """Yield all sessions that match, newest first, page by page.

        >>> request = SessionSearchRequest(user_metadata={"team": "a"})
        >>> [found.session_id for found in rest.iter_session_search(request)]

        Args:
            request: What to look for; all if not given.
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
        """Return a signed URL of a session's trace, waiting while the server makes it.

        Args:
            session_id: The session.
            patience: Seconds to wait.

        Raises:
            RequestFailedError: The server could not make it, or not in time.
        """
        clock = self._transport.clock
        until = clock.now() + patience
        request = export_session_trace.build_request(
            session_id=checked_id(session_id, "session_id")
        )
        while True:
            answer = self._optional(request, export_session_trace.parse_response)
            if answer.status == "ready":
                return answer
            if answer.status == "failed" or clock.now() >= until:
                why = answer.error or f"it is still {answer.status} after {patience:g} s"
                raise RequestFailedError(
                    f"the trace of session {session_id} cannot be had: {why}", session_id=session_id
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
        """Copy a checkpoint, perhaps another account's, and return the copy's path.

        Args:
            source_path: The checkpoint to copy.
            destination_project_id: The project that the copy belongs to; with neither it nor a
                session, that of the settings (TINKER_PROJECT_ID).
            session_id: The session that the copy belongs to, together with `model_seq_id`.
            model_seq_id: A number of that session that no model has.
            ttl_seconds: Seconds after which the copy is deleted; None never.
            weights_access_token: The credential of the account that owns the source.
        """
        weights_access_token = Secret.of(weights_access_token)
        CheckpointPath.parse(source_path)
        if (session_id is None) != (model_seq_id is None):
            raise ValidationError("session_id and model_seq_id go together")
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
            patience: Seconds after which no further attempt is begun; as with other calls if not
                given.
        """
        path = CheckpointPath.parse(tinker_path)
        policy = None
        if patience is not None:
            policy = RetryPolicy(
                max_attempts=10_000, deadline=patience, longest_retry_after=patience
            )
        return self._optional(
            get_external_weights_urls.build_request(
                training_run_id=path.training_run_id,
                checkpoint_kind=path.kind,
                checkpoint_name=path.name,
            ),
            get_external_weights_urls.parse_response,
            policy,
        )

    def get_billing_usage(
        self, starting_on: datetime, ending_before: datetime
    ) -> BillingUsageResponse:
        """Return what was used in a span of time, by hour and kind.

        Args:
            starting_on: First hour, aware and aligned to an hour in UTC.
            ending_before: The hour after the last, at most 14 days later.
        """
        for name, moment in (("starting_on", starting_on), ("ending_before", ending_before)):
            if moment.tzinfo is None:
                raise ValidationError("must have a time zone, such as datetime.UTC", path=name)
        if ending_before <= starting_on:
            raise ValidationError("must be later than starting_on", path="ending_before")
        return self._optional(
            get_billing_usage.build_request(starting_on=starting_on, ending_before=ending_before),
            get_billing_usage.parse_response,
        )

    def get_checkpoint_storage_usage(
        self, project_id: str | None = None
    ) -> CurrentCheckpointStorageUsageResponse:
        """Return how much the checkpoints take now, by project and user."""
        return self._optional(
            get_checkpoint_storage_usage.build_request(project_id=project_id),
            get_checkpoint_storage_usage.parse_response,
        )

    def get_audit_log(self, event_type: str = "all", day: date | None = None) -> AuditLogResponse:
        """Return what happened on a day.

        Args:
            event_type: "all", "checkpoints", "projects", "teams" or "organizations".
            day: The day in UTC; today if not given.
        """
        _one_of(event_type, AUDIT_EVENTS, "event_type")
        return self._optional(
            get_audit_log.build_request(event_type=event_type, day=day),  # type: ignore[arg-type]
            get_audit_log.parse_response,
        )

    def _optional(
        self, request: Request, parse: Callable[[bytes], T], policy: RetryPolicy | None = None
    ) -> T:
        try:
            return self._transport.call(request, parse, policy=policy)
        except NotFoundError as error:
            error.message += (
                f". {request.operation} is optional: this server may not offer it at all"
            )
            # The frames of sending it tell the user nothing.
            raise error.with_traceback(None) from None


def _one_of(value: str, allowed: Sequence[str], path: str) -> None:
    if value not in allowed:
        raise ValidationError(f"must be one of {', '.join(allowed)}, not {value!r}", path=path)
