"""Where the API key comes from, and what becomes of it while a program runs."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
import shlex
import stat
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import calls
from support.calls import CAPABILITIES, STEP
from support.clock import FakeClock
from support.scripted import Script, scripted_service

import tinkex
from tinkex._core.credentials import Credentials
from tinkex.config import Config
from tinkex.credentials import MOST_OUTPUT, CredentialsFile, KeyCommand
from tinkex.errors import AuthenticationError, ConfigurationError, MissingCredentialsError
from tinkex.local import LocalServer, Options
from tinkex.testing import Fault

KEY = "tml-canary-0123456789"
OTHER = "tml-canary-9876543210"


def python(program: str) -> str:
    """Return a command that runs a program; it needs no shell."""
    return shlex.join([sys.executable, "-c", program])


def jwt(expires: float, **claims: Any) -> str:
    """Return a token that nobody signed."""
    parts = ({"alg": "none"}, {"exp": expires, **claims})
    words = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts
    ]
    return ".".join([*words, "c2ln"])


def prepare(credentials: Credentials) -> None:
    """Have a key for the next request."""
    asyncio.run(credentials.prepare())


# The command


@pytest.mark.holds("S15")
@pytest.mark.parametrize(
    "command",
    [
        python(f"print({KEY!r})"),
        f"echo {KEY}",
        f"echo '{KEY}'",
        f"echo nothing | sed 's/nothing/{KEY}/'",
        f"PART={KEY}; echo $PART",
        f"PART={KEY} printenv PART",
    ],
)
def test_the_key_is_what_a_command_prints(command: str) -> None:
    """With a shell where one is needed, and without where not."""
    assert KeyCommand(command).read().reveal() == KEY


@pytest.mark.holds("S15")
def test_no_shell_runs_where_none_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that parses into words is run as they are: a shell could be told more by them."""
    import subprocess

    ran: list[list[str]] = []
    popen = subprocess.Popen

    def note(argv: list[str], **more: Any) -> Any:
        ran.append(argv)
        assert "shell" not in more
        return popen(argv, **more)

    monkeypatch.setattr(subprocess, "Popen", note)
    KeyCommand(f"echo '{KEY}'").read()
    assert ran == [["echo", KEY]]


@pytest.mark.holds("S15")
@pytest.mark.parametrize(
    ("command", "said"),
    [
        (python("import sys; sys.stderr.write('canary'); sys.exit(3)"), "failed with status 3"),
        (python("print('')"), "gives no key at all"),
        (python("print('tml-canary'); print('tml-second')"), "one line"),
        (python("print('canary-of-another-service')"), "neither starts with 'tml-'"),
        (python("import sys; sys.stdout.buffer.write(bytes([0xff, 0xfe]))"), "one line"),
        (python(f"print('x' * {MOST_OUTPUT + 1})"), "prints more than"),
        (python("while True: print('x' * 100000)"), "prints more than"),
        ("/there/is/no/such/canary", "cannot be run"),
    ],
)
def test_a_command_that_gives_no_key_is_told_without_its_output(
    command: str, said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Neither what it prints nor what it says about its failure is shown: both may be secrets."""
    with pytest.raises(ConfigurationError, match=said) as caught:
        KeyCommand(command).read()
    assert "canary" not in f"{caught.value} {caught.value!r} {capfd.readouterr()}"


@pytest.mark.holds("S15")
@pytest.mark.parametrize(
    "command", [python("import time; time.sleep(60)"), "sleep 60 | cat", "(sleep 60; echo) &"]
)
def test_a_command_that_hangs_is_ended_with_all_it_started(command: str) -> None:
    """The time is bounded, also where a child of the command holds its output open."""
    with pytest.raises(ConfigurationError, match=r"did not end within 0\.2 s"):
        KeyCommand(command, timeout=0.2).read()


@pytest.mark.holds("S15")
def test_a_command_cannot_ask_at_the_terminal() -> None:
    """Its input is empty, so that one which asks for a password fails instead of waiting."""
    with pytest.raises(ConfigurationError, match="failed with status"):
        KeyCommand(python("input()")).read()


@pytest.mark.holds("S15")
def test_the_command_runs_once_until_its_key_expires(tmp_path: Path) -> None:
    """A plain key is kept; a JWT is renewed a minute before its time."""
    now = [1_000_000.0]
    runs = tmp_path / "runs"
    tokens = tmp_path / "token"
    tokens.write_text(jwt(now[0] + 3600))
    program = f"open({str(runs)!r}, 'a').write('x'); print(open({str(tokens)!r}).read())"
    config = Config.resolve(
        environ={}, base_url="http://127.0.0.1:9", credential_cmd=python(program)
    )
    credentials = Credentials(config, wall_clock=lambda: now[0])
    for _ in range(3):
        prepare(credentials)
    assert runs.read_text() == "x"
    now[0] += 3545
    tokens.write_text(jwt(now[0] + 3600, second=True))
    for _ in range(3):
        prepare(credentials)
    assert runs.read_text() == "xx"
    assert dict(credentials.revealed())["X-API-Key"] == tokens.read_text()


@pytest.mark.holds("S15")
def test_a_command_that_fails_later_leaves_the_key_that_is_still_good(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Trouble with the renewal is told, and is an error only once the old token has expired."""
    now = [1_000_000.0]
    token = tmp_path / "token"
    token.write_text(jwt(now[0] + 3600))
    command = python(f"print(open({str(token)!r}).read())")
    config = Config.resolve(environ={}, base_url="http://127.0.0.1:9", credential_cmd=command)
    credentials = Credentials(config, wall_clock=lambda: now[0])
    prepare(credentials)
    token.unlink()
    now[0] += 3550
    with caplog.at_level(logging.WARNING, "tinkex"):
        prepare(credentials)
        prepare(credentials)
    assert caplog.text.count("could not be renewed") == 1, "not again with each request"
    now[0] += 51
    with pytest.raises(ConfigurationError, match="failed with status 1"):
        prepare(credentials)


@pytest.mark.holds("S15", "F33")
def test_a_token_that_seems_to_have_expired_does_not_run_the_command_each_time(
    tmp_path: Path,
) -> None:
    """A clock that is wrong by years would make every token look old."""
    runs = tmp_path / "runs"
    command = python(f"open({str(runs)!r}, 'a').write('x'); print({jwt(1000.0)!r})")
    now = [1_800_000_000.0]
    config = Config.resolve(environ={}, base_url="http://127.0.0.1:9", credential_cmd=command)
    credentials = Credentials(config, wall_clock=lambda: now[0])
    for _ in range(20):
        prepare(credentials)
    assert runs.read_text() == "x"
    now[0] += 6
    prepare(credentials)
    assert runs.read_text() == "xx"


# The file


@pytest.fixture
def stored(tmp_path: Path) -> CredentialsFile:
    return CredentialsFile(tmp_path / "home" / ".tinker" / "credentials.json")


@pytest.mark.holds("S14")
def test_a_key_is_kept_where_only_its_owner_can_read_it(stored: CredentialsFile) -> None:
    """The file is 0600 in a folder of 0700, whatever the umask, and holds what was saved."""
    before = os.umask(0)
    try:
        stored.save("laptop", KEY)
        stored.save("other", OTHER, default=False)
    finally:
        os.umask(before)
    assert stat.S_IMODE(stored.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(stored.path.parent.stat().st_mode) == 0o700
    assert list(stored.path.parent.iterdir()) == [stored.path]
    assert stored.names() == ["laptop", "other"]
    assert stored.read().reveal() == KEY
    stored.delete("laptop")
    with pytest.raises(ConfigurationError, match="no default key"):
        stored.read()


@pytest.mark.holds("S14")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o666])
def test_a_file_that_others_can_read_is_refused(stored: CredentialsFile, mode: int) -> None:
    """The error says how to mend it, and shows no key."""
    stored.save("laptop", KEY)
    stored.path.chmod(mode)
    with pytest.raises(ConfigurationError, match="chmod 600") as caught:
        stored.read()
    assert "canary" not in str(caught.value)


@pytest.mark.holds("S14")
@pytest.mark.parametrize("what", ["link", "dangling link", "folder", "pipe"])
def test_what_is_no_file_of_its_own_is_refused(
    stored: CredentialsFile, what: str, tmp_path: Path
) -> None:
    """A link could be to somebody else's file; a pipe would be waited for."""
    stored.save("laptop", KEY)
    elsewhere = stored.path.rename(tmp_path / "elsewhere")
    if "link" in what:
        stored.path.symlink_to(elsewhere if what == "link" else tmp_path / "nowhere")
    elif what == "folder":
        stored.path.mkdir()
    else:
        os.mkfifo(stored.path, 0o600)
    with pytest.raises(ConfigurationError, match=r"is a link|not a regular file|cannot be read"):
        stored.read()


@pytest.mark.holds("S14")
def test_saving_over_a_planted_link_changes_nothing_elsewhere(
    stored: CredentialsFile, tmp_path: Path
) -> None:
    """The link is refused as a file to read, and never written through."""
    victim = tmp_path / "victim"
    victim.write_text("mine")
    stored.path.parent.mkdir(parents=True)
    stored.path.symlink_to(victim)
    with pytest.raises(ConfigurationError, match="is a link"):
        stored.save("laptop", KEY)
    assert victim.read_text() == "mine"


@pytest.mark.holds("S14")
def test_a_save_that_fails_leaves_the_old_file(stored: CredentialsFile, monkeypatch) -> None:
    """Half a file never takes its place, and nothing is left beside it."""
    stored.save("laptop", KEY)
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        stored.save("other", OTHER)
    assert stored.read().reveal() == KEY
    assert list(stored.path.parent.iterdir()) == [stored.path]


@pytest.mark.parametrize(
    "content", ["", "[]", '{"keys": 3}', "\x00", '{"version": 1, "keys": {"a": 1}, "default": "a"}']
)
def test_a_file_of_something_else_is_told(stored: CredentialsFile, content: str) -> None:
    """It is neither used nor overwritten."""
    stored.path.parent.mkdir(parents=True)
    stored.path.write_text(content)
    stored.path.chmod(0o600)
    with pytest.raises(ConfigurationError, match="credentials file"):
        stored.read()


# Which of them


HOSTED = "https://tinker.example.org"


def source(home: Path, base_url: str = HOSTED, **arguments: Any) -> str:
    """Return from where the key would come, with every variable set."""
    environ = {"HOME": str(home), **arguments.pop("environ", {})}
    config = Config.resolve(environ=environ, base_url=base_url, **arguments)
    named = {
        "key": config.api_key, "function": config.key_function,
        "command": config.credential_cmd, "file": config.credentials_file,
    }  # fmt: skip
    found = [name for name, value in named.items() if value]
    assert len(found) <= 1
    return found[0] if found else "nowhere"


def test_the_first_source_that_is_there_is_used(stored: CredentialsFile, tmp_path: Path) -> None:
    """Arguments before variables, a key before a command before the file."""
    stored.save("laptop", KEY)
    home = tmp_path / "home"
    variables = {"TINKER_API_KEY": KEY, "TINKER_CREDENTIAL_CMD": "echo"}
    assert source(home) == "file"
    assert source(home, environ={"TINKER_CREDENTIAL_CMD": "echo"}) == "command"
    assert source(home, environ=variables) == "key"
    assert source(home, environ=variables, credential_cmd=["pass", "show"]) == "command"
    assert source(home, environ=variables, credentials_file=stored.path) == "file"
    assert source(home, environ=variables, api_key=lambda: KEY) == "function"
    with pytest.raises(MissingCredentialsError, match=r"TINKER_CREDENTIAL_CMD.*credentials\.json"):
        source(tmp_path)


@pytest.mark.holds("S7")
def test_a_server_on_this_machine_is_not_told_what_is_kept_for_another(
    stored: CredentialsFile, tmp_path: Path
) -> None:
    """Neither the file nor the command of the environment are read for it; an argument is."""
    stored.save("laptop", KEY)
    for url in ("local", "http://127.0.0.1:9"):
        assert (
            source(tmp_path / "home", url, environ={"TINKER_CREDENTIAL_CMD": "echo"}) == "nowhere"
        )
        assert source(tmp_path / "home", url) == "nowhere"
        assert source(tmp_path / "home", url, credential_cmd="echo") == "command"


def test_what_the_command_is_called_with_is_not_shown() -> None:
    """It may hold a password of its own."""
    config = Config.resolve(environ={"TINKER_CREDENTIAL_CMD": "get --pin canary"}, base_url=HOSTED)
    assert "canary" not in f"{config!r} {config.describe()}"


# While the program runs


def letting_in(script: Script, key: list[str]) -> Callable[[Any], Any]:
    """Answer requests that carry the key, and refuse the others."""

    def answer(request: Any) -> Any:
        return {"supported_models": []} if request.headers["x-api-key"] == key[0] else (401, {})

    script.on(CAPABILITIES, answer).on(STEP, answer)
    return answer


@pytest.mark.holds("F15")
def test_a_key_that_was_changed_is_read_again_once(
    make_transport, script: Script, clock: FakeClock
) -> None:
    """The refused request goes again with the new key, at once and without a retry's cost."""
    good, given = [KEY], [KEY]
    letting_in(script, good)
    transport = make_transport(api_key=lambda: given[0])
    transport.send(calls.read())
    good[0] = given[0] = OTHER
    transport.send(calls.step())
    assert [got.headers["x-api-key"] for got in script.received] == [KEY, KEY, OTHER]
    assert clock.slept == []
    assert transport.budget.tokens == 500


@pytest.mark.holds("F15")
def test_a_key_that_stays_wrong_is_an_error_after_one_more_look(
    make_transport, script: Script
) -> None:
    """The source is asked once per refused request, and one that gives the same is not tried again."""
    looks = []

    def look() -> str:
        looks.append(1)
        return KEY

    letting_in(script, [OTHER])
    transport = make_transport(api_key=look)
    with pytest.raises(AuthenticationError, match="401"):
        transport.send(calls.read())
    assert (len(looks), len(script.received)) == (2, 1)


@pytest.mark.holds("F15")
def test_a_key_that_was_given_outright_is_refused_at_once(make_transport, script: Script) -> None:
    """There is nowhere to look for another."""
    letting_in(script, [OTHER])
    with pytest.raises(AuthenticationError):
        make_transport(api_key=KEY).send(calls.read())
    assert len(script.received) == 1


@pytest.mark.holds("F15")
def test_threads_that_are_refused_at_once_look_once(make_transport, script: Script) -> None:
    """One of them reads the new key, and the others take it."""
    good, given, looks = [KEY], [KEY], []
    meet = threading.Barrier(8)

    def look() -> str:
        looks.append(1)
        return given[0]

    def answer(request: Any) -> Any:
        if request.headers["x-api-key"] == good[0]:
            return {"supported_models": []}
        meet.wait(30)
        return 401

    script.on(CAPABILITIES, answer)
    transport = make_transport(api_key=look)
    transport.send(calls.read())
    good[0] = given[0] = OTHER
    threads = [threading.Thread(target=transport.send, args=(calls.read(),)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(looks) == 2
    assert len(script.received) == 1 + 8 + 8


@pytest.mark.holds("F15")
def test_a_poll_that_is_refused_continues_with_the_new_key(
    script: Script, clock: FakeClock
) -> None:
    """A run of days survives the change of its key in the middle of a wait."""
    good, given = [KEY], [KEY]

    def poll(request: Any) -> Any:
        if request.headers["x-api-key"] != good[0]:
            return 401
        return {"metrics": {}}

    script.on("POST create_model", {"model_id": "M"}).on(STEP, {"request_id": "r"})
    script.on("POST retrieve_future", poll)
    with scripted_service(script, clock, api_key=lambda: given[0]) as service:
        future = service.create_lora_training_client("base").optim_step()
        good[0] = given[0] = OTHER
        assert future.result().metrics == {}


@pytest.mark.holds("F15")
def test_a_stream_that_is_refused_begins_again_with_the_new_key(
    make_transport, script: Script
) -> None:
    """Once, before anything of it was handed out; a key that stays wrong is an error."""
    good, given = [OTHER], [KEY]
    letting_in(script, good)

    def look() -> str:
        given.append(OTHER)
        return given.pop(0)

    with make_transport(api_key=look).stream(calls.read()) as stream:
        assert json.loads(stream.read()) == {"supported_models": []}
    assert [got.headers["x-api-key"] for got in script.received] == [KEY, OTHER]
    with (
        pytest.raises(AuthenticationError),
        make_transport(api_key=lambda: KEY).stream(calls.read()) as stream,
    ):
        stream.read()
    assert len(script.received) == 3


@pytest.mark.holds("F15", "S2")
def test_keys_that_were_read_are_redacted_like_any_other(
    make_transport, script: Script, caplog
) -> None:
    """What the server repeats of either key is not shown."""
    given = [KEY]
    script.on(CAPABILITIES, lambda request: (401, {"detail": f"no: {KEY} {OTHER}"}))
    transport = make_transport(api_key=lambda: given[0])
    with caplog.at_level(logging.DEBUG):
        for key in (KEY, OTHER):
            given[0] = key
            with pytest.raises(AuthenticationError) as caught:
                transport.send(calls.read())
    assert "canary" not in f"{caught.value} {caught.value!r} {vars(caught.value)} {caplog.text}"


# Tokens


def test_a_server_that_wants_tokens_gets_them(tmp_path: Path) -> None:
    """The key goes to the exchange alone; an expired token is renewed, and a refused one too."""
    now = [1_800_000_000.0]
    wants = Fault(on="client_config", status=200, body='{"pjwt_auth_enabled": true}')
    with (
        LocalServer(
            data_dir=tmp_path, api_key=KEY, faults=[wants], options=Options(now=lambda: now[0])
        ) as server,
        tinkex.ServiceClient(base_url=server.base_url, api_key=KEY) as service,
    ):
        session = service.session
        credentials = session.transport.credentials
        first = dict(credentials.revealed())["X-API-Key"]
        assert first.startswith("eyJ")
        assert service.get_server_capabilities().supported_models
        # The server's clock, not ours, says that it has expired.
        now[0] += 3601
        assert service.get_server_capabilities().supported_models
        assert dict(credentials.revealed())["X-API-Key"] not in (first, KEY)


def test_a_token_of_the_users_own_is_not_exchanged(script: Script, clock: FakeClock) -> None:
    """A JWT is what the exchange would give."""
    token = jwt(4e9)
    script.on("POST client/config", {"pjwt_auth_enabled": True}).on(
        "POST create_model", {"model_id": "M"}
    )
    with scripted_service(script, clock, api_key=token) as service:
        service.create_lora_training_client("base")
    assert {got.headers["x-api-key"] for got in script.received} == {token}
    assert script.sent("auth/token") == []


def test_a_refused_exchange_is_the_error_of_the_session(script: Script, clock: FakeClock) -> None:
    """The key is wrong, and that is what is told."""
    script.on("POST client/config", {"pjwt_auth_enabled": True}).on("POST auth/token", 401)
    with (
        scripted_service(script, clock, api_key=KEY) as service,
        pytest.raises(AuthenticationError),
    ):
        _ = service.session
