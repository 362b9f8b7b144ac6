"""The client for what lies on the server: training runs, checkpoints, sessions, samplers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import Any, Literal, TypeVar

import tinkex
from tinkex.tinker import types
from tinkex.tinker._calls import Calls
from tinkex.tinker._exceptions import translating
from tinkex.tinker._futures import APIFuture, AwaitableConcurrentFuture
from tinkex.tinker._translation import record
from tinkex.tinker._twins import awaiting, experimental, superseded

T = TypeVar("T")
AccessScope = Literal["owned", "accessible"]
AuditEventType = Literal["all", "checkpoints", "projects", "teams", "organizations"]

# Requests of a client that wait for the server side by side.
SIDE_BY_SIDE = 16


class RestCalls:
    """What `RestClient` and `AdminClient` share."""

    def __init__(
        self,
        _holder: tinkex.ServiceClient | None = None,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
    ) -> None:
        service = _holder or translating(tinkex.ServiceClient)(base_url=base_url, api_key=api_key)
        self._service = service
        self._rest = service.create_rest_client()
        self._calls = Calls(SIDE_BY_SIDE)

    def _call(
        self, function: Callable[..., Any], *args: Any, to: Callable[[Any], T], **kwargs: Any
    ) -> APIFuture[T]:
        """Make a blocking call in a thread, and return the future of its result."""

        def call() -> T:
            return to(function(*args, **kwargs))

        return AwaitableConcurrentFuture(self._calls.submit(translating(call)))

    def get_telemetry(self) -> None:
        """Return None: these clients report nothing about themselves."""
        return

    def _billing_usage(
        self, starting_on: datetime | str, ending_before: datetime | str
    ) -> APIFuture[types.BillingUsageResponse]:
        return self._call(
            self._rest.get_billing_usage,
            starting_on,
            ending_before,
            to=record(types.BillingUsageResponse),
        )

    def _storage_usage(
        self, project_id: str | None
    ) -> APIFuture[types.CurrentCheckpointStorageUsageResponse]:
        return self._call(
            self._rest.get_checkpoint_storage_usage,
            project_id,
            to=record(types.CurrentCheckpointStorageUsageResponse),
        )

    def _audit_log(
        self, event_type: AuditEventType, day: date | None
    ) -> APIFuture[types.AuditLogResponse]:
        return self._call(
            self._rest.get_audit_log, event_type, day, to=record(types.AuditLogResponse)
        )


def _owner(claims: dict[str, Any]) -> types.WhoamiResponse:
    if not claims.get("sub") or not claims.get("org_id"):
        raise RuntimeError(
            "whoami reads the claims of a token, and the credential in use is a plain key: "
            "tinkex.RestClient().whoami() asks the server about it"
        )
    return types.WhoamiResponse(
        user_urn=str(claims["sub"]),
        org_urn=f"tml:organization:{claims['org_id']}",
        email=claims.get("email"),
    )


def _nothing(_: Any) -> None:
    return None


class RestClient(RestCalls):
    """Ask for training runs, checkpoints, sessions and samplers, and change them.

    >>> runs = tinker.RestClient().list_training_runs().result().training_runs

    It needs no `ServiceClient` and begins no session. Each call returns a future.
    """

    def get_training_run(
        self, training_run_id: types.ModelID, access_scope: AccessScope = "owned"
    ) -> APIFuture[types.TrainingRun]:
        """Return a training run."""
        return self._call(
            self._rest.get_training_run,
            training_run_id,
            access_scope,
            to=record(types.TrainingRun),
        )

    def get_training_run_by_tinker_path(
        self, tinker_path: str, access_scope: AccessScope = "owned"
    ) -> APIFuture[types.TrainingRun]:
        """Return the training run that a checkpoint belongs to."""
        return self._call(
            self._rest.get_training_run_by_tinker_path,
            tinker_path,
            access_scope,
            to=record(types.TrainingRun),
        )

    def get_weights_info_by_tinker_path(
        self, tinker_path: str
    ) -> APIFuture[types.WeightsInfoResponse]:
        """Return base model, rank and adapted layers of a checkpoint."""
        return self._call(
            self._rest.get_weights_info_by_tinker_path,
            tinker_path,
            to=record(types.WeightsInfoResponse),
        )

    def list_training_runs(
        self,
        limit: int = 20,
        offset: int = 0,
        access_scope: AccessScope = "owned",
        project_id: str | None = None,
    ) -> APIFuture[types.TrainingRunsResponse]:
        """Return a page of training runs, newest first."""
        return self._call(
            self._rest.list_training_runs,
            limit,
            offset,
            access_scope,
            project_id,
            to=record(types.TrainingRunsResponse),
        )

    def list_checkpoints(
        self, training_run_id: types.ModelID
    ) -> APIFuture[types.CheckpointsListResponse]:
        """Return the checkpoints of a training run."""
        return self._call(
            self._rest.list_checkpoints, training_run_id, to=record(types.CheckpointsListResponse)
        )

    def list_user_checkpoints(
        self, limit: int = 100, offset: int = 0
    ) -> APIFuture[types.CheckpointsListResponse]:
        """Return a page of all your checkpoints, newest first."""
        return self._call(
            self._rest.list_user_checkpoints,
            limit,
            offset,
            to=record(types.CheckpointsListResponse),
        )

    def get_external_weights_urls(
        self, tinker_path: str
    ) -> APIFuture[types.ExternalWeightsUrlsResponse]:
        """Return a signed URL for each file of an exported checkpoint."""
        return self._call(
            self._rest.get_external_weights_urls,
            tinker_path,
            to=record(types.ExternalWeightsUrlsResponse),
        )

    def delete_checkpoint(
        self, training_run_id: types.ModelID, checkpoint_id: str
    ) -> APIFuture[None]:
        """Delete a checkpoint for good."""
        return self._call(self._rest.delete_checkpoint, training_run_id, checkpoint_id, to=_nothing)

    def delete_checkpoint_from_tinker_path(self, tinker_path: str) -> APIFuture[None]:
        """Delete a checkpoint for good."""
        return self._call(self._rest.delete_checkpoint, tinker_path, to=_nothing)

    def publish_checkpoint_from_tinker_path(self, tinker_path: str) -> APIFuture[None]:
        """Publish a checkpoint for everyone."""
        return self._call(self._rest.publish_checkpoint, tinker_path, to=_nothing)

    def unpublish_checkpoint_from_tinker_path(self, tinker_path: str) -> APIFuture[None]:
        """Restrict a checkpoint to its owner again."""
        return self._call(self._rest.unpublish_checkpoint, tinker_path, to=_nothing)

    def set_checkpoint_ttl_from_tinker_path(
        self, tinker_path: str, ttl_seconds: int | None
    ) -> APIFuture[None]:
        """Set in how many seconds a checkpoint is deleted; None keeps it."""
        return self._call(self._rest.set_checkpoint_ttl, tinker_path, ttl_seconds, to=_nothing)

    def copy_weights(
        self,
        path: str,
        destination_project_id: str | None = None,
        *,
        ttl_seconds: int | None = None,
        weights_access_token: str | None = None,
    ) -> APIFuture[str]:
        """Copy a checkpoint, perhaps another account's, and return the copy's path."""
        return self._call(
            self._rest.copy_weights,
            path,
            destination_project_id=destination_project_id,
            ttl_seconds=ttl_seconds,
            weights_access_token=weights_access_token,
            to=lambda copied: str(copied.tinker_path),
        )

    def get_session(
        self, session_id: str, access_scope: AccessScope = "owned"
    ) -> APIFuture[types.GetSessionResponse]:
        """Return the training runs and samplers of a session."""
        return self._call(
            self._rest.get_session, session_id, access_scope, to=record(types.GetSessionResponse)
        )

    def list_sessions(
        self, limit: int = 20, offset: int = 0, access_scope: AccessScope = "owned"
    ) -> APIFuture[types.ListSessionsResponse]:
        """Return a page of session ids, newest first."""
        return self._call(
            self._rest.list_sessions,
            limit,
            offset,
            access_scope,
            to=record(types.ListSessionsResponse),
        )

    @experimental
    def search_sessions(
        self, request: types.SessionSearchRequest
    ) -> APIFuture[types.SessionSearchResponse]:
        """Return a page of sessions that match, newest first."""
        wanted = tinkex.types.SessionSearchRequest.from_dict(request.model_dump(mode="json"))
        return self._call(
            self._rest.search_sessions, wanted, to=record(types.SessionSearchResponse)
        )

    def assign_session_project(self, session_id: str, project_id: str) -> APIFuture[None]:
        """Move a session to a project."""
        return self._call(self._rest.assign_session_project, session_id, project_id, to=_nothing)

    def export_session_trace(self, session_id: str) -> APIFuture[str]:
        """Return a signed URL of a session's trace, once the server has made it."""
        return self._call(
            self._rest.export_session_trace, session_id, to=lambda trace: str(trace.url)
        )

    def get_sampler(self, sampler_id: str) -> APIFuture[types.GetSamplerResponse]:
        """Return base model and checkpoint of a sampler."""
        return self._call(self._rest.get_sampler, sampler_id, to=record(types.GetSamplerResponse))

    def get_server_capabilities(self) -> APIFuture[types.GetServerCapabilitiesResponse]:
        """Return the models that the server has."""
        return self._call(
            self._rest.get_server_capabilities, to=record(types.GetServerCapabilitiesResponse)
        )

    def whoami(self) -> APIFuture[types.WhoamiResponse]:
        """Return the owner of the credential in use, as its token says.

        Raises:
            RuntimeError: The credential is a plain key, which says nothing.
        """
        return self._call(self._rest.token_claims, to=_owner)

    @superseded("AdminClient.get_billing_usage")
    def get_billing_usage(
        self, starting_on: datetime | str, ending_before: datetime | str
    ) -> APIFuture[types.BillingUsageResponse]:
        """Return what was used in a span of time."""
        return self._billing_usage(starting_on, ending_before)

    @superseded("AdminClient.get_current_checkpoint_storage_usage")
    def get_current_checkpoint_storage_usage(
        self, project_id: str | None = None
    ) -> APIFuture[types.CurrentCheckpointStorageUsageResponse]:
        """Return how much the checkpoints take now."""
        return self._storage_usage(project_id)

    @superseded("AdminClient.get_audit_log")
    def get_audit_log(
        self, event_type: AuditEventType = "all", day: date | None = None
    ) -> APIFuture[types.AuditLogResponse]:
        """Return what happened on a day."""
        return self._audit_log(event_type, day)

    get_training_run_async = awaiting(get_training_run)
    get_training_run_by_tinker_path_async = awaiting(get_training_run_by_tinker_path)
    list_training_runs_async = awaiting(list_training_runs)
    list_checkpoints_async = awaiting(list_checkpoints)
    list_user_checkpoints_async = awaiting(list_user_checkpoints)
    get_external_weights_urls_async = awaiting(get_external_weights_urls)
    delete_checkpoint_async = awaiting(delete_checkpoint)
    delete_checkpoint_from_tinker_path_async = awaiting(delete_checkpoint_from_tinker_path)
    publish_checkpoint_from_tinker_path_async = awaiting(publish_checkpoint_from_tinker_path)
    unpublish_checkpoint_from_tinker_path_async = awaiting(unpublish_checkpoint_from_tinker_path)
    set_checkpoint_ttl_from_tinker_path_async = awaiting(set_checkpoint_ttl_from_tinker_path)
    copy_weights_async = awaiting(copy_weights)
    get_session_async = awaiting(get_session)
    list_sessions_async = awaiting(list_sessions)
    assign_session_project_async = awaiting(assign_session_project)
    export_session_trace_async = awaiting(export_session_trace)
    get_sampler_async = awaiting(get_sampler)
    get_billing_usage_async = awaiting(get_billing_usage)
    get_current_checkpoint_storage_usage_async = awaiting(get_current_checkpoint_storage_usage)
    get_audit_log_async = awaiting(get_audit_log)
