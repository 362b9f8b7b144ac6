# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import attrs

from ..decode import enum, mapping, required
from ..record import Record
from .session_end_reason import SessionEndReason


@attrs.frozen(kw_only=True, eq=False, repr=False)
class SessionFinishReason(Record):
    """How the work ended.

    Attributes:
        type_: `success`: normally. `errored`: by an error. `interrupted`: by a signal or at the
            user's wish.
    """

    type_: SessionEndReason

    @property
    def type(self) -> SessionEndReason:
        """Return `type_`, by its name on the wire."""
        return self.type_

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {"type": self.type_}
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(type_=required(data, "type", enum))
