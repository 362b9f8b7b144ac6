# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import attrs

from ..decode import array, enum, mapping, optional, required, string
from ..record import Record
from .custom_loss_op import CustomLossOp


@attrs.frozen(kw_only=True, eq=False, repr=False)
class CustomLossNode(Record):
    """One operation of the graph. Arguments are scalars, strings, null, lists, or an object with
    one key for the rest: ref (result of a node), tuple, dict, slice, ellipsis, float (inf,
    -inf, nan), dtype, device, layout, memory_format.

    Attributes:
        op: Kind.
        name: Unique name.
        target: What is called, such as `torch.exp`, `operator.mul`, a method's name, or
            `output`.
        args: Positional arguments. Same as [] when left out.
        kwargs: Keyword arguments. Same as {} when left out.
    """

    op: CustomLossOp
    name: str
    target: str
    args: list[Any] | None = None
    kwargs: dict[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {"op": self.op, "name": self.name, "target": self.target}
        if self.args is not None:
            result["args"] = self.args
        if self.kwargs is not None:
            result["kwargs"] = self.kwargs
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            op=required(data, "op", enum),
            name=required(data, "name", string),
            target=required(data, "target", string),
            args=optional(data, "args", array),
            kwargs=optional(data, "kwargs", mapping),
        )
