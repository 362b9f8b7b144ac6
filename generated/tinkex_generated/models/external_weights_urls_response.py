# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, Self

import attrs

from ..decode import Reader, date_time, dict_of, mapping, required, string
from ..record import Record
from ..types import date_time_text


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ExternalWeightsUrlsResponse(Record):
    """Where the files are.

    Attributes:
        urls: The files.
        expires: Until when the URLs are good.
    """

    urls: dict[str, str]
    expires: datetime.datetime

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {"urls": self.urls, "expires": date_time_text(self.expires)}
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            urls=required(data, "urls", _READ_URLS), expires=required(data, "expires", date_time)
        )


_READ_URLS: Reader[dict[str, str]] = dict_of(string)
