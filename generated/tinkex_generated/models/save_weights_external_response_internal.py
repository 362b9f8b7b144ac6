# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import attrs

from ..decode import constant, integer, mapping, optional, string
from ..record import Record


@attrs.frozen(kw_only=True, eq=False, repr=False)
class SaveWeightsExternalResponseInternal(Record):
    """The files are ready.

    Attributes:
        path: `tinker://<model_id>/external_weights/<name>`.
        size_bytes: Size of all files.
        type_: Names the kind of object. May be left out.
    """

    path: str | None = None
    size_bytes: int | None = None
    type_: Literal["save_weights_external"] = "save_weights_external"

    @property
    def type(self) -> Literal["save_weights_external"]:
        """Return `type_`, by its name on the wire."""
        return self.type_

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {"type": self.type_}
        if self.path is not None:
            result["path"] = self.path
        if self.size_bytes is not None:
            result["size_bytes"] = self.size_bytes
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            path=optional(data, "path", string),
            size_bytes=optional(data, "size_bytes", integer),
            type_=constant(data, "type", "save_weights_external", required=False),
        )
