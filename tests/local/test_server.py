"""The server as an object: start, stop, and who may come in."""

from __future__ import annotations

import gc
import logging
import os
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from local.wire import NANO, Wire, prompt, served

from tinkex.local import LocalServer, Options


def run_python(code: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **env},
        check=False,
    )


def open_descriptors() -> int:
    """Return how many files and sockets are open, where the system tells."""
    listing = Path("/proc/self/fd")
    return sum(1 for _ in listing.iterdir()) if listing.exists() else 0


def test_stop_leaves_no_threads_and_no_sockets(tmp_path: Path) -> None:
    """After stop, the process is as it was before; stop may be called twice."""
    before = set(threading.enumerate())
    descriptors = open_descriptors()
    server = LocalServer(data_dir=tmp_path).start()
    url = server.base_url
    wire = Wire(url)
    wire.model().step()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: wire.get("healthz"), range(20)))
    server.stop()
    server.stop()
    wire.http.close()
    assert set(threading.enumerate()) <= before
    gc.collect()
    assert open_descriptors() <= descriptors
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/api/v1/healthz")
    with pytest.raises(RuntimeError, match="make another"):
        server.start()


def test_stop_ends_waiting_polls_and_running_samples() -> None:
    """Open long polls and streams are answered, not cut off and not waited out."""
    server = LocalServer().start()
    wire = Wire(server.base_url)
    model = wire.model()
    held = wire.post("optim_step", model_id=model.model_id, seq_id=2)
    endless = {"base_model": NANO, "prompt": prompt(1), "sampling_params": {"stop": []}}
    with ThreadPoolExecutor() as pool:
        poll = pool.submit(wire.poll, held)
        samples = [wire.post("asample", **endless, num_samples=500) for _ in range(3)]
        polls = [poll, *(pool.submit(wire.poll, one) for one in samples)]
        state, pause = server._app_state, threading.Event()
        assert state is not None
        # A poll that comes while the server closes may find no door.
        while not all(promise.waiters for promise in state.promises.pending()):
            pause.wait(0.01)
        stopping = pool.submit(server.stop)
        for answer in polls:
            assert answer.result(timeout=60).status_code == 200
        stopping.result(timeout=60)
    wire.http.close()


def test_a_poll_while_the_server_stops_has_the_failure() -> None:
    """What is still accepted while it closes fails too, or a client would poll a closed door."""
    with served() as (server, wire):
        model = wire.model()
        assert server._app_state is not None
        server._app_state.end_waits()
        late = wire.post("optim_step", model_id=model.model_id, seq_id=5)
        answer = wire.poll(late)
        assert answer.status_code == 200
        assert "was stopped" in answer.json()["error"]


def test_temporary_data_goes_with_the_server() -> None:
    """Without a data folder nothing is left behind."""
    with served() as (server, wire):
        wire.model().call("save_weights", path="a")
        folder = server.data_dir
        assert folder.is_dir()
    assert not folder.exists()


def test_start_failures_clean_up(tmp_path: Path) -> None:
    """A taken port or a wrong model folder raises and leaves nothing running."""
    before = set(threading.enumerate())
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(OSError, match="in use"),
    ):
        LocalServer(port=taken.getsockname()[1]).start()
    with pytest.raises(ValueError, match=r"no config\.json"):
        LocalServer(models={"x": tmp_path}).start()
    assert set(threading.enumerate()) <= before
    with pytest.raises(RuntimeError, match="not running"):
        _ = LocalServer().base_url


def test_a_server_that_an_error_ends_refuses_connections(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Who is connected, and who connects then, hears it at once; a log line says why."""
    with served() as (server, wire):
        assert wire.http.get("healthz").is_success
        assert server.failure is None
        assert server._uvicorn is not None
        assert server._thread is not None

        async def fail(_: int) -> bool:
            raise ValueError("year 33715 is out of range")

        server._uvicorn.on_tick = fail  # type: ignore[method-assign]
        server._thread.join(60)
        assert "33715" in str(server.failure)
        # The connection that is kept, and then a new one.
        for _ in range(2):
            with pytest.raises((httpx.NetworkError, httpx.RemoteProtocolError)):
                wire.http.get("healthz")
    assert "has ended by an error" in caplog.text


def test_foreign_host_names_are_refused(server: LocalServer) -> None:
    """A web page that lets its name point here (DNS rebinding) gets nothing."""
    url = f"{server.base_url}/api/v1/healthz"
    port = server.base_url.rsplit(":", 1)[1]
    for host in ("evil.example", f"evil.example:{port}", "127.0.0.1.evil.example", "", "[::"):
        assert httpx.get(url, headers={"host": host}).status_code == 403, host
    for host in (f"localhost:{port}", "127.0.0.1", f"[::1]:{port}", "LOCALHOST"):
        assert httpx.get(url, headers={"host": host}).status_code == 200, host


def test_foreign_origins_are_refused(server: LocalServer) -> None:
    """A page of another site cannot call the server from the user's browser."""
    url = f"{server.base_url}/api/v1/healthz"
    assert httpx.get(url, headers={"origin": "https://evil.example"}).status_code == 403
    assert httpx.get(url, headers={"origin": "null"}).status_code == 403
    assert httpx.get(url, headers={"origin": "http://localhost:3000"}).status_code == 200


OPEN_TO_ALL = "0.0.0.0"


@pytest.mark.holds("S25")
@pytest.mark.parametrize("host", [OPEN_TO_ALL, "", "::", "192.0.2.7", "my-machine.example"])
def test_a_server_beyond_loopback_needs_a_key_or_a_word(host: str) -> None:
    """Without either it is not even made; the message names both ways."""
    with pytest.raises(ValueError, match=r"needs an API key.*without_key=True"):
        LocalServer(host=host)
    assert LocalServer(host=host, api_key="tml-secret").api_key
    assert LocalServer(host=host, without_key=True).api_key is None
    assert LocalServer(host=host, options=Options(api_key="tml-secret")).api_key


@pytest.mark.parametrize("key", ["", " ", "tml-\n", "tml-ä"])
def test_a_key_that_no_client_could_send_is_refused(key: str) -> None:
    """Above all an empty one, which everybody has; it is not repeated."""
    with pytest.raises(ValueError, match="visible ASCII") as caught:
        LocalServer(api_key=key)
    assert "tml" not in str(caught.value)


@pytest.mark.holds("S25")
def test_a_server_on_all_interfaces_checks_names_and_origins() -> None:
    """Any address is good as a host, since no page can make it point elsewhere; names are told."""
    names = ["models.example", "192.0.2.1"]
    with served(host=OPEN_TO_ALL, without_key=True, allowed_hosts=names) as (server, _):
        assert server.base_url.startswith("http://127.0.0.1:")
        url = f"{server.base_url}/api/v1/healthz"

        def status(**headers: str) -> int:
            return httpx.get(url, headers=headers).status_code

        for host in ("10.1.2.3:8420", "[2001:db8::1]", "localhost", "Models.Example:80"):
            assert status(host=host) == 200, host
            assert status(host=host, origin=f"http://{host}") == 200, host
        for host in ("evil.example", "10.1.2.3.evil.example", "", "models.example.evil.example"):
            assert status(host=host) == 403, host
        told = httpx.get(url, headers={"host": "evil.example"}).json()["detail"]
        assert "--allow-host" in told
        for origin in ("http://evil.example", "http://10.9.9.9", "null", "http://"):
            assert status(host="10.1.2.3", origin=origin) == 403, origin
        assert status(host="10.1.2.3", origin="http://models.example") == 200


def test_an_allowed_host_must_be_one() -> None:
    """A URL, or nothing, is a mistake that is told at once."""
    for wrong in ("", "http://x", "a/b", " a", "*"):
        with pytest.raises(ValueError, match="name or address of a host"):
            LocalServer(allowed_hosts=[wrong])
    with served(allowed_hosts=["my-proxy.example:8080", "2001:db8::7"]) as (server, _):
        url = f"{server.base_url}/api/v1/healthz"
        for host in ("my-proxy.example", "[2001:db8::7]:8420"):
            assert httpx.get(url, headers={"host": host}).status_code == 200, host
        assert httpx.get(url, headers={"host": "10.1.2.3"}).status_code == 403


def test_api_key_lets_in_only_its_owner() -> None:
    """With a key set, others get a 401 that says what is wrong but not the key."""
    with served(api_key="tml-secret") as (server, wire):
        url = f"{server.base_url}/api/v1/training_runs"
        for headers in ({}, {"x-api-key": "tml-other"}, {"x-api-key": "ä".encode()}):
            refused = httpx.get(url, headers=headers)
            assert refused.status_code == 401
            assert "X-API-Key" in refused.json()["detail"]
            assert "secret" not in refused.text
        assert httpx.get(url, headers={"x-api-key": "tml-secret"}).status_code == 200
        assert httpx.get(f"{server.base_url}/api/v1/healthz").status_code == 200
        assert "secret" not in repr(server._options)
        # A checkpoint may be named so that its route looks like that of a signed download.
        assert wire.http.delete("training_runs/a/checkpoints/weights/download").status_code == 401


def test_without_api_key_any_client_is_let_in(server: LocalServer) -> None:
    """Even a request without the header is served."""
    assert httpx.get(f"{server.base_url}/api/v1/healthz").json() == {"status": "ok"}


def test_shared_server_is_one_per_process_and_ends_with_it(tmp_path: Path) -> None:
    """The first use starts it, the exit of the interpreter stops it, without a word."""
    code = """
import threading, urllib.request
from tinkex.local import shared_server
first = shared_server()
assert shared_server() is first
body = urllib.request.urlopen(first.base_url + "/api/v1/healthz").read()
assert first.api_key
print(body.decode(), first.data_dir)
import atexit
@atexit.register
def late():
    # A client that closes its session at exit still gets through.
    import json
    request = urllib.request.Request(
        first.base_url + "/api/v1/create_session",
        json.dumps({"tags": [], "user_metadata": {}, "sdk_version": "1"}).encode(),
        {"content-type": "application/json", "x-api-key": first.api_key.reveal()},
    )
    print("session_id" in urllib.request.urlopen(request).read().decode())
"""
    done = run_python(code, TINKEX_LOCAL_DIR=str(tmp_path / "kept"), PYTHONWARNINGS="error")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.split() == ['{"status":"ok"}', str(tmp_path / "kept"), "True"]
    assert not list((tmp_path / "kept" / "staging").iterdir())


def test_the_shared_server_is_another_one_after_an_error_has_ended_it(tmp_path: Path) -> None:
    """It has the same runs, since it has the same folder."""
    code = """
import httpx
from tinkex.local import shared_server
first = shared_server()
async def fail(counter):
    raise ValueError("out of range")
first._uvicorn.on_tick = fail
first._thread.join()
second = shared_server()
assert second is not first and second.data_dir == first.data_dir
print(httpx.get(second.base_url + "/api/v1/healthz").text)
"""
    done = run_python(code, TINKEX_LOCAL_DIR=str(tmp_path / "kept"))
    assert done.stdout.strip() == '{"status":"ok"}', done.stderr


def test_importing_the_package_is_light() -> None:
    """`import tinkex.local` brings in none of the server's packages."""
    code = """
import sys, tinkex.local
heavy = {"starlette", "uvicorn", "numpy", "jsonschema_rs", "sqlite3", "tinkex_generated"}
print(sorted(heavy & set(sys.modules)))
"""
    assert run_python(code).stdout.strip() == "[]"


@pytest.mark.parametrize("missing", ["starlette", "uvicorn", "jsonschema_rs"])
def test_missing_packages_are_answered_with_the_install_line(missing: str) -> None:
    """Whoever lacks the extra is told which one to install."""
    code = f"""
import sys
sys.modules[{missing!r}] = None
import tinkex.local
try:
    tinkex.local.LocalServer
except ModuleNotFoundError as error:
    print(error)
"""
    assert "pip install 'tinkex[local]'" in run_python(code).stdout


@pytest.mark.holds("S2")
def test_requests_are_logged_without_secrets(caplog: pytest.LogCaptureFixture) -> None:
    """At DEBUG every request has a line with its status; no key, no query, nothing printed."""
    with caplog.at_level(logging.DEBUG, "tinkex"), served(api_key="tml-secret") as (server, _):
        url = f"{server.base_url}/api/v1/healthz?signature=canary"
        httpx.get(url, headers={"x-api-key": "tml-secret"})
    lines = [record.getMessage() for record in caplog.records if record.name == "tinkex.local.gate"]
    assert any("GET /api/v1/healthz -> 200" in line for line in lines)
    assert not any("canary" in line or "secret" in line for line in lines)


def test_unexpected_errors_are_a_500_in_the_usual_shape(
    server: LocalServer,
    wire: Wire,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A bug in a handler is logged and answered, and the server goes on."""

    def broken(*_: object) -> None:
        raise KeyError("oops")

    monkeypatch.setattr(server._app_state.sessions, "list_ids", broken)
    response = wire.http.get("sessions")
    assert response.status_code == 500
    assert response.json()["detail"] == "internal error of the local server: KeyError"
    assert "oops" in caplog.text
    monkeypatch.undo()
    assert wire.http.get("sessions").status_code == 200
