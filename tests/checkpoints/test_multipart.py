"""Forms with files come out as another reader of the format understands them."""

from __future__ import annotations

import email
import email.policy
import http.server
import io
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinkex._core.multipart import Form, encode, flatten
from tinkex.errors import ValidationError


def read(form: Form) -> list[tuple[str, str | None, str, bytes]]:
    """Return name, file name, media type and content of each part, as Python's own parser reads it."""
    body = b"".join(form)
    assert len(body) == form.size
    raw = f"Content-Type: {form.content_type}\r\n\r\n".encode() + body
    message = email.message_from_bytes(raw, policy=email.policy.HTTP)
    return [
        (
            str(part.get_param("name", header="content-disposition")),
            part.get_filename(),
            part.get_content_type(),
            part.get_payload(decode=True),  # type: ignore[misc]
        )
        for part in message.iter_parts()  # type: ignore[attr-defined]
    ]


def test_fields_and_files_of_all_kinds_are_encoded(tmp_path: Path) -> None:
    """Fields come first; each file has a name and a media type."""
    path = tmp_path / "data.bin"
    path.write_bytes(b"\0\r\n--x\xff")
    opened = io.BytesIO(b"skip rest")
    opened.seek(5)
    form = encode(
        {"note": "hello"},
        [
            ("path", path),
            ("bytes", b"b"),
            ("text", "no/path"),
            ("open", opened),
            ("named", ("n.txt", b"n", "text/csv")),
            ("headed", (None, b"h", None, {"X-Part": "1"})),
        ],
    )
    octets = "application/octet-stream"
    assert read(form) == [
        ("note", None, "text/plain", b"hello"),
        ("path", "data.bin", octets, b"\0\r\n--x\xff"),
        ("bytes", "bytes", octets, b"b"),
        ("text", "text", octets, b"no/path"),
        ("open", "open", octets, b"rest"),
        ("named", "n.txt", "text/csv", b"n"),
        ("headed", "headed", octets, b"h"),
    ]
    assert b"\r\nX-Part: 1\r\n\r\nh\r\n" in b"".join(form)


def test_nested_fields_are_written_in_brackets() -> None:
    """Maps and lists in each other; None is empty and a boolean is a word."""
    fields: dict[str, Any] = {"a": {"b": {"c": 1}}, "d": [True, None], "e": [{"f": 0.5}]}
    assert flatten(fields) == [("a[b][c]", "1"), ("d[]", "true"), ("d[]", ""), ("e[][f]", "0.5")]


@pytest.mark.holds("S16")
def test_no_name_begins_a_header_of_its_own() -> None:
    """Quotes and line breaks in names are escaped."""
    body = b"".join(encode({}, {'a"\r\nX: 1': ('f"\r\nY: 2', b"")}))
    assert b"\r\nX:" not in body
    assert b"\r\nY:" not in body
    assert b'name="a%22%0D%0AX: 1"; filename="f%22%0D%0AY: 2"' in body


@pytest.mark.parametrize(
    "spec",
    [
        Path("missing"),
        Path(),
        5,
        ("name",),
        ("n", b"", "text/plain\r\nX: 1"),
        ("n", b"", None, {"X": "1\r\nY: 2"}),
        ("n", b"", None, {"Content-Type": "text/csv"}),
        ("n", None),
        pytest.param(io.StringIO("text"), id="a stream of text"),
    ],
    ids=str,
)
def test_what_is_no_file_is_refused_by_its_name(spec: Any) -> None:
    """The error names the file's field."""
    with pytest.raises(ValidationError, match=r"files\[f\]"):
        encode({}, {"f": spec})


@pytest.mark.parametrize("files", [b"content", "path", Path("x"), [b"content"], 5], ids=str)
def test_files_without_names_are_refused(files: Any) -> None:
    """The error says what can be given."""
    with pytest.raises(ValidationError, match="files: must be a mapping"):
        encode({}, files)


def test_the_form_of_the_example_has_the_size_it_had_elsewhere() -> None:
    """Note, two nested fields and a file of six bytes take 516 bytes, as another SDK writes them."""
    sample = Path(__file__).parents[2] / "examples" / "uploads" / "sample_upload.bin"
    fields = {
        "note": "Multipart demo from Tinkex",
        "metadata": {"source": "tinkex", "version": "0.1.0"},
    }
    form = encode(fields, {"file": sample})
    assert sample.stat().st_size == 6
    assert len(form.boundary) == 32
    assert len(b"".join(form)) == form.size == 516


def test_a_file_object_is_read_again_for_each_attempt() -> None:
    """It is sent from where it stood when it was given, also for the second time."""
    opened = io.BytesIO(b"skip rest")
    opened.seek(5)
    form = encode({}, {"f": opened})
    assert b"".join(form) == b"".join(form)
    assert b"\r\n\r\nrest\r\n" in b"".join(form)


def test_a_file_that_changes_while_it_is_sent_is_an_error_by_its_name(tmp_path: Path) -> None:
    """Fewer bytes than were announced never look like the end of the form."""
    path = tmp_path / "f"
    path.write_bytes(b"12345")
    form = encode({}, {"f": path})
    path.write_bytes(b"123")
    with pytest.raises(ValidationError, match=r"files\[f\]: shrank"):
        b"".join(form)
    path.unlink()
    with pytest.raises(ValidationError, match=r"files\[f\]: cannot be read"):
        b"".join(form)


@given(st.dictionaries(st.from_regex(r"[a-z]{1,8}", fullmatch=True), st.binary(max_size=300)))
def test_any_content_comes_back(files: dict[str, bytes]) -> None:
    """Whatever the bytes are, they are not taken for the end of a part."""
    form = encode({"first": "1"}, files)
    assert [(name, content) for name, _, _, content in read(form)][1:] == list(files.items())


def test_a_large_file_is_never_in_memory_as_a_whole(tmp_path: Path) -> None:
    """It is yielded in pieces of 64 KiB at most, and twice if it is sent twice."""
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(50_000_000)
    form = encode({}, {"f": path})
    for _ in range(2):
        sizes = [len(piece) for piece in form]
        assert max(sizes) <= 65_536
        assert sum(sizes) == form.size


def test_a_form_is_uploaded_over_a_socket_with_its_length(tmp_path: Path) -> None:
    """An HTTP client sends it as it is; the server gets all of it."""
    got: list[tuple[str, bytes]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            got.append((self.headers["Content-Type"], self.rfile.read(length)))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    path = tmp_path / "f"
    path.write_bytes(bytes(300_000))
    form = encode({"note": "hello"}, {"f": path})
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        with httpx.Client(trust_env=False) as client:
            url = f"http://127.0.0.1:{server.server_port}/"
            assert client.post(url, content=form, headers=form.headers).status_code == 204
        thread.join()
    assert got == [(form.content_type, b"".join(form))]
