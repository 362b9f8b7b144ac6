# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import attrs

from ..decode import constant, integer, mapping, required
from ..record import Record


@attrs.frozen(kw_only=True, eq=False, repr=False)
class JoinSamplingSessionResponse(Record):
    """The copy's number.

    Attributes:
        client_counter: 1 or more; the original client is 0. The copy's seq_ids start at this
            number times 10^9.
        type_: Names the kind of object. May be left out.
    """

    client_counter: int
    type_: Literal["join_sampling_session"] = "join_sampling_session"

    @property
    def type(self) -> Literal["join_sampling_session"]:
        """Return `type_`, by its name on the wire."""
        return self.type_

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {"client_counter": self.client_counter, "type": self.type_}
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            client_counter=required(data, "client_counter", integer),
            type_=constant(data, "type", "join_sampling_session", required=False),
        )
