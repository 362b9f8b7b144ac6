# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""Send a form with files to the local server.

The local server reads the form to its end, keeps nothing of it, and returns a summary: the
fields, and of each file its size and checksum.

POST /api/v1/uploads
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...decode import parse_json
from ...models.uploaded_form import UploadedForm
from ...types import Request

if TYPE_CHECKING:
    from ...client import Client

__all__ = ("build_request", "parse_response", "sync")


def build_request(*, body: bytes) -> Request:
    """Describe the request; nothing is sent."""
    headers: dict[str, str] = {"accept": "application/json"}
    return Request(
        operation="upload_form",
        method="POST",
        path="/api/v1/uploads",
        headers=headers,
        content=body,
        content_type="multipart/form-data",
        secured=True,
    )


def parse_response(content: bytes) -> UploadedForm:
    """Read the body of a success; raises ParseError for anything else."""
    return parse_json(content, UploadedForm.from_dict)


def sync(*, client: Client, body: bytes) -> UploadedForm:
    """Send the request once; raises UnexpectedStatus, ParseError or an httpx.HTTPError."""
    return client.exchange(build_request(body=body), parse_response, (200,))
