"""How a session ends with its program: by signal, by error, by reaching the end."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import textwrap
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from support import programs
from support.interrupts import interrupt

PROGRAM = """
import os, signal, sys, threading
# A shell that starts its jobs in the background lets them ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)
import tinkex
service = tinkex.ServiceClient(base_url={url!r})
service.session
"""


class Ends(BaseHTTPRequestHandler):
    """Answer every request of a session, and note how each says that it ends."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path.endswith("/finish"):
            self.server.reasons.append(body["reason"]["type"])  # type: ignore[attr-defined]
        answer = b'{"session_id": "S"}'
        self.send_response(404 if "client/config" in self.path else 200)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Ends) as server:
        server.reasons = []  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def run(server: ThreadingHTTPServer, program: str) -> subprocess.CompletedProcess[str]:
    url = f"http://127.0.0.1:{server.server_port}"
    code = PROGRAM.format(url=url) + textwrap.dedent(program)
    return programs.complete(["-c", code], timeout=60)


def reasons(server: ThreadingHTTPServer) -> list[str]:
    return server.reasons  # type: ignore[attr-defined, no-any-return]


@pytest.mark.holds("F29")
@pytest.mark.parametrize(
    ("program", "reason", "code"),
    [
        ("", "success", 0),
        ("raise ValueError('x')", "errored", 1),
        ("raise KeyboardInterrupt", "interrupted", -signal.SIGINT),
        ("os.kill(os.getpid(), signal.SIGTERM); threading.Event().wait(30)", "interrupted", 143),
        ("with service: pass", "success", 0),
        ("with service: raise ValueError('x')", "errored", 1),
        ("with service: os.kill(os.getpid(), signal.SIGTERM); threading.Event().wait(30)", "interrupted", 143),
        ("with service: raise KeyboardInterrupt", "interrupted", -signal.SIGINT),
        ("service.close('errored', 'why')", "errored", 0),
    ],
)  # fmt: skip
def test_the_server_hears_how_the_program_ended(
    server: ThreadingHTTPServer, program: str, reason: str, code: int
) -> None:
    """With or without a with block, once, in less than the test's patience (F29, P10)."""
    done = run(server, program)
    assert (reasons(server), done.returncode) == ([reason], code), done.stderr


def test_cleaning_up_runs_before_the_program_ends(server: ThreadingHTTPServer) -> None:
    """SIGTERM unwinds the main thread, so finally blocks can save what is to be saved."""
    done = run(
        server,
        """
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            threading.Event().wait(30)
        finally:
            print("saved")
        """,
    )
    assert done.stdout == "saved\n"
    assert done.returncode == 143


def test_a_sigterm_during_a_write_to_the_log_ends_the_program_in_order(
    server: ThreadingHTTPServer,
) -> None:
    """The handler logs too, which the buffer of the same stream refuses at that moment."""
    done = run(
        server,
        """
        import io, logging
        class Struck(io.RawIOBase):
            is_struck = False
            def writable(self):
                return True
            def write(self, data):
                if not self.is_struck:
                    self.is_struck = True
                    signal.raise_signal(signal.SIGTERM)
                return len(data)
        sys.stderr = io.TextIOWrapper(io.BufferedWriter(Struck()), line_buffering=True)
        logging.basicConfig(stream=sys.stderr)
        sys.stderr.write("a line\\n")
        """,
    )
    assert (reasons(server), done.returncode) == (["interrupted"], 143)


@pytest.mark.holds("F29")
def test_a_second_sigterm_ends_the_program_at_once(server: ThreadingHTTPServer) -> None:
    """Whoever catches the first is not safe from the second."""
    done = run(
        server,
        """
        for _ in range(2):
            try:
                os.kill(os.getpid(), signal.SIGTERM)
                threading.Event().wait(30)
            except SystemExit:
                print("once", flush=True)
        """,
    )
    assert done.stdout == "once\n"
    assert done.returncode == -signal.SIGTERM


def test_a_programs_own_handler_is_kept(server: ThreadingHTTPServer) -> None:
    """Before or after the session began, what the program installs stays."""
    done = run(
        server,
        """
        def mine(*_): print("mine")
        signal.signal(signal.SIGTERM, mine)
        os.kill(os.getpid(), signal.SIGTERM)
        service.close()
        print(signal.getsignal(signal.SIGTERM) is mine)
        other = tinkex.ServiceClient(base_url=service.base_url)
        other.session
        print(signal.getsignal(signal.SIGTERM) is mine)
        other.close()
        """,
    )
    assert done.stdout == "mine\nTrue\nTrue\n", done.stderr


def test_the_signal_is_as_it_was_when_the_last_session_has_ended(
    server: ThreadingHTTPServer,
) -> None:
    """Two sessions share the handler, and only the last one takes it away."""
    done = run(
        server,
        """
        other = tinkex.ServiceClient(base_url=service.base_url)
        other.session
        service.close()
        print(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)
        other.close()
        print(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)
        """,
    )
    assert done.stdout == "False\nTrue\n", done.stderr


def test_a_session_in_another_thread_installs_nothing(server: ThreadingHTTPServer) -> None:
    """Python allows handlers in the main thread only; the session works without one."""
    url = f"http://127.0.0.1:{server.server_port}"
    code = f"""
import signal, threading, tinkex
def work():
    with tinkex.ServiceClient(base_url={url!r}) as service:
        service.session
        print(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)
thread = threading.Thread(target=work)
thread.start()
thread.join()
"""
    done = programs.complete(["-c", code], timeout=60)
    assert done.stdout == "True\n", done.stderr
    assert reasons(server) == ["success"]


@pytest.mark.holds("F29")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_ends_by_the_signal_and_leaves_the_session_to_its_parent(
    server: ThreadingHTTPServer,
) -> None:
    """The child says nothing to the server; the parent does when it ends."""
    done = run(
        server,
        """
        child = os.fork()
        if child == 0:
            os.kill(os.getpid(), signal.SIGTERM)
            threading.Event().wait(30)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        """,
    )
    assert done.stdout == "143\n", done.stderr
    assert reasons(server) == ["success"]


# Ctrl-C


class Holds(Ends):
    """Promise every result, and hold the polls until the test lets them go."""

    def do_POST(self) -> None:
        if "retrieve_future" in self.path:
            self.rfile.read(int(self.headers["content-length"]))
            self.server.held.set()  # type: ignore[attr-defined]
            self.server.release.wait(60)  # type: ignore[attr-defined]
            self.answer(b'{"metrics": {}}')
        elif "create_model" in self.path:
            self.rfile.read(int(self.headers["content-length"]))
            self.answer(b'{"model_id": "M"}')
        elif "optim_step" in self.path:
            self.rfile.read(int(self.headers["content-length"]))
            self.answer(b'{"request_id": "r"}')
        else:
            super().do_POST()

    def answer(self, body: bytes) -> None:
        with contextlib.suppress(OSError):
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)


@pytest.mark.holds("F28")
def test_ctrl_c_ends_a_wait_at_once_and_leaves_the_future_valid() -> None:
    """The server still holds the poll when the interrupt is answered; the result comes after it."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Holds) as server:
        server.reasons = []  # type: ignore[attr-defined]
        server.held, server.release = threading.Event(), threading.Event()  # type: ignore[attr-defined]
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        code = PROGRAM.format(url=f"http://127.0.0.1:{server.server_port}") + textwrap.dedent(
            """
            future = service.create_lora_training_client("B").optim_step()

            def say():
                main, names = threading.main_thread().ident, []
                while "_wait" not in names:
                    names, frame = [], sys._current_frames()[main]
                    while frame := frame.f_back:
                        names.append(frame.f_code.co_name)
                print("waits", flush=True)

            threading.Thread(target=say).start()
            try:
                future.result()
            except KeyboardInterrupt:
                print("interrupted", flush=True)
            print(future.result().metrics)
            """
        )
        program = programs.start(["-c", code], stdout=subprocess.PIPE)
        assert program.stdout is not None
        assert program.stdout.readline() == "waits\n"
        assert server.held.wait(60)  # type: ignore[attr-defined]
        interrupt(program)
        assert program.stdout.readline() == "interrupted\n"
        server.release.set()  # type: ignore[attr-defined]
        out, _ = program.communicate(timeout=30)
        server.shutdown()
        thread.join()
    assert out == "{}\n"
    assert program.returncode == 0
