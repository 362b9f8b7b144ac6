# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import attrs

from ..decode import Reader, dict_of, integer, list_of, mapping, optional, string, tagged
from ..record import Record
from .accessible_sessions import AccessibleSessions
from .active_query import ActiveQuery
from .cancelled_query import CancelledQuery
from .client_finished_query import ClientFinishedQuery
from .failed_query import FailedQuery
from .own_sessions import OwnSessions
from .session_search_cursor import SessionSearchCursor
from .user_sessions import UserSessions


@attrs.frozen(kw_only=True, eq=False, repr=False)
class SessionSearchRequest(Record):
    """What to search for; conditions are joined by AND, except that `session_id` and
    `display_name` are joined by OR.

    Attributes:
        session_id: This session.
        project_ids: Sessions of these projects.
        user_metadata: Sessions with all these labels. Same as {} when left out.
        display_name: Sessions whose name holds each of these words, in any case.
        owner: Whose sessions. Same as {type: own} when left out.
        statuses: Sessions in one of these states. Null: any.
        limit: Most sessions to answer.
        cursor: The `next_cursor` of the last page.
    """

    session_id: str | None = None
    project_ids: list[str] | None = None
    user_metadata: dict[str, str] | None = None
    display_name: str | None = None
    owner: OwnSessions | AccessibleSessions | UserSessions | None = None
    statuses: list[ActiveQuery | CancelledQuery | FailedQuery | ClientFinishedQuery] | None = None
    limit: int = 50
    cursor: SessionSearchCursor | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {}
        if self.session_id is not None:
            result["session_id"] = self.session_id
        if self.project_ids is not None:
            result["project_ids"] = self.project_ids
        if self.user_metadata is not None:
            result["user_metadata"] = self.user_metadata
        if self.display_name is not None:
            result["display_name"] = self.display_name
        if self.owner is not None:
            result["owner"] = self.owner.to_dict()
        if self.statuses is not None:
            result["statuses"] = [item.to_dict() for item in self.statuses]
        if self.limit is not None:
            result["limit"] = self.limit
        if self.cursor is not None:
            result["cursor"] = self.cursor.to_dict()
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            session_id=optional(data, "session_id", string),
            project_ids=optional(data, "project_ids", _READ_PROJECT_IDS),
            user_metadata=optional(data, "user_metadata", _READ_USER_METADATA),
            display_name=optional(data, "display_name", string),
            owner=optional(data, "owner", _READ_OWNER),
            statuses=optional(data, "statuses", _READ_STATUSES),
            limit=optional(data, "limit", integer, 50),
            cursor=optional(data, "cursor", SessionSearchCursor.from_dict),
        )


_READ_PROJECT_IDS: Reader[list[str]] = list_of(string)
_READ_USER_METADATA: Reader[dict[str, str]] = dict_of(string)
_READ_OWNER: Reader[OwnSessions | AccessibleSessions | UserSessions] = tagged(
    "type",
    {
        "own": OwnSessions.from_dict,
        "accessible": AccessibleSessions.from_dict,
        "user": UserSessions.from_dict,
    },
)
_READ_STATUSES: Reader[list[ActiveQuery | CancelledQuery | FailedQuery | ClientFinishedQuery]] = (
    list_of(
        tagged(
            "type",
            {
                "active": ActiveQuery.from_dict,
                "cancelled": CancelledQuery.from_dict,
                "failed": FailedQuery.from_dict,
                "client_finished": ClientFinishedQuery.from_dict,
            },
        )
    )
)
