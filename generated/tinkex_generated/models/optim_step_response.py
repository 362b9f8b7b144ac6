# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import attrs

from ..decode import Reader, dict_of, mapping, number, optional
from ..record import Record


@attrs.frozen(kw_only=True, eq=False, repr=False)
class OptimStepResponse(Record):
    """The step is taken.

    Attributes:
        metrics: Numbers about the step; which, is up to the server.
    """

    metrics: dict[str, float] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {}
        if self.metrics is not None:
            result["metrics"] = self.metrics
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(metrics=optional(data, "metrics", _READ_METRICS))


_READ_METRICS: Reader[dict[str, float]] = dict_of(number)
