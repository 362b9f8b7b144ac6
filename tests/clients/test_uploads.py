"""Files given to `RestClient.request` are sent as a form, streamed, and arrive as they are."""

from __future__ import annotations

import hashlib
import io
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from support.clock import FakeClock
from support.scripted import Script, scripted_service

from tinkex import Config, ServiceClient
from tinkex._core.transport import Transport
from tinkex.errors import PayloadTooLargeError, ServerError, TransportError, ValidationError
from tinkex.local import LocalServer
from tinkex.local.app_state import Options
from tinkex.testing import Fault

UPLOADS = "/api/v1/uploads"
MIB = 1024 * 1024


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_the_local_server_answers_what_it_received(
    nano_service: ServiceClient, tmp_path: Path
) -> None:
    """Nested fields come in brackets, and each file with its name, type, size and checksum."""
    path = tmp_path / "data.bin"
    path.write_bytes(b"\0\r\n--" * 50_000)
    answer = nano_service.create_rest_client().request(
        "POST",
        UPLOADS,
        {"note": "héllo", "metadata": {"tags": ["a", True]}},
        files=[
            ("path", path),
            ("open", io.BytesIO(b"opened")),
            ("named", ('a"b.txt', b"named", "text/plain")),
        ],
    )
    got = answer.json()
    assert [(field["name"], field["value"]) for field in got["fields"]] == [
        ("note", "héllo"),
        ("metadata[tags][]", "a"),
        ("metadata[tags][]", "true"),
    ]
    octets = "application/octet-stream"
    assert [tuple(file.values()) for file in got["files"]] == [
        ("path", "data.bin", octets, 250_000, digest(path.read_bytes())),
        ("open", "open", octets, 6, digest(b"opened")),
        ("named", "a%22b.txt", "text/plain", 5, digest(b"named")),
    ]


def test_neither_side_holds_a_large_file(nano_service: ServiceClient, tmp_path: Path) -> None:
    """An upload of 48 MiB takes client and server together a small part of that in memory."""
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(48 * MIB)
    rest = nano_service.create_rest_client()
    rest.request("POST", UPLOADS, files={"file": b"what is loaded at the first time"})
    tracemalloc.start()
    try:
        answer = rest.request("POST", UPLOADS, files={"file": path})
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert answer.json()["files"][0]["size_bytes"] == 48 * MIB
    assert peak < 12 * MIB


def test_a_repeated_upload_has_the_same_bytes() -> None:
    """A server that did nothing is sent the form again, with the same key, from its first byte."""
    script = Script().on("POST uploads", (503, b"", {"Retry-After": "1"}), {"ok": True})
    opened = io.BytesIO(b"skip rest")
    opened.seek(5)
    with scripted_service(script, FakeClock()) as service:
        answer = service.create_rest_client().request(
            "POST", UPLOADS, {"a": 1}, files={"f": opened}
        )
    assert (answer.json(), answer.retries) == ({"ok": True}, 1)
    first, second = script.sent("uploads")
    assert first.content == second.content
    assert b"\r\n\r\nrest\r\n" in first.content
    assert first.headers["content-length"] == str(len(first.content))
    assert "transfer-encoding" not in first.headers
    assert first.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert first.headers["x-idempotency-key"] == second.headers["x-idempotency-key"]


def test_a_repeated_upload_arrives_whole_over_a_socket(tmp_path: Path) -> None:
    """After a 503 the file object is read from its beginning again, and every byte comes."""
    clock = FakeClock()
    refused = Fault(on="upload_form", times=2, status=503, headers={"retry-after": "5"})
    with LocalServer(data_dir=tmp_path, faults=[refused]) as server:
        config = Config.resolve(environ={}, base_url=server.base_url)
        transport = Transport(config, clock=clock)
        with ServiceClient(config=config, transport=transport) as service:
            opened = io.BytesIO(bytes(range(256)) * 1000)
            opened.seek(7)
            rest = service.create_rest_client()
            answer = rest.request("POST", UPLOADS, files={"f": opened})
    assert answer.retries == 2
    assert clock.slept == [5.0, 5.0]
    [got] = answer.json()["files"]
    assert (got["size_bytes"], got["sha256"]) == (255_993, digest(opened.getvalue()[7:]))


def test_an_upload_whose_answer_was_lost_is_the_callers_to_repeat(tmp_path: Path) -> None:
    """A reset says nothing about what the server did, so the form is sent once."""
    with (
        LocalServer(data_dir=tmp_path, faults=[Fault(on="upload_form", reset=True)]) as server,
        ServiceClient(base_url=server.base_url) as service,
    ):
        rest = service.create_rest_client()
        with pytest.raises(TransportError):
            rest.request("POST", UPLOADS, files={"f": b"x"})
        assert len(server.faults.played) == 1
        assert rest.request("POST", UPLOADS, files={"f": b"x"}).status_code == 200


def test_an_upload_that_may_have_arrived_is_not_sent_twice() -> None:
    """A 500 says nothing about what was done, so it is the caller's to decide."""
    script = Script().on("POST uploads", (500, b""))
    with scripted_service(script, FakeClock()) as service, pytest.raises(ServerError):
        service.create_rest_client().request("POST", UPLOADS, files={"f": b"x"})
    assert len(script.sent("uploads")) == 1


def test_a_form_that_is_too_large_is_refused_by_its_length(tmp_path: Path) -> None:
    """The server's limit comes back as its own error, while the client was still sending."""
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(30 * MIB)
    options = Options(max_body_bytes=MIB)
    with (
        LocalServer(data_dir=tmp_path / "data", options=options) as server,
        ServiceClient(base_url=server.base_url) as service,
    ):
        rest = service.create_rest_client()
        with pytest.raises(PayloadTooLargeError, match="larger than 1048576 bytes"):
            rest.request("POST", UPLOADS, files={"file": path})
        assert rest.request("POST", UPLOADS, files={"file": b"x"}).status_code == 200
        assert not list((tmp_path / "data").rglob("*.form"))


def test_a_file_that_ends_early_breaks_the_upload(nano_service: ServiceClient) -> None:
    """The error names the file, and is none of the connection; the client goes on."""

    class Shrinking(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(size)[:10] if self.tell() == 0 else b""

    rest = nano_service.create_rest_client()
    with pytest.raises(ValidationError, match=r"files\[f\]: shrank"):
        rest.request("POST", UPLOADS, files={"f": Shrinking(bytes(100_000))})
    assert rest.request("POST", UPLOADS, files={"f": b"x"}).status_code == 200


@pytest.mark.parametrize(
    ("method", "body", "files", "field"),
    [
        ("GET", None, {"f": b""}, "files"),
        ("POST", "text", {"f": b""}, "body"),
        ("POST", [1], {"f": b""}, "body"),
        ("POST", None, {"f": Path("missing")}, r"files\[f\]"),
        ("POST", None, b"content", "files"),
    ],
    ids=str,
)
def test_what_is_no_form_sends_nothing(method: str, body: Any, files: Any, field: str) -> None:
    """The error names the argument."""
    script = Script()
    with (
        scripted_service(script, FakeClock()) as service,
        pytest.raises(ValidationError, match=f"^{field}: "),
    ):
        service.create_rest_client().request(method, UPLOADS, body, files=files)
    assert "POST uploads" not in script.paths()
