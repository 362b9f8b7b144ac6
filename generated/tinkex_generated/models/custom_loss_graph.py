# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import attrs

from ..decode import Reader, constant, list_of, mapping, required
from ..record import Record
from .custom_loss_node import CustomLossNode


@attrs.frozen(kw_only=True, eq=False, repr=False)
class CustomLossGraph(Record):
    """A traced loss.

    Attributes:
        nodes: The operations, in the order of execution.
        format_: Version of this form.
    """

    nodes: list[CustomLossNode]
    format_: Literal[1] = 1

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {
            "nodes": [item.to_dict() for item in self.nodes],
            "format": self.format_,
        }
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            nodes=required(data, "nodes", _READ_NODES),
            format_=constant(data, "format", 1, required=False),
        )


_READ_NODES: Reader[list[CustomLossNode]] = list_of(CustomLossNode.from_dict)
