# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import attrs

from ..decode import constant, mapping, optional, required, string
from ..record import Record


@attrs.frozen(kw_only=True, eq=False, repr=False)
class CreateSessionResponse(Record):
    """The session is open.

    Attributes:
        session_id: Opaque id, chosen by the server.
        info_message: To be shown to the user, as information.
        warning_message: To be shown to the user, as a warning.
        error_message: To be shown to the user, as an error.
        type_: Names the kind of object. May be left out.
    """

    session_id: str
    info_message: str | None = None
    warning_message: str | None = None
    error_message: str | None = None
    type_: Literal["create_session"] = "create_session"

    @property
    def type(self) -> Literal["create_session"]:
        """Return `type_`, by its name on the wire."""
        return self.type_

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {"session_id": self.session_id, "type": self.type_}
        if self.info_message is not None:
            result["info_message"] = self.info_message
        if self.warning_message is not None:
            result["warning_message"] = self.warning_message
        if self.error_message is not None:
            result["error_message"] = self.error_message
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            session_id=required(data, "session_id", string),
            info_message=optional(data, "info_message", string),
            warning_message=optional(data, "warning_message", string),
            error_message=optional(data, "error_message", string),
            type_=constant(data, "type", "create_session", required=False),
        )
