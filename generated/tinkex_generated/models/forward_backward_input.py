# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import attrs

from ..decode import (
    Reader,
    dict_of,
    enum,
    list_of,
    mapping,
    number,
    one_of,
    optional,
    required,
    string,
)
from ..record import Record
from .datum import Datum
from .loss_fn_type import LossFnType


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ForwardBackwardInput(Record):
    """Data and loss of one pass.

    Attributes:
        data: The examples; at least one. Large batches are split over several requests (see
            fwdbwd_max_chunk_len in ClientConfigResponse).
        loss_fn: The loss.
        loss_fn_config: Settings of the loss.
    """

    data: list[Datum]
    loss_fn: LossFnType
    loss_fn_config: dict[str, float | str] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {
            "data": [item.to_dict() for item in self.data],
            "loss_fn": self.loss_fn,
        }
        if self.loss_fn_config is not None:
            result["loss_fn_config"] = self.loss_fn_config
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            data=required(data, "data", _READ_DATA),
            loss_fn=required(data, "loss_fn", enum),
            loss_fn_config=optional(data, "loss_fn_config", _READ_LOSS_FN_CONFIG),
        )


_READ_DATA: Reader[list[Datum]] = list_of(Datum.from_dict)
_READ_LOSS_FN_CONFIG: Reader[dict[str, float | str]] = dict_of(one_of(number, string))
