# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import attrs

from ..decode import (
    Reader,
    constant,
    dict_of,
    list_of,
    mapping,
    nullable,
    optional,
    required,
    string,
)
from ..record import Record


@attrs.frozen(kw_only=True, eq=False, repr=False)
class CreateSessionRequest(Record):
    """A new session: the frame of one client's work, alive as long as it sends heartbeats.

    Attributes:
        tags: Labels for lists of sessions; may be empty.
        user_metadata: Free labels of the caller; null or {} for none.
        sdk_version: Version of the client.
        project_id: Project to count the session to. Null: the caller's default.
        display_name: Name for people.
        type_: Names the kind of object. May be left out.
    """

    tags: list[str]
    user_metadata: dict[str, str] | None
    sdk_version: str
    project_id: str | None = None
    display_name: str | None = None
    type_: Literal["create_session"] = "create_session"

    @property
    def type(self) -> Literal["create_session"]:
        """Return `type_`, by its name on the wire."""
        return self.type_

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {
            "tags": self.tags,
            "user_metadata": self.user_metadata,
            "sdk_version": self.sdk_version,
            "type": self.type_,
        }
        if self.project_id is not None:
            result["project_id"] = self.project_id
        if self.display_name is not None:
            result["display_name"] = self.display_name
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            tags=required(data, "tags", _READ_TAGS),
            user_metadata=required(data, "user_metadata", _READ_USER_METADATA),
            sdk_version=required(data, "sdk_version", string),
            project_id=optional(data, "project_id", string),
            display_name=optional(data, "display_name", string),
            type_=constant(data, "type", "create_session", required=False),
        )


_READ_TAGS: Reader[list[str]] = list_of(string)
_READ_USER_METADATA: Reader[dict[str, str] | None] = nullable(dict_of(string))
