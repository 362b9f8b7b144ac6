# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import attrs

from ..decode import Reader, enum, list_of, mapping, one_of, optional, string
from ..record import Record
from .error_issue import ErrorIssue
from .request_error_category import RequestErrorCategory


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ErrorBody(Record):
    """What an error answer holds. Nothing in it is sure to be there: servers and the proxies
    before them differ. Tell errors apart by the HTTP status.

    Attributes:
        detail: What went wrong, in words or, for a body that does not fit this description,
            issue by issue.
        message: What went wrong, as some servers name it.
        error: What went wrong, or a short code, as some servers name it.
        category: Whose fault it is.
        request_id: Id of the request concerned.
        code: Short name of the error, for programs. `conflict`: a name that is taken or a state
            that is reached already, on servers that do not use 409 for it.
    """

    detail: str | list[ErrorIssue] | None = None
    message: str | None = None
    error: str | None = None
    category: RequestErrorCategory | None = None
    request_id: str | None = None
    code: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {}
        if self.detail is not None:
            result["detail"] = (
                [item.to_dict() for item in self.detail]
                if isinstance(self.detail, list)
                else self.detail
            )
        if self.message is not None:
            result["message"] = self.message
        if self.error is not None:
            result["error"] = self.error
        if self.category is not None:
            result["category"] = self.category
        if self.request_id is not None:
            result["request_id"] = self.request_id
        if self.code is not None:
            result["code"] = self.code
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            detail=optional(data, "detail", _READ_DETAIL),
            message=optional(data, "message", string),
            error=optional(data, "error", string),
            category=optional(data, "category", enum),
            request_id=optional(data, "request_id", string),
            code=optional(data, "code", string),
        )


_READ_DETAIL: Reader[str | list[ErrorIssue]] = one_of(string, list_of(ErrorIssue.from_dict))
