# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""The errors that the generated code raises itself."""

from __future__ import annotations

_EXCERPT = 200


class ParseError(ValueError):
    """A body or a value does not have the form that the API description gives it.

    Attributes:
        path: Where, such as `data[3].model_input`; empty for the whole value.
        message: What is wrong there.
    """

    def __init__(self, path: str, message: str) -> None:
        super().__init__(path, message)
        self.path = path
        self.message = message

    def __str__(self) -> str:
        return f"{self.path or 'value'} {self.message}"

    def inside(self, step: str) -> ParseError:
        """Return the same error as seen from the enclosing value, `step` further out."""
        separator = "." if self.path and not self.path.startswith("[") else ""
        return ParseError(f"{step}{separator}{self.path}", self.message)


class UnexpectedStatus(Exception):
    """The status of a response is not a documented success of the operation.

    Attributes:
        status_code: The HTTP status.
        content: The whole body; the message shows at most its first 200 characters.
    """

    def __init__(self, status_code: int, content: bytes) -> None:
        super().__init__(status_code, content)
        self.status_code = status_code
        self.content = content

    def __str__(self) -> str:
        body = bytes(self.content[: 4 * _EXCERPT]).decode("utf-8", "replace")
        return f"unexpected status {self.status_code}: {body[:_EXCERPT]}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.status_code})"
