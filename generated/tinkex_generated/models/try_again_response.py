# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import attrs

from ..decode import constant, enum, integer, mapping, optional, required, string
from ..record import Record
from .queue_state import QueueState


@attrs.frozen(kw_only=True, eq=False, repr=False)
class TryAgainResponse(Record):
    """Not done yet: ask again, at once. The server has already held the request for a while (long
    poll).

    Attributes:
        type_: Tells this answer from a result.
        request_id: The id asked for.
        queue_state: State of the queue. Servers write it always; clients can do without.
        queue_state_reason: Why the queue is paused, for people.
        retry_after_ms: How long to wait before asking again, in milliseconds. Few servers send
            it.
    """

    type_: Literal["try_again"] = "try_again"
    request_id: str
    queue_state: QueueState | None = None
    queue_state_reason: str | None = None
    retry_after_ms: int | None = None

    @property
    def type(self) -> Literal["try_again"]:
        """Return `type_`, by its name on the wire."""
        return self.type_

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {"type": self.type_, "request_id": self.request_id}
        if self.queue_state is not None:
            result["queue_state"] = self.queue_state
        if self.queue_state_reason is not None:
            result["queue_state_reason"] = self.queue_state_reason
        if self.retry_after_ms is not None:
            result["retry_after_ms"] = self.retry_after_ms
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            type_=constant(data, "type", "try_again", required=True),
            request_id=required(data, "request_id", string),
            queue_state=optional(data, "queue_state", enum),
            queue_state_reason=optional(data, "queue_state_reason", string),
            retry_after_ms=optional(data, "retry_after_ms", integer),
        )
