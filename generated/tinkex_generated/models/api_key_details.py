# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import attrs

from ..decode import mapping, required
from ..record import Record
from .api_key_organization import ApiKeyOrganization
from .api_key_user import ApiKeyUser


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ApiKeyDetails(Record):
    """Whose key it is.

    Attributes:
        org_details: The organisation.
        user_details: The owner.
    """

    org_details: ApiKeyOrganization
    user_details: ApiKeyUser

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {
            "org_details": self.org_details.to_dict(),
            "user_details": self.user_details.to_dict(),
        }
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            org_details=required(data, "org_details", ApiKeyOrganization.from_dict),
            user_details=required(data, "user_details", ApiKeyUser.from_dict),
        )
