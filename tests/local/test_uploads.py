"""The local server reads forms as they are written, and refuses what is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from local.wire import Wire

from tinkex._core.multipart import encode
from tinkex.local import LocalServer
from tinkex.local.forms import LONGEST_HEAD, MOST_PARTS, read_form
from tinkex.local.problem import Problem

FORM = "multipart/form-data; boundary=B"
FIELD = b'Content-Disposition: form-data; name="a"\r\n\r\n'


def part(head: bytes = FIELD, content: bytes = b"1") -> bytes:
    return b"--B\r\n" + head + content + b"\r\n"


def post(wire: Wire, content: bytes, content_type: str = FORM) -> Any:
    return wire.http.post("uploads", content=content, headers={"content-type": content_type})


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (b"before\r\n" + part() + b"--B--after", FORM),
        (part() + b"--B--", 'multipart/form-data; boundary="B"; charset=utf-8'),
        (b"--B \t\r\n" + FIELD + b"1\r\n--B--", "Multipart/Form-Data; Boundary=B"),
        (part(b'content-disposition: Form-Data ; Name=a\r\nX: "\r\n\r\n') + b"--B--\r\n", FORM),
    ],
    ids=["preamble", "quoted boundary", "padding", "other spellings"],
)
def test_forms_are_read_as_the_standard_has_them(
    wire: Wire, content: bytes, content_type: str
) -> None:
    """What stands around the parts, and how words are spelled, means nothing."""
    answer = post(wire, content, content_type)
    assert answer.status_code == 200, answer.text
    assert answer.json() == {
        "fields": [{"name": "a", "value": "1"}],
        "files": [],
        "size_bytes": len(content),
    }


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"text", "does not hold the boundary"),
        (part(), "no end|not followed"),
        (b"--B\r\n" + FIELD + b"1", "no end"),
        (b"--Bx\r\n" + FIELD + b"1\r\n--B--", "not followed by a new line"),
        (b"--B\r\n\r\n1\r\n--B--", "form-data with a name"),
        (part(b"Content-Disposition: attachment; name=a\r\n\r\n") + b"--B--", "form-data"),
        (part(b"Content-Disposition: form-data\r\n\r\n") + b"--B--", "name"),
        (part(b"X: " + b"x" * LONGEST_HEAD + b"\r\n" + FIELD) + b"--B--", "head of at most"),
        (part(FIELD, b"\xff") + b"--B--", "no UTF-8"),
        (part(FIELD.replace(b"a", b"\xff")) + b"--B--", "no UTF-8|form-data"),
        (part(FIELD, b"x" * (1024 * 1024 + 1)) + b"--B--", "larger than"),
        (part() * (MOST_PARTS + 1) + b"--B--", "more than"),
    ],
)
def test_what_is_no_form_is_refused(
    wire: Wire, server: LocalServer, content: bytes, said: str
) -> None:
    """A 400 says what is wrong, and nothing of the form stays on the disk."""
    answer = post(wire, content)
    assert answer.status_code == 400, answer.text
    assert any(words in answer.json()["detail"] for words in said.split("|"))
    assert not list(server.data_dir.rglob("*.form"))


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 415),
        ("", 415),
        ("multipart/form-data", 400),
        ("multipart/form-data; boundary=" + "x" * 71, 400),
    ],
)
def test_another_media_type_or_no_boundary_is_refused(
    wire: Wire, content_type: str, status: int
) -> None:
    """Without its boundary no form can be read."""
    assert post(wire, part() + b"--B--", content_type).status_code == status


NAMES = st.from_regex(r"[a-zA-Z0-9 _.\u00e9-]{1,20}", fullmatch=True)


@given(
    st.dictionaries(NAMES, st.text(st.characters(codec="utf-8"), max_size=50), max_size=5),
    st.dictionaries(NAMES, st.binary(max_size=200), max_size=5),
)
def test_any_form_of_the_client_is_read_by_the_server(
    tmp_path: Path, fields: dict[str, str], files: dict[str, bytes]
) -> None:
    """Names, texts and sizes come out as they went in."""
    form = encode(fields, files)
    came = tmp_path / "form"
    came.write_bytes(b"".join(form))
    got = read_form(came, form.boundary.encode())
    assert {field.name: field.value for field in got.fields} == fields
    assert {file.name: file.size_bytes for file in got.files} == {
        name: len(content) for name, content in files.items()
    }


@given(st.lists(st.sampled_from([b"--B", b"\r\n", b"--", FIELD, b"x", b"\xff", b'"']), max_size=12))
def test_no_bytes_raise_anything_but_a_problem(tmp_path: Path, pieces: list[bytes]) -> None:
    """Whatever comes is a form or a 400."""
    came = tmp_path / "form"
    came.write_bytes(b"".join(pieces))
    try:
        read_form(came, b"B")
    except Problem as problem:
        status = problem.status
    else:
        status = 200
    assert status in (200, 400)
