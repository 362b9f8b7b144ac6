"""The examples about checkpoints run as a user runs them, and print what they claim."""

from __future__ import annotations

import hashlib
import http.server
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from examples.test_examples import output_of, run


def test_weights_inspection_shows_a_checkpoint_from_outside_and_inside(tmp_path: Path) -> None:
    """The server's rank is compared with the expected one; the file's tensors are listed."""
    out = output_of("weights_inspection", tmp_path, TINKER_EXPECTED_RANK="8")
    assert "No checkpoint yet: saving one." in out
    assert "rank matches the expected 8" in out
    assert "lora_A" in out
    assert "signature" not in out


def test_checkpoints_management_lists_pages_and_rehearses(tmp_path: Path) -> None:
    """Three checkpoints are listed; the one that a pruning would take is still there after it."""
    out = output_of("checkpoints_management", tmp_path)
    assert "found 3 of 3" in out
    assert out.count("expires  never") == 2
    assert "fetched 3 (3)" in out
    assert re.search(r"would delete 1: tinker://\S+/weights/first\n", out)
    assert "found 3 of 3" in output_of("checkpoints_management", tmp_path)


def test_checkpoint_multi_delete_deletes_both(tmp_path: Path) -> None:
    """The summary counts two, and the file holds the first path without a line end."""
    out = output_of("checkpoint_multi_delete", tmp_path)
    summary = json.loads(out[out.index("{") :])
    assert (summary["command"], summary["action"]) == ("checkpoint", "delete")
    assert (summary["deleted"], summary["failed"], summary["failures"]) == (2, 0, [])
    kept = (tmp_path / "tmp" / "checkpoints" / "default.path").read_text()
    assert kept == summary["paths"][0]


@pytest.mark.parametrize("name", ["checkpoint_multi_delete", "cli_run_text", "cli_run_prompt_file"])
def test_an_example_of_the_command_line_says_what_to_install(tmp_path: Path, name: str) -> None:
    """Without the packages of the command line it is one line, with the extra's name."""
    (tmp_path / "click.py").write_text("raise ModuleNotFoundError(name='click')\n")
    done = run(name, tmp_path, PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "pip install 'tinkex[cli]'" in done.stderr


def test_training_persistence_restores_a_run(tmp_path: Path) -> None:
    """The restored client is a model of its own."""
    out = output_of("training_persistence", tmp_path)
    assert re.search(r"Saved for 86400 s as tinker://\S+/weights/demo-checkpoint-\d+", out)
    assert "Loaded back with its optimizer" in out
    assert re.search(r"Restored as \S+:train:1", out)


@pytest.fixture
def receiver() -> Iterator[tuple[str, list[tuple[str, str | None, bytes]]]]:
    """A server that keeps the path, the key and the body of what it is sent."""
    got: list[tuple[str, str | None, bytes]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((self.path, self.headers["X-API-Key"], body))
            self.send_response(200)
            self.send_header("Content-Length", "8")
            self.end_headers()
            self.wfile.write(b"received")

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", got
        server.shutdown()
        thread.join()


def test_file_upload_multipart_shows_and_uploads_a_form(
    tmp_path: Path, receiver: tuple[str, list[tuple[str, str | None, bytes]]]
) -> None:
    """Six steps are printed; the local server takes the form, another one at the named endpoint."""
    url, got = receiver
    done = run("file_upload_multipart", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert [line[:3] for line in done.stdout.splitlines() if line.startswith("[")] == [
        f"[{number}]" for number in range(1, 7)
    ]
    assert "metadata[source] = tinkex" in done.stdout
    assert re.search(r"boundary=[0-9a-f]{32}\n    516 bytes\n", done.stdout)
    answer = json.loads(done.stdout.split("HTTP 200, ")[1].splitlines()[0])
    assert answer["size_bytes"] == 516
    assert answer["files"][0]["sha256"] == hashlib.sha256(b"tinkex").hexdigest()
    settings = {"TINKER_API_KEY": "tml-uploaded", "TINKER_BASE_URL": url}
    done = run("file_upload_multipart", tmp_path, **settings, TINKER_UPLOAD_ENDPOINT="/files")
    assert "[6] POST /files: HTTP 200, received" in done.stdout, done.stderr
    assert "tml-uploaded" not in done.stdout
    [(_, key, body)] = [request for request in got if request[0] == "/files"]
    assert key == "tml-uploaded"
    assert b'name="file"; filename="sample_upload.bin"' in body
