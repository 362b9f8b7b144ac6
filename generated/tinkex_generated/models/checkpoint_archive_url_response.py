# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, Self

import attrs

from ..decode import date_time, mapping, required, string
from ..record import Record
from ..types import date_time_text


@attrs.frozen(kw_only=True, eq=False, repr=False)
class CheckpointArchiveUrlResponse(Record):
    """Where the archive is.

    Attributes:
        url: Signed URL; to be fetched without any credential.
        expires: Until when it is good.
    """

    url: str
    expires: datetime.datetime

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {"url": self.url, "expires": date_time_text(self.expires)}
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(url=required(data, "url", string), expires=required(data, "expires", date_time))
