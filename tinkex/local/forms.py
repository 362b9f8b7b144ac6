"""Read a form with files (multipart/form-data, RFC 7578) from a file, without loading it."""

import hashlib
import mmap
import re
from collections.abc import Iterator
from pathlib import Path

from tinkex_generated.models import UploadedField, UploadedFile, UploadedForm

from tinkex.local.problem import Problem

MOST_PARTS = 1000
LONGEST_HEAD = 16 * 1024
# Fields are returned as they came.
MOST_TEXT = 1024 * 1024
_BLOCK = 1024 * 1024
_BOUNDARY = re.compile(r";\s*boundary=(?:\"([^\"\r\n]{1,70})\"|([^\s;\"]{1,70}))", re.IGNORECASE)
_PARAMETER = re.compile(r";\s*([\w*-]+)\s*=\s*(?:\"((?:\\.|[^\"\\])*)\"|([^\s;\"]*))")
_AFTER_BOUNDARY = re.compile(rb"--|[ \t]*\r\n")


def boundary_of(content_type: str) -> bytes:
    """Return the boundary of a form, or raise a 400 problem."""
    found = _BOUNDARY.search(content_type)
    if found is None:
        raise Problem(400, "the form's content-type names no boundary of 1 to 70 characters")
    return (found[1] or found[2]).encode("latin-1", "replace")


def read_form(file: Path, boundary: bytes) -> UploadedForm:
    """Return the fields of a form, and sizes and checksums of its files.

    What is no form to its very end is a 400 problem.
    """
    size = file.stat().st_size
    if not size:
        raise Problem(400, "the form is empty: it has not even an end")
    fields, files, left = [], [], MOST_TEXT
    with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for number, (start, body, end) in enumerate(_parts(data, boundary)):
            if number >= MOST_PARTS:
                raise Problem(400, f"the form has more than {MOST_PARTS} parts")
            head = _head(data[start:body], number)
            named = _parameters(head.get("content-disposition", ""), number)
            if "filename" in named:
                files.append(_file(data, body, end, named, head))
                continue
            left -= end - body
            if left < 0:
                raise Problem(400, f"the form's fields are larger than {MOST_TEXT} bytes")
            text = _text(data[body:end], f"part {number}")
            fields.append(UploadedField(name=named["name"], value=text))
    return UploadedForm(fields=fields, files=files, size_bytes=size)


def _parts(data: mmap.mmap, boundary: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield of each part where its head begins, its content begins, and its content ends."""
    first, between = b"--" + boundary, b"\r\n--" + boundary
    if data[: len(first)] == first:
        here = len(first)
    else:
        # What stands before the first boundary means nothing.
        found = data.find(between)
        if found < 0:
            raise Problem(400, "the form does not hold the boundary that its content-type names")
        here = found + len(between)
    while True:
        after = _AFTER_BOUNDARY.match(data, here)
        if after is None:
            raise Problem(400, "the form's boundary is not followed by a new line")
        if after[0] == b"--":
            return
        start = after.end()
        # A part without headers has its empty line at once; then this finds it as well.
        blank = data.find(b"\r\n\r\n", start - 2, start + LONGEST_HEAD)
        end = data.find(between, max(start - 2, blank))
        if blank < 0 or end < 0:
            what = "end" if end < 0 else f"part with a head of at most {LONGEST_HEAD} bytes"
            raise Problem(400, f"the form has no {what}")
        yield start, min(blank + 4, end), end
        here = end + len(between)


def _head(raw: bytes, number: int) -> dict[str, str]:
    lines = _text(raw, f"the head of part {number}").split("\r\n")
    pairs = (line.partition(":") for line in lines if line)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _parameters(disposition: str, number: int) -> dict[str, str]:
    """Return the names that a part has, or raise a 400 problem."""
    named = {
        found[1].lower(): re.sub(r"\\(.)", r"\1", found[2]) if found[2] is not None else found[3]
        for found in _PARAMETER.finditer(disposition)
    }
    if not disposition.lower().startswith("form-data") or "name" not in named:
        raise Problem(400, f"part {number} of the form is no form-data with a name")
    return named


def _file(
    data: mmap.mmap, start: int, end: int, named: dict[str, str], head: dict[str, str]
) -> UploadedFile:
    hasher = hashlib.sha256()
    for offset in range(start, end, _BLOCK):
        hasher.update(data[offset : min(offset + _BLOCK, end)])
    return UploadedFile(
        name=named["name"],
        filename=named["filename"],
        content_type=head.get("content-type", "text/plain"),
        size_bytes=end - start,
        sha256=hasher.hexdigest(),
    )


def _text(raw: bytes, what: str) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise Problem(400, f"{what} of the form is no UTF-8") from error
