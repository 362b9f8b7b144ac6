"""The embedded server takes one random key, and the client in its process has it (S24)."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from support.programs import complete

WORK = """
import tinkex
with tinkex.ServiceClient(base_url="local", api_key="tml-real-account-key") as service:
    training = service.create_lora_training_client("tinkex/nano", rank=2)
    path = training.save_state("mine").result().path
"""


# Python 3.12 and later warn of each fork of a process with threads.
_QUIET = ("-W", "ignore::DeprecationWarning")


def run(code: str, data_dir: Path, *, fails: bool = False) -> str:
    """Run a program of its own and return what it printed."""
    environ = {**os.environ, "TINKEX_LOCAL_DIR": str(data_dir), "OMP_NUM_THREADS": "1"}
    environ.pop("TINKER_API_KEY", None)
    done = complete(["-c", code], options=_QUIET, env=environ)
    assert (done.returncode != 0) == fails, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.holds("S24")
def test_other_users_of_the_machine_are_kept_out(tmp_path: Path) -> None:
    """A client that only knows the port can list, read and delete nothing, with any key or token."""
    code = (
        WORK
        + """
    import urllib.request, urllib.error
    run, kind, name = path.removeprefix("tinker://").split("/")
    one = f"/api/v1/training_runs/{run}/checkpoints/{kind}/{name}"
    for headers in ({}, {"x-api-key": "tml-real-account-key"}, {"x-api-key": "tml-local"}):
        for method, route in (
            ("GET", "/api/v1/training_runs"), ("GET", "/api/v1/checkpoints"), ("GET", "/"),
            ("GET", one + "/archive"), ("DELETE", one), ("POST", "/api/v1/auth/token"),
        ):
            request = urllib.request.Request(
                service.base_url + route, b"{}" if method == "POST" else None,
                {"content-type": "application/json", **headers}, method=method,
            )
            try:
                print(method, route, urllib.request.urlopen(request).status)
            except urllib.error.HTTPError as refused:
                assert refused.code == 401, (method, route, refused.code)
    training.load_state(path).result()
    print("kept")
"""
    )
    assert run(code, tmp_path).split() == ["kept"]


@pytest.mark.holds("S24")
def test_each_process_has_a_key_of_its_own(tmp_path: Path) -> None:
    """Random, and in no file of the data folder."""
    code = """
from tinkex.local import shared_server
print(shared_server().api_key.reveal())
"""
    keys = [run(code, tmp_path).strip() for _ in range(2)]
    assert keys[0] != keys[1]
    for key in keys:
        assert re.fullmatch(r"tml-[\w-]{40,}", key)
        for file in tmp_path.rglob("*"):
            assert file.is_dir() or key.encode() not in file.read_bytes()


@pytest.mark.holds("S1", "S2", "S3")
def test_the_key_of_the_embedded_server_does_not_leak(tmp_path: Path) -> None:
    """No log line of any level, repr, event, error or variable of a frame holds it."""
    code = (
        """
import logging, sys, traceback
logging.basicConfig(level=logging.DEBUG, stream=sys.stdout)
"""
        + WORK
        + """
    from tinkex.local import shared_server
    server = shared_server()
    print(server, vars(server), service, service.config, service._transport.config, training)
    print(service._transport.config.describe())
    try:
        training.load_state("tinker://none/weights/none").result()
    except tinkex.TinkexError as error:
        shown = traceback.TracebackException.from_exception(error, capture_locals=True)
        print("".join(shown.format()))
    try:
        tinkex.local.LocalServer(api_key=server.api_key, data_dir="/dev/null/x").start()
    except RuntimeError as error:
        shown = traceback.TracebackException.from_exception(error, capture_locals=True)
        print("".join(shown.format()))
    print("KEY", server.api_key.reveal())
"""
    )
    said, _, key = run(code, tmp_path).rpartition("KEY ")
    assert len(key.strip()) > 40
    assert "load_state" in said
    assert key.strip() not in said
    assert "tml-real-account-key" not in said


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_uses_its_parents_server(tmp_path: Path) -> None:
    """It has the key, sees the parent's runs, and leaves the server alone when it ends."""
    code = (
        WORK
        + """
    import os
    child = os.fork()
    if child == 0:
        with tinkex.ServiceClient(base_url="local") as mine:
            assert mine.base_url == service.base_url
            listed = mine.create_rest_client().list_user_checkpoints().checkpoints
            assert [one.tinker_path for one in listed] == [path]
            sampler = mine.create_sampling_client(base_model="tinkex/nano")
            prompt = tinkex.ModelInput.from_ints([1, 2])
            sampler.sample(prompt, 1, tinkex.SamplingParams(max_tokens=2)).result()
        raise SystemExit(0)
    print(os.waitpid(child, 0)[1], training.load_state(path).result().path == path)
"""
    )
    assert run(code, tmp_path).split() == ["0", "True"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_that_outlives_its_parent_is_told(tmp_path: Path) -> None:
    """Nothing listens then: the child's copy of the socket does not keep the port alive."""
    code = (
        WORK
        + """
    import os, socket, sys
    from urllib.parse import urlsplit
    address = urlsplit(service.base_url)
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.close(writing)
        os.read(reading, 1)  # until the parent is gone
        try:
            socket.create_connection((address.hostname, address.port), 5).close()
            print("connected")
        except ConnectionRefusedError:
            print("refused")
        from tinkex.local.datadir import DataDir
        print(len(list((tinkex.local.shared_server().data_dir / "staging").glob("*.lock"))))
        sys.stdout.flush()
        os._exit(0)
"""
    )
    assert run(code, tmp_path).split() == ["refused", "0"]


def test_a_spawned_child_starts_a_server_of_its_own(tmp_path: Path) -> None:
    """On the same folder, with another key; it sees what the parent saved."""
    code = (
        WORK
        + """
    import subprocess, sys
    child = '''
import tinkex
with tinkex.ServiceClient(base_url="local") as service:
    listed = service.create_rest_client().list_user_checkpoints().checkpoints
    print(service.base_url, *(one.tinker_path for one in listed))
'''
    out = subprocess.run([sys.executable, "-c", child], capture_output=True, text=True, check=True)
    url, found = out.stdout.split()
    print(url != service.base_url, found == path)
"""
    )
    assert run(code, tmp_path).split() == ["True", "True"]


def test_a_folder_that_is_not_the_servers_is_a_mistake_in_the_settings(tmp_path: Path) -> None:
    """The client raises one of its own errors, and the command line says it in a line."""
    (tmp_path / "notes.txt").write_text("mine")
    code = """
import tinkex, tinkex.errors
try:
    tinkex.ServiceClient(base_url="local")
except tinkex.errors.ConfigurationError as error:
    print(error)
"""
    said = run(code, tmp_path)
    assert "cannot start" in said
    assert "notes.txt" in said
    said = run(
        'from tinkex.cli import main; main(["--base-url", "local", "run", "list"])',
        tmp_path,
        fails=True,
    )
    assert "neither empty nor" in said
    assert "Traceback" not in said
    assert [file.name for file in tmp_path.iterdir()] == ["notes.txt"]


def test_the_command_line_uses_the_embedded_server(tmp_path: Path) -> None:
    """`--base-url local`, alone or within a program that has a client."""
    code = (
        WORK
        + """
    import contextlib, io
    from tinkex import cli
    with contextlib.redirect_stdout(io.StringIO()):
        listed = cli.run(["checkpoint", "list", "--base-url", "local", "--json"])
    assert [one["tinker_path"] for one in listed["checkpoints"]] == [path], listed
from tinkex.cli import main
main(["--base-url", "local", "checkpoint", "list", "--json"])
"""
    )
    listed = json.loads(run(code, tmp_path))
    assert len(listed["checkpoints"]) == 1


def test_the_page_of_the_embedded_server_is_known_to_its_client(tmp_path: Path) -> None:
    """The log says where it is, without the code that lets a browser in; each link has another code."""
    code = """
import logging, httpx, tinkex
logging.basicConfig(level=logging.INFO, format="%(name)s %(message)s")
logging.getLogger("httpx").setLevel(logging.WARNING)
with tinkex.ServiceClient(base_url="local") as service:
    service.session
    links = [service.console_url, service.console_url]
    page, _, code = links[0].partition("#")
    assert page == service.base_url + "/" and code and links[0] != links[1]
    answer = httpx.post(page + "login", json={"code": code})
    seen = httpx.get(page, headers={"x-page-token": answer.json()["token"]})
    print("opened", seen.status_code, "data-locked" in seen.text)
    print("code", code)
"""
    said = run(code, tmp_path)
    assert "opened 200 False" in said
    used = said.rpartition("code ")[2].strip()
    assert said.count(used) == 1
    assert re.search(r"tinkex.session session [\w-]+: watch it at http://127.0.0.1:\d+/\n", said)
