# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import attrs

from ..decode import Reader, list_of, mapping, required, tagged
from ..record import Record
from .dmel_chunk import DmelChunk
from .encoded_text_chunk import EncodedTextChunk
from .image_asset_pointer_chunk import ImageAssetPointerChunk
from .image_chunk import ImageChunk


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ModelInput(Record):
    """What the model reads: chunks, one after the other. The length is the sum of the chunks'
    lengths.

    Attributes:
        chunks: The chunks; may be empty. A chunk without `type` is known by its keys: `tokens`,
            `data`, `location` or `dmel`.
    """

    chunks: list[EncodedTextChunk | ImageChunk | ImageAssetPointerChunk | DmelChunk]

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {"chunks": [item.to_dict() for item in self.chunks]}
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(chunks=required(data, "chunks", _READ_CHUNKS))


_READ_CHUNKS: Reader[list[EncodedTextChunk | ImageChunk | ImageAssetPointerChunk | DmelChunk]] = (
    list_of(
        tagged(
            "type",
            {
                "encoded_text": EncodedTextChunk.from_dict,
                "image": ImageChunk.from_dict,
                "image_asset_pointer": ImageAssetPointerChunk.from_dict,
                "dmel": DmelChunk.from_dict,
            },
            (("tokens",), EncodedTextChunk.from_dict),
            (("data", "format"), ImageChunk.from_dict),
            (("location", "format"), ImageAssetPointerChunk.from_dict),
            (("dmel",), DmelChunk.from_dict),
        )
    )
)
