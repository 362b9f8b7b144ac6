# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import attrs

from ..decode import mapping, required, string
from ..record import Record


@attrs.frozen(kw_only=True, eq=False, repr=False)
class AuthTokenResponse(Record):
    """A short-lived token.

    Attributes:
        jwt: Goes into X-API-Key of all further requests.
    """

    jwt: str = attrs.field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {"jwt": self.jwt}
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(jwt=required(data, "jwt", string))
