# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import attrs

from ..decode import Reader, integer, list_of, mapping, required, tagged
from ..record import Record
from .failed_completion import FailedCompletion
from .finished_completion import FinishedCompletion


@attrs.frozen(kw_only=True, eq=False, repr=False)
class FuturesRetrieveResponse(Record):
    """Completions since the cursor.

    Attributes:
        completions: The new completions, in order.
        cursor: Where the next request continues.
    """

    completions: list[FinishedCompletion | FailedCompletion]
    cursor: int

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {
            "completions": [item.to_dict() for item in self.completions],
            "cursor": self.cursor,
        }
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            completions=required(data, "completions", _READ_COMPLETIONS),
            cursor=required(data, "cursor", integer),
        )


_READ_COMPLETIONS: Reader[list[FinishedCompletion | FailedCompletion]] = list_of(
    tagged(
        "state", {"finished": FinishedCompletion.from_dict, "failed": FailedCompletion.from_dict}
    )
)
