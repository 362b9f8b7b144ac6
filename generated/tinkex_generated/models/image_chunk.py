# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import attrs

from ..decode import constant, enum, integer, mapping, optional, required, string
from ..record import Record
from .image_format import ImageFormat


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ImageChunk(Record):
    """An image, in the request itself.

    Attributes:
        data: The file's bytes in base64.
        format_: Its encoding.
        expected_tokens: How many tokens the caller takes the image for. The server counts
            itself and fails the request if it differs.
        type_: Names the kind of object. May be left out.
    """

    data: str
    format_: ImageFormat
    expected_tokens: int | None = None
    type_: Literal["image"] = "image"

    @property
    def type(self) -> Literal["image"]:
        """Return `type_`, by its name on the wire."""
        return self.type_

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {"data": self.data, "format": self.format_, "type": self.type_}
        if self.expected_tokens is not None:
            result["expected_tokens"] = self.expected_tokens
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            data=required(data, "data", string),
            format_=required(data, "format", enum),
            expected_tokens=optional(data, "expected_tokens", integer),
            type_=constant(data, "type", "image", required=False),
        )
