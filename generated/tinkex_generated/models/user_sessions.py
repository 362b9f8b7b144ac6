# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import attrs

from ..decode import Reader, constant, list_of, mapping, required, string
from ..record import Record


@attrs.frozen(kw_only=True, eq=False, repr=False)
class UserSessions(Record):
    """Sessions of the users named.

    Attributes:
        type_: Kind of owner.
        owner_urns: The users.
    """

    type_: Literal["user"] = "user"
    owner_urns: list[str]

    @property
    def type(self) -> Literal["user"]:
        """Return `type_`, by its name on the wire."""
        return self.type_

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {"type": self.type_, "owner_urns": self.owner_urns}
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            type_=constant(data, "type", "user", required=True),
            owner_urns=required(data, "owner_urns", _READ_OWNER_URNS),
        )


_READ_OWNER_URNS: Reader[list[str]] = list_of(string)
