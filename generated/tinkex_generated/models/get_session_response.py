# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import attrs

from ..decode import Reader, dict_of, list_of, mapping, optional, required, string
from ..record import Record


@attrs.frozen(kw_only=True, eq=False, repr=False)
class GetSessionResponse(Record):
    """What belongs to a session.

    Attributes:
        training_run_ids: Its training runs.
        sampler_ids: Its sampling sessions.
        user_metadata: Free labels of the caller, kept as they are and given back.
        display_name: Name for people.
    """

    training_run_ids: list[str]
    sampler_ids: list[str]
    user_metadata: dict[str, str] | None = None
    display_name: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {
            "training_run_ids": self.training_run_ids,
            "sampler_ids": self.sampler_ids,
        }
        if self.user_metadata is not None:
            result["user_metadata"] = self.user_metadata
        if self.display_name is not None:
            result["display_name"] = self.display_name
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            training_run_ids=required(data, "training_run_ids", _READ_TRAINING_RUN_IDS),
            sampler_ids=required(data, "sampler_ids", _READ_SAMPLER_IDS),
            user_metadata=optional(data, "user_metadata", _READ_USER_METADATA),
            display_name=optional(data, "display_name", string),
        )


_READ_TRAINING_RUN_IDS: Reader[list[str]] = list_of(string)
_READ_SAMPLER_IDS: Reader[list[str]] = list_of(string)
_READ_USER_METADATA: Reader[dict[str, str]] = dict_of(string)
