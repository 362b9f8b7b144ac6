# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import attrs

from ..decode import Reader, constant, integer, list_of, mapping, required, string
from ..record import Record
from .custom_loss_graph import CustomLossGraph
from .custom_loss_input import CustomLossInput


@attrs.frozen(kw_only=True, eq=False, repr=False)
class CreateCustomLossRequest(Record):
    """A traced loss for the session.

    Attributes:
        session_id: The session.
        custom_loss_seq_id: Number of the loss in its session, from 0, chosen by the client.
        name: Name for people.
        inputs: The inputs, `logprobs` first.
        graph: What to compute for one datum.
        type_: Names the kind of object. May be left out.
    """

    session_id: str
    custom_loss_seq_id: int
    name: str
    inputs: list[CustomLossInput]
    graph: CustomLossGraph
    type_: Literal["create_custom_loss"] = "create_custom_loss"

    @property
    def type(self) -> Literal["create_custom_loss"]:
        """Return `type_`, by its name on the wire."""
        return self.type_

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {
            "session_id": self.session_id,
            "custom_loss_seq_id": self.custom_loss_seq_id,
            "name": self.name,
            "inputs": [item.to_dict() for item in self.inputs],
            "graph": self.graph.to_dict(),
            "type": self.type_,
        }
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            session_id=required(data, "session_id", string),
            custom_loss_seq_id=required(data, "custom_loss_seq_id", integer),
            name=required(data, "name", string),
            inputs=required(data, "inputs", _READ_INPUTS),
            graph=required(data, "graph", CustomLossGraph.from_dict),
            type_=constant(data, "type", "create_custom_loss", required=False),
        )


_READ_INPUTS: Reader[list[CustomLossInput]] = list_of(CustomLossInput.from_dict)
