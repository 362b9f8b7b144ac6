# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import attrs

from ..decode import array, mapping, required, string
from ..record import Record


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ErrorIssue(Record):
    """One thing wrong with a request body.

    Attributes:
        loc: Where: the path from `body` down, names and list indexes.
        msg: What is wrong.
        type_: Kind of the problem.
    """

    loc: list[Any]
    msg: str
    type_: str

    @property
    def type(self) -> str:
        """Return `type_`, by its name on the wire."""
        return self.type_

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {"loc": self.loc, "msg": self.msg, "type": self.type_}
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            loc=required(data, "loc", array),
            msg=required(data, "msg", string),
            type_=required(data, "type", string),
        )
