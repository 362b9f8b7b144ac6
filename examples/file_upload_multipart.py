"""Show how a form with a file is encoded, piece by piece, and upload it.

    python examples/file_upload_multipart.py

Settings: TINKER_UPLOAD_FILE (examples/uploads/sample_upload.bin), TINKER_UPLOAD_NOTE, TINKER_API_KEY,
TINKER_BASE_URL, TINKER_UPLOAD_ENDPOINT (a path on that server). The local server has a route for
uploads, the hosted service has none that is public: there, nothing is sent without an endpoint.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from connection import connect

import tinkex
from tinkex._core.multipart import Form, encode, flatten

SAMPLE = Path(__file__).parent / "uploads" / "sample_upload.bin"
LOCAL_ENDPOINT = "/api/v1/uploads"
SHOWN = 500


def show(path: Path, fields: dict[str, Any]) -> None:
    """Print each step from a file to the bytes of a request."""
    size = path.stat().st_size
    print(f"[1] File: {path}, {size} bytes")
    print(f"[2] As part of the form: ({path.name!r}, <{size} bytes>)")
    print("[3] Fields in bracket notation:")
    for name, value in sorted(flatten(fields)):
        print(f"    {name} = {value}")
    form = encode(fields, {"file": path})
    print(f"[4] Content-Type: {form.content_type}\n    {form.size} bytes")
    print("[5] The body begins:")
    print(beginning(form))
    if form.size > SHOWN:
        print(f"... {form.size - SHOWN} more bytes")


def beginning(form: Form) -> str:
    """Return the first bytes of a form, with dots for what cannot be shown."""
    body = b""
    for piece in form:
        body += piece[: SHOWN - len(body)]
        if len(body) == SHOWN:
            break
    text = body.decode("latin-1").replace("\r\n", "\n")
    return "".join(one if 32 <= ord(one) < 127 or one == "\n" else "." for one in text)


def find_endpoint() -> str | None:
    """Return where to upload to; None if that is the hosted service, and no route is named."""
    named = os.environ.get("TINKER_UPLOAD_ENDPOINT")
    if named:
        return "/" + named.lstrip("/")
    url = os.environ.get("TINKER_BASE_URL")
    if not url and os.environ.get("TINKER_API_KEY"):
        return None
    is_local = not url or url == "local" or tinkex.Config.resolve().is_loopback
    return LOCAL_ENDPOINT if is_local else None


def upload(path: Path, fields: dict[str, Any]) -> None:
    """Send the form where it can be sent to, and print the answer."""
    endpoint = find_endpoint()
    if endpoint is None:
        print("[6] TINKER_UPLOAD_ENDPOINT is not set: the service has no public upload route.")
        return
    with connect() as service:
        rest = service.create_rest_client()
        answer = rest.request("POST", endpoint, fields, files={"file": path})
        said = answer.content[:SHOWN].decode("utf-8", "replace")
        print(f"[6] POST {endpoint}: HTTP {answer.status_code}, {said}")


def main() -> None:
    """Encode the file, show it, and send it."""
    named = os.environ.get("TINKER_UPLOAD_FILE")
    path = Path(named) if named else SAMPLE
    if not path.is_file():
        sys.exit(f"error: {path} is no file; set TINKER_UPLOAD_FILE to one that is there")
    note = os.environ.get("TINKER_UPLOAD_NOTE", "Multipart demo from Tinkex")
    fields = {"note": note, "metadata": {"source": "tinkex", "version": tinkex.__version__}}
    show(path, fields)
    upload(path, fields)
    print("Complete.")


if __name__ == "__main__":
    try:
        main()
    except tinkex.TinkexError as error:
        sys.exit(f"error: {error}")
