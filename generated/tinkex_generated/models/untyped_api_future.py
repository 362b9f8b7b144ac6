# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import attrs

from ..decode import Reader, list_of, mapping, optional, required, string
from ..record import Record


@attrs.frozen(kw_only=True, eq=False, repr=False)
class UntypedAPIFuture(Record):
    """A promise: the request was accepted and is carried out in the background. Its result comes
    from retrieve_future, under `request_id`.

    Attributes:
        request_id: Opaque id to retrieve the result with.
        model_id: The model concerned. The answer of create_model may hold it before the model
            is ready.
        sample_sequence_ids: Answers to asample only, on newer servers: one id per requested
            sample, in the order of the result's `sequences`. Unique within the session.
    """

    request_id: str
    model_id: str | None = None
    sample_sequence_ids: list[str] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {"request_id": self.request_id}
        if self.model_id is not None:
            result["model_id"] = self.model_id
        if self.sample_sequence_ids is not None:
            result["sample_sequence_ids"] = self.sample_sequence_ids
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            request_id=required(data, "request_id", string),
            model_id=optional(data, "model_id", string),
            sample_sequence_ids=optional(data, "sample_sequence_ids", _READ_SAMPLE_SEQUENCE_IDS),
        )


_READ_SAMPLE_SEQUENCE_IDS: Reader[list[str]] = list_of(string)
