# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import attrs

from ..decode import Reader, integer, list_of, mapping, number, optional, required, string
from ..record import Record
from .sampling_session_target import SamplingSessionTarget


@attrs.frozen(kw_only=True, eq=False, repr=False)
class FuturesRetrieveRequest(Record):
    """Ask which promises of a sampling session have completed.

    Attributes:
        target: Whose promises.
        prev_cursor: The `cursor` of the last answer, or 0 to start: completions up to it are
            known and may be forgotten.
        timeout: Longest wait in seconds; 0 reads once. Null lets the server hold the request
            for up to about 30 s.
        retrieved_request_ids: Promises whose results were fetched; the server may delete them.
            Same as [] when left out.
    """

    target: SamplingSessionTarget
    prev_cursor: int = 0
    timeout: float | None = None
    retrieved_request_ids: list[str] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {"target": self.target.to_dict()}
        if self.prev_cursor is not None:
            result["prev_cursor"] = self.prev_cursor
        if self.timeout is not None:
            result["timeout"] = self.timeout
        if self.retrieved_request_ids is not None:
            result["retrieved_request_ids"] = self.retrieved_request_ids
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            target=required(data, "target", SamplingSessionTarget.from_dict),
            prev_cursor=optional(data, "prev_cursor", integer, 0),
            timeout=optional(data, "timeout", number),
            retrieved_request_ids=optional(
                data, "retrieved_request_ids", _READ_RETRIEVED_REQUEST_IDS
            ),
        )


_READ_RETRIEVED_REQUEST_IDS: Reader[list[str]] = list_of(string)
