# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import attrs

from ..decode import integer, mapping, required, string
from ..record import Record


@attrs.frozen(kw_only=True, eq=False, repr=False)
class UploadedFile(Record):
    """A part of a form with a file name.

    Attributes:
        name: The name of the part.
        filename: The name of the file.
        content_type: Its media type.
        size_bytes: Its size.
        sha256: Its checksum, hexadecimal.
    """

    name: str
    filename: str
    content_type: str
    size_bytes: int
    sha256: str

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {
            "name": self.name,
            "filename": self.filename,
            "content_type": self.content_type,
            "size_bytes": self.size_bytes,
            "sha256": self.sha256,
        }
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            name=required(data, "name", string),
            filename=required(data, "filename", string),
            content_type=required(data, "content_type", string),
            size_bytes=required(data, "size_bytes", integer),
            sha256=required(data, "sha256", string),
        )
