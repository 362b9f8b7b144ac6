"""One local server for each module of tests, with something on it to list."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import frozen
from support.command import Shell

import tinkex
from tinkex.local import LocalServer

CHANGING = {"publish", "unpublish", "set-ttl", "close"}
ESCAPES = "\x1b]0;owned\x07\x1b[31mred\x9b2J"


@frozen
class Made:
    """What lies on the server: three checkpoints of one run, in one session."""

    run_id: str
    session_id: str
    paths: tuple[str, ...]
    sampler_path: str


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """A local server of the module's own."""
    with LocalServer(data_dir=tmp_path_factory.mktemp("data"), port=0) as server:
        yield server


@pytest.fixture(scope="module")
def made(server: LocalServer) -> Made:
    """What tests read, and leave as it is."""
    return save_three(server)


def save_three(server: LocalServer) -> Made:
    """Train nothing, and save three checkpoints."""
    with tinkex.ServiceClient(base_url=server.base_url, display_name="made") as service:
        training = service.create_lora_training_client(
            "tinkex/nano", rank=4, seed=0, user_metadata={"note": ESCAPES}
        )
        saves = [training.save_state(name) for name in ("a", "b")]
        sampler = training.save_weights_for_sampler("s", ttl_seconds=7200)
        paths = tuple(save.result().path or "" for save in saves)
        return Made(training.model_id, service.session.id, paths, sampler.result().path or "")


@pytest.fixture
def shell(
    server: LocalServer, made: Made, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Shell:
    """Run commands against the server, in a folder of the test's own."""
    monkeypatch.chdir(tmp_path)
    return Shell(server.base_url, monkeypatch, tmp_path)


@pytest.fixture
def own(shell: Shell, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """What a test may change: it lies on a server of its own, to which `shell` talks now."""
    with LocalServer(data_dir=tmp_path_factory.mktemp("own"), port=0) as server:
        shell.set("TINKER_BASE_URL", server.base_url)
        yield save_three(server)


@pytest.fixture
def subject(
    arguments: tuple[str, ...], shell: Shell, made: Made, request: pytest.FixtureRequest
) -> Made:
    """What a command with these arguments is about: `own` if it changes something, else `made`."""
    if not CHANGING.intersection(arguments):
        return made
    own: Made = request.getfixturevalue("own")
    if "unpublish" in arguments:
        assert shell("checkpoint", "publish", own.sampler_path).code == 0
    return own
