# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, Self

import attrs

from ..decode import (
    Reader,
    date_time,
    dict_of,
    integer,
    mapping,
    optional,
    required,
    string,
    tagged,
)
from ..record import Record
from ..types import date_time_text
from .active_status import ActiveStatus
from .cancelled_status import CancelledStatus
from .client_finished_status import ClientFinishedStatus
from .failed_status import FailedStatus


@attrs.frozen(kw_only=True, eq=False, repr=False)
class SessionSummary(Record):
    """A session that was found.

    Attributes:
        session_id: Its id.
        created_at: When it was opened.
        owner: URN of its owner.
        project_id: Its project.
        checkpoints_count: How many checkpoints it left.
        status: Its state.
        display_name: Name for people.
        user_metadata: Free labels of the caller, kept as they are and given back.
        checkpoint_storage_bytes: Size of its checkpoints.
    """

    session_id: str
    created_at: datetime.datetime
    owner: str
    project_id: str
    checkpoints_count: int
    status: ActiveStatus | ClientFinishedStatus | FailedStatus | CancelledStatus | None = None
    display_name: str | None = None
    user_metadata: dict[str, str] | None = None
    checkpoint_storage_bytes: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {
            "session_id": self.session_id,
            "created_at": date_time_text(self.created_at),
            "owner": self.owner,
            "project_id": self.project_id,
            "checkpoints_count": self.checkpoints_count,
        }
        if self.status is not None:
            result["status"] = self.status.to_dict()
        if self.display_name is not None:
            result["display_name"] = self.display_name
        if self.user_metadata is not None:
            result["user_metadata"] = self.user_metadata
        if self.checkpoint_storage_bytes is not None:
            result["checkpoint_storage_bytes"] = self.checkpoint_storage_bytes
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            session_id=required(data, "session_id", string),
            created_at=required(data, "created_at", date_time),
            owner=required(data, "owner", string),
            project_id=required(data, "project_id", string),
            checkpoints_count=required(data, "checkpoints_count", integer),
            status=optional(data, "status", _READ_STATUS),
            display_name=optional(data, "display_name", string),
            user_metadata=optional(data, "user_metadata", _READ_USER_METADATA),
            checkpoint_storage_bytes=optional(data, "checkpoint_storage_bytes", integer),
        )


_READ_STATUS: Reader[ActiveStatus | ClientFinishedStatus | FailedStatus | CancelledStatus] = tagged(
    "type",
    {
        "active": ActiveStatus.from_dict,
        "client_finished": ClientFinishedStatus.from_dict,
        "failed": FailedStatus.from_dict,
        "cancelled": CancelledStatus.from_dict,
    },
)
_READ_USER_METADATA: Reader[dict[str, str]] = dict_of(string)
