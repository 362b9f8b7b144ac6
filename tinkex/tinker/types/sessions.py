"""Sessions: searching them, and their states."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from tinkex.tinker.types._base import BaseModel, StrictBase

ClientSessionFinishReasonType = Literal["success", "errored", "interrupted"]


class OwnSearchOwner(StrictBase):
    """Sessions of the caller."""

    type: Literal["own"] = "own"


class AccessibleSearchOwner(StrictBase):
    """Sessions that the caller may see."""

    type: Literal["accessible"] = "accessible"


class UserSearchOwner(StrictBase):
    """Sessions of some users."""

    type: Literal["user"] = "user"
    owner_urns: list[str] = Field(min_length=1, max_length=10)


SearchOwner = OwnSearchOwner | AccessibleSearchOwner | UserSearchOwner


class ActiveSessionStatusQuery(StrictBase):
    """Sessions that are active."""

    type: Literal["active"] = "active"


class CancelledSessionStatusQuery(StrictBase):
    """Sessions that were cancelled."""

    type: Literal["cancelled"] = "cancelled"


class FailedSessionStatusQuery(StrictBase):
    """Sessions that failed."""

    type: Literal["failed"] = "failed"


class ClientFinishedSessionStatusQuery(StrictBase):
    """Sessions that their client ended."""

    type: Literal["client_finished"] = "client_finished"
    reasons: list[ClientSessionFinishReasonType] | None = Field(default=None, min_length=1)


SessionStatusQuery = (
    ActiveSessionStatusQuery
    | CancelledSessionStatusQuery
    | FailedSessionStatusQuery
    | ClientFinishedSessionStatusQuery
)


class ClientSessionFinishSuccess(BaseModel):
    """The client reported success."""

    type: Literal["success"] = "success"


class ClientSessionFinishErrored(BaseModel):
    """The client reported an error."""

    type: Literal["errored"] = "errored"


class ClientSessionFinishInterrupted(BaseModel):
    """The client was interrupted."""

    type: Literal["interrupted"] = "interrupted"


ClientSessionFinishReason = Annotated[
    ClientSessionFinishSuccess | ClientSessionFinishErrored | ClientSessionFinishInterrupted,
    Field(discriminator="type"),
]


class ClientSessionFinished(BaseModel):
    """The client ended the session."""

    type: Literal["client_finished"] = "client_finished"
    reason: ClientSessionFinishReason
    detail: str | None = None


class SessionActive(BaseModel):
    """The session is active."""

    type: Literal["active"] = "active"


class SessionCancelled(BaseModel):
    """The session was cancelled."""

    type: Literal["cancelled"] = "cancelled"
    detail: str | None = None


class SessionFailedRequestReason(BaseModel):
    """A request failed."""

    type: Literal["request"] = "request"
    request_id: str
    request_type: str


class SessionFailedTrainingRunReason(BaseModel):
    """A training run failed."""

    type: Literal["training_run"] = "training_run"
    training_run_id: str


class SessionFailedSamplingSessionReason(BaseModel):
    """A sampling session failed."""

    type: Literal["sampling_session"] = "sampling_session"
    sampling_session_id: str


SessionFailedReason = Annotated[
    SessionFailedRequestReason
    | SessionFailedTrainingRunReason
    | SessionFailedSamplingSessionReason,
    Field(discriminator="type"),
]


class SessionFailed(BaseModel):
    """The session failed."""

    type: Literal["failed"] = "failed"
    category: Literal["user", "internal"]
    reason: SessionFailedReason
    message: str


SessionStatus = Annotated[
    SessionFailed | SessionCancelled | ClientSessionFinished | SessionActive,
    Field(discriminator="type"),
]


class SessionSearchCursor(BaseModel):
    """The place of a page of found sessions."""

    last_created_at: AwareDatetime
    last_session_id: str


class SessionSearchRequest(StrictBase):
    """Search for sessions."""

    session_id: str | None = None
    project_ids: list[str] | None = None
    user_metadata: dict[str, str] = Field(default_factory=dict)
    display_name: str | None = Field(default=None, min_length=1)
    owner: SearchOwner = OwnSearchOwner()
    statuses: list[SessionStatusQuery] | None = Field(default=None, min_length=1)
    limit: int = Field(default=50, ge=1, le=200)
    cursor: SessionSearchCursor | None = None


class SessionSummary(BaseModel):
    """A found session."""

    session_id: str
    created_at: datetime
    owner: str
    project_id: str
    status: SessionStatus | None = None
    checkpoints_count: int
    display_name: str | None = None
    user_metadata: dict[str, str] | None = None
    checkpoint_storage_bytes: int | None = None


class SessionSearchResponse(BaseModel):
    """A page of found sessions."""

    sessions: list[SessionSummary]
    next_cursor: SessionSearchCursor | None = None
