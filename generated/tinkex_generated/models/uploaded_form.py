# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import attrs

from ..decode import Reader, integer, list_of, mapping, required
from ..record import Record
from .uploaded_field import UploadedField
from .uploaded_file import UploadedFile


@attrs.frozen(kw_only=True, eq=False, repr=False)
class UploadedForm(Record):
    """What the local server read of a form.

    Attributes:
        fields: The parts without a file name, in their order.
        files: The parts with a file name, in their order.
        size_bytes: Bytes of the whole form.
    """

    fields: list[UploadedField]
    files: list[UploadedFile]
    size_bytes: int

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {
            "fields": [item.to_dict() for item in self.fields],
            "files": [item.to_dict() for item in self.files],
            "size_bytes": self.size_bytes,
        }
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            fields=required(data, "fields", _READ_FIELDS),
            files=required(data, "files", _READ_FILES),
            size_bytes=required(data, "size_bytes", integer),
        )


_READ_FIELDS: Reader[list[UploadedField]] = list_of(UploadedField.from_dict)
_READ_FILES: Reader[list[UploadedFile]] = list_of(UploadedFile.from_dict)
