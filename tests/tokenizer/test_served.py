"""What servers give of tokenizers, and when they are asked."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.nano import NANO
from support.scripted import Script, scripted_service

import tinkex.local
from tinkex import ServiceClient, get_tokenizer
from tinkex.errors import TokenizerError
from tinkex.local import LocalServer
from tinkex.tokenizer import once

SHIPPED = Path(tinkex.local.__file__).parent / "models" / "tiny-chat"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """Serve a folder with a template of its own file, and one without a configuration."""
    home = tmp_path_factory.mktemp("models")
    for name in ("newer", "bare"):
        shutil.copytree(SHIPPED, home / name)
        (home / name / "tokenizer_config.json").unlink()
    (home / "newer" / "chat_template.jinja").write_text("{{ messages[0].content }}!")
    models = {"org/newer": home / "newer", "org/bare": home / "bare"}
    with LocalServer(data_dir=home / "data", models=models) as server:
        yield server


def test_a_template_of_its_own_file_is_served(server: LocalServer) -> None:
    """A client needs no more than the server to write a conversation."""
    with ServiceClient(base_url=server.base_url) as service:
        tokenizer = service.create_sampling_client(base_model="org/newer").get_tokenizer()
        messages = [{"role": "user", "content": "Hi"}]
        assert tokenizer.apply_chat_template(messages, tokenize=False) == "Hi!"


def test_a_model_without_a_configuration_has_no_roles(server: LocalServer) -> None:
    """Its tokenizer encodes as any other."""
    with ServiceClient(base_url=server.base_url) as service:
        tokenizer = service.create_sampling_client(base_model="org/bare").get_tokenizer()
    assert (tokenizer.eos_token, tokenizer.chat_template) == (None, None)
    assert tokenizer.encode("the fox") == get_tokenizer(SHIPPED).encode("the fox")


def test_offline_a_server_on_this_machine_is_asked_and_no_other(
    nano_service: ServiceClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The embedded server is no net."""
    monkeypatch.setenv("TINKEX_OFFLINE", "1")
    assert nano_service.create_sampling_client(base_model=NANO).get_tokenizer().vocab_size == 1024
    script = Script().on("GET tokenizers", (200, b"{}"))
    far = {"base_url": "https://far.example.org/prefix", "api_key": "tml-x", "offline": True}
    with (
        scripted_service(script, **far) as service,
        pytest.raises(TokenizerError, match=r"the server .* was not asked \(offline\)"),
    ):
        get_tokenizer("no/such", transport=service._transport)
    assert not script.sent("tokenizers")


def test_a_revision_is_no_servers_business() -> None:
    """Servers give one tokenizer for a model, so the one that was asked for is the hub's."""
    script = Script().on("GET tokenizers", (200, b"{}"))
    with (
        scripted_service(script) as service,
        pytest.raises(TokenizerError, match="no/such at v2"),
    ):
        get_tokenizer("no/such", "v2", transport=service._transport)
    assert not script.sent("tokenizers")


def test_an_answer_that_is_no_tokenizer_is_told() -> None:
    """It may come from something else than a Tinker server."""
    script = Script().on("GET tokenizers", (200, b"<html>"), (404, {"detail": "none"}))
    with (
        scripted_service(script) as service,
        pytest.raises(TokenizerError, match=r"'no/such' cannot be read.*a page of HTML"),
    ):
        get_tokenizer("no/such", transport=service._transport)


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_forked_process_does_not_wait_for_its_parents_threads() -> None:
    """A thread that was loading when the process forked does not exist in the child."""
    started, go_on = threading.Event(), threading.Event()

    def slow() -> object:
        started.set()
        go_on.wait(60)
        return get_tokenizer(SHIPPED)

    thread = threading.Thread(target=once.once, args=("slow", slow))
    thread.start()
    started.wait(60)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover - another process
        try:
            loaded = once.once("slow", lambda: get_tokenizer(SHIPPED))
            os.write(write, str(loaded.vocab_size).encode())
        finally:
            os._exit(0)
    go_on.set()
    thread.join()
    os.close(write)
    assert os.read(read, 10) == b"1024"
    assert os.waitpid(child, 0)[1] == 0
