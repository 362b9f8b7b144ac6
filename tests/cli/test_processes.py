"""Every command in a process of its own, as a user runs it."""

from __future__ import annotations

import http.server
import os
import pty
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli.conftest import Made
from support.command import Shell, start
from support.interrupts import interrupt

from tinkex.cli.group import COMMANDS

SAMPLE = ("run", "--base-model", "tinkex/nano", "--prompt", "a b", "--max-tokens", "2")

QUESTIONS = str(Path(__file__).resolve().parents[2] / "examples" / "data" / "questions.jsonl")

# Arguments, with what `Made` fills in; and what stands on stdout.
GOOD: list[tuple[tuple[str, ...], str]] = [
    (("--help",), "Commands:"),
    (("--version",), "tinkex "),
    (("-V",), "tinkex "),
    (("version",), "tinkex "),
    (SAMPLE, "stop_reason="),
    (("run", "list"), "Training runs (1/1)"),
    (("run", "info", "{run_id}"), "Base model: tinkex/nano"),
    (("checkpoint", "list"), "Checkpoints ("),
    (("checkpoint", "info", "{sampler_path}"), "LoRA rank: 4"),
    (("checkpoint", "inspect", "{sampler_path}"), "target modules"),
    (("checkpoint", "publish", "{sampler_path}"), "Published tinker://"),
    (("checkpoint", "unpublish", "{sampler_path}"), "Unpublished tinker://"),
    (("checkpoint", "set-ttl", "{sampler_path}", "--ttl", "7200"), "in 7200 seconds"),
    (("checkpoint", "download", "{sampler_path}"), "Downloaded to "),
    (("checkpoint", "prune", "--keep-last", "1", "--dry-run"), "Would delete {path_a}"),
    (("checkpoint", "delete", "{path_a}"), "Aborted: nothing was deleted"),
    (("session", "list"), "{session_id}"),
    (("session", "info", "{session_id}"), "Training run: {run_id}"),
    (("session", "export-trace", "{session_id}"), "Saved the trace to "),
    (("session", "close", "{session_id}"), "Closed {session_id}"),
    (("model", "list"), "tinkex/tiny-chat\t"),
    (("auth", "status"), "Server: http://127.0.0.1:"),
    (("auth", "whoami"), "Organization: local"),
    (("config", "show"), "base_url\thttp://127.0.0.1:"),
    (("help", "run", "list"), "Usage: tinkex run list"),
    (("usage",), "Usage from "),
    (("doctor",), "sample       ok"),
    (("report",), '"doctor": {{'),
    (("completion", "bash"), "_TINKEX_COMPLETE"),
    (("evaluate", "tinkex/nano", QUESTIONS, "--limit", "1", "--max-tokens", "1"), "exact"),
    (
        ("sample", "tinkex/nano", QUESTIONS, "-o", "responses.jsonl", "--max-tokens", "1"),
        "responses.jsonl",
    ),
]


def filled(text: str, made: Made) -> str:
    return text.format(
        run_id=made.run_id,
        session_id=made.session_id,
        sampler_path=made.sampler_path,
        path_a=made.paths[0],
    )


@pytest.mark.parametrize(("arguments", "shown"), GOOD, ids=[" ".join(a[:2]) for a, _ in GOOD])
def test_a_command_does_its_work(
    arguments: tuple[str, ...], shown: str, shell: Shell, subject: Made
) -> None:
    """Exit code 0, the result on stdout, and no traceback anywhere."""
    done = shell.process(*[filled(part, subject) for part in arguments], stdin="n\n")
    assert done.code == 0, done.err
    assert filled(shown, subject) in done.out
    assert "Traceback" not in done.err


def test_a_checkpoint_is_saved_and_described(shell: Shell, own: Made, tmp_path: Path) -> None:
    """`checkpoint` makes an adapter, saves it under a default name, and writes where it is."""
    file = tmp_path / "deep" / "saved.json"
    options = ("--base-model", "tinkex/nano", "--rank", "2", "--no-train-mlp", "--ttl", "7200")
    done = shell.process("checkpoint", *options, "--output", str(file))
    assert done.code == 0, done.err
    assert "/sampler_weights/checkpoint-tinkex-nano" in done.out
    assert '"weights_path": "tinker://' in file.read_text()


def test_every_command_was_run_in_a_process() -> None:
    """No group is forgotten above; `serve` is tested with the local server."""
    assert {arguments[0] for arguments, _ in GOOD} >= set(COMMANDS) - {"serve", "train", "chat"}


# What a program is asked when there is no key, and when Ctrl-C comes while it waits.
REMOTE: list[tuple[str, ...]] = [
    SAMPLE,
    ("checkpoint", "--base-model", "tinkex/nano", "-o", "x.json"),
    ("run", "list"),
    ("run", "info", "r:train:0"),
    ("checkpoint", "list"),
    ("checkpoint", "info", "tinker://r:train:0/weights/a"),
    ("checkpoint", "inspect", "tinker://r:train:0/weights/a"),
    ("checkpoint", "publish", "tinker://r:train:0/weights/a"),
    ("checkpoint", "unpublish", "tinker://r:train:0/weights/a"),
    ("checkpoint", "set-ttl", "tinker://r:train:0/weights/a", "--remove"),
    ("checkpoint", "delete", "tinker://r:train:0/weights/a", "--yes"),
    ("checkpoint", "prune", "--keep-last", "1"),
    ("checkpoint", "download", "tinker://r:train:0/weights/a"),
    ("session", "list"),
    ("session", "info", "s"),
    ("session", "close", "s"),
    ("session", "export-trace", "s"),
    ("model", "list"),
    ("auth", "whoami"),
    ("usage",),
    ("doctor",),
]


@pytest.fixture
def silent_server() -> Iterator[socket.socket]:
    """A server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


# What it says first it says to the Hub, which is the same silent server here.
PUSH = ("checkpoint", "push-hf", "tinker://r:train:0/sampler_weights/a", "--repo", "me/a")


@pytest.mark.holds("F28")
@pytest.mark.parametrize(
    "arguments", [*REMOTE, PUSH], ids=[" ".join(a[:2]) for a in [*REMOTE, PUSH]]
)
def test_ctrl_c_ends_a_command_with_130(
    arguments: tuple[str, ...],
    shell: Shell,
    silent_server: socket.socket,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """While it waits for the server; it says so in one line."""
    url = f"http://127.0.0.1:{silent_server.getsockname()[1]}"
    monkeypatch.setenv("HF_ENDPOINT", url)
    monkeypatch.setenv("HF_TOKEN", "hf_0123456789")
    with start(*arguments, "--base-url", url) as process:
        try:
            connection, _ = silent_server.accept()
            interrupt(process)
            # Calls on its way out (the end of a session) are refused.
            silent_server.close()
            _, err = process.communicate(timeout=60)
        finally:
            process.kill()
        connection.close()
    assert process.returncode == 130, err
    assert err.endswith("interrupted\n")
    assert "Traceback" not in err


def test_ctrl_c_at_a_question_deletes_nothing(shell: Shell, made: Made) -> None:
    """It is not taken for an answer, whether it comes while the question is written or after it."""
    with start("checkpoint", "delete", made.paths[1], stdin=subprocess.PIPE) as process:
        assert process.stderr is not None
        asked = ""
        while "[y/N]" not in asked:
            asked += process.stderr.read(1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert (out.strip(), err.rpartition("\n")[0].strip(": \n")) == ("", "interrupted")
    assert made.paths[1] in shell("checkpoint", "list", "--run-id", made.run_id).out


def test_ctrl_c_while_deleting_tells_what_is_gone(shell: Shell) -> None:
    """Between the first and the second of three, the first is named, and the one in doubt."""
    paths = [f"tinker://r:train:0/weights/{name}" for name in "abc"]
    asked: list[str] = []
    interrupted = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_DELETE(self) -> None:
            asked.append(self.path)
            if len(asked) == 2:
                interrupt(process)
                interrupted.wait(60)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        with start("checkpoint", "delete", *paths, "--yes", "--base-url", url) as process:
            try:
                _, err = process.communicate(timeout=60)
            finally:
                process.kill()
                interrupted.set()
                server.shutdown()
                thread.join()
    assert process.returncode == 130
    assert err.split("\n") == [
        f"deleted before the interruption: {paths[0]}",
        f"may be deleted: {paths[1]}",
        "",
        "interrupted",
        "",
    ]
    assert len(asked) == 2


def on_a_terminal(*arguments: str, columns: int = 200) -> tuple[int, str]:
    """Run a command whose three streams are a terminal, and return what it shows."""
    controller, terminal = pty.openpty()
    env = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm"}
    streams = {"stdin": terminal, "stdout": terminal, "stderr": terminal}
    with start(*arguments, **streams, env=env, start_new_session=True) as process:
        os.close(terminal)
        shown = b""
        while True:
            try:
                piece = os.read(controller, 65536)
            except OSError:  # Linux says so when the other end has closed.
                break
            if not piece:
                break
            shown += piece
    os.close(controller)
    return process.returncode, shown.decode().replace("\r\n", "\n")


def test_tokens_are_written_as_they_come_on_a_terminal(shell: Shell) -> None:
    """The text follows the erased progress line, and the verdict follows the text."""
    code, shown = on_a_terminal(*SAMPLE, "--seed", "1")
    assert code == 0
    text = shown.rpartition("\x1b[K")[2]
    assert text.rstrip().splitlines()[-1].startswith("stop_reason=")
    plain = shell.process(*SAMPLE, "--seed", "1").out
    assert plain.splitlines()[1] in text


def test_progress_is_drawn_on_a_terminal_unless_it_is_not_wanted(shell: Shell) -> None:
    """A line that is written anew and erased at the end; none with --no-progress."""
    code, shown = on_a_terminal("run", "list")
    assert code == 0
    assert "\r\x1b[KFetching training runs" in shown
    assert "Run ID " in shown.rpartition("\x1b[K")[2]
    assert "\x1b[K" not in on_a_terminal("run", "list", "--no-progress")[1]


def test_the_command_is_soon_where_it_answers_to_ctrl_c() -> None:
    """Before that, an interrupt would show a traceback; nothing is imported that takes time."""
    program = (
        "import io, sys\n"
        "before = set(sys.modules)\n"
        "import tinkex.cli\n"
        "print(*sorted(set(sys.modules) - before))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60
    )
    assert done.stdout.split() == ["__future__", "tinkex", "tinkex.cli"], done.stderr


def test_ctrl_c_while_the_command_is_loading_shows_no_traceback() -> None:
    """Importing click takes most of the start."""
    program = (
        "import builtins, signal, sys\n"
        "import tinkex.cli\n"
        "load = builtins.__import__\n"
        "def interrupted(name, *rest, **named):\n"
        "    if name == 'click':\n"
        "        signal.raise_signal(signal.SIGINT)\n"
        "    return load(name, *rest, **named)\n"
        "builtins.__import__ = interrupted\n"
        "tinkex.cli.main(['version'])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (130, b"")
