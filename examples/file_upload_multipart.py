"""Show how a form with a file is encoded, piece by piece, and upload it where you say.

    python examples/file_upload_multipart.py

Settings: TINKER_UPLOAD_FILE (a small file is made if not set), TINKER_UPLOAD_NOTE, and, to upload:
TINKER_API_KEY, TINKER_BASE_URL, TINKER_UPLOAD_ENDPOINT (a path on that server).
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import httpx

import tinkex
from tinkex.multipart import Form, encode, flatten

SHOWN = 500


def show(path: Path, note: str) -> Form:
    """Print each step from a file to the bytes of a request."""
    print(f"[1] File: {path.name}, {path.stat().st_size} bytes")
    print(f"[2] As part of the form: ({path.name!r}, <{path.stat().st_size} bytes>)")
    fields = {"note": note, "metadata": {"source": "tinkex", "version": tinkex.__version__}}
    print("[3] Fields in bracket notation:")
    for name, value in flatten(fields):
        print(f"    {name} = {value}")
    form = encode(fields, {"file": path})
    print(f"[4] Content-Type: {form.content_type}\n    {form.size} bytes")
    body = b"".join(form)
    text = "".join(chr(byte) if 32 <= byte < 127 or byte == 10 else "." for byte in body[:SHOWN])
    print(f"[5] The body begins:\n{text}")
    if form.size > SHOWN:
        print(f"... {form.size - SHOWN} more bytes")
    return form


def upload(form: Form) -> None:
    """Send the form, if the environment says where to."""
    endpoint = os.environ.get("TINKER_UPLOAD_ENDPOINT")
    if not os.environ.get("TINKER_API_KEY"):
        print("[6] TINKER_API_KEY is not set: nothing is uploaded.")
        return
    if not endpoint:
        print("[6] TINKER_UPLOAD_ENDPOINT is not set: the service has no public upload route.")
        return
    config = tinkex.Config.resolve()
    key = config.api_key.reveal() if config.api_key else ""
    url = config.base_url.rstrip("/") + "/" + endpoint.lstrip("/")
    with httpx.Client(trust_env=not config.is_loopback) as client:
        answer = client.post(url, content=form, headers={**form.headers, "X-API-Key": key})
    print(f"[6] POST {endpoint}: HTTP {answer.status_code}, {answer.text[:200]}")


def main() -> None:
    """Encode the file, show it, and perhaps send it."""
    note = os.environ.get("TINKER_UPLOAD_NOTE", "Multipart demo from Tinkex")
    named = os.environ.get("TINKER_UPLOAD_FILE")
    if named and not Path(named).is_file():
        sys.exit(f"error: TINKER_UPLOAD_FILE: {named} is no file")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(named) if named else Path(folder) / "sample_upload.bin"
        if not named:
            path.write_bytes(b"tinkex\0" * 4)
        upload(show(path, note))
    print("Complete.")


if __name__ == "__main__":
    try:
        main()
    except (tinkex.TinkexError, httpx.HTTPError) as error:
        sys.exit(f"error: {error}")
