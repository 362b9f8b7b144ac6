"""What does not work: one paragraph that says what to do, and the exit code that says the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli.conftest import Made
from support.command import Shell

import tinkex
import tinkex.cli
from tinkex.cli import failures
from tinkex.errors import NotFoundError
from tinkex.local import LocalServer

MODEL = ("--base-model", "tinkex/nano")
PATH = "tinkex://r/weights/a".replace("tinkex", "tinker")

BAD: list[tuple[tuple[str, ...], str]] = [
    (("lisst",), "No such command 'lisst'"),
    (("serv",), "Did you mean serve?"),
    (("checkpoint", "lst"), "Did you mean list?"),
    (("run", "list", "--nope"), "No such option"),
    (("train", "x", "--lr", "1"), "Did you mean --learning-rate?"),
    (("train", "x", "--batch", "1"), "Did you mean --batch-size?"),
    (("run", *MODEL, "--prompt", "a\udcff"), "'--prompt': is not valid UTF-8"),
    (("help", "serv"), "Did you mean serve?"),
    (("help", "serve", "now"), "'tinkex serve' has no commands"),
    (("run", "list", "extra"), "unexpected extra argument"),
    (("run", "list", "--limit", "-1"), "--limit"),
    (("run", "list", "--format", "xml"), "'table', 'json'"),
    (("run", "list", "--access-scope", "all"), "'owned', 'accessible'"),
    (("run", "list", "--timeout", "0"), "--timeout"),
    (("run",), "one of --base-model NAME and --model-path PATH"),
    (("run", *MODEL), "one of --prompt TEXT and --prompt-file FILE"),
    (("run", *MODEL, "--prompt", "a", "--prompt-file", "x"), "x"),
    (("run", *MODEL, "--prompt", ""), "--prompt is empty"),
    (("run", *MODEL, "--prompt-file", "missing.txt"), "missing.txt"),
    (("run", *MODEL, "--prompt-file", "empty.txt"), "empty.txt: is empty"),
    (("run", *MODEL, "--prompt-file", "binary.txt"), "no UTF-8 text"),
    (("run", *MODEL, "--prompt", "a", "--top-p", "2"), "--top-p"),
    (("run", *MODEL, "--prompt", "a", "--top-k", "0"), "--top-k: "),
    (("run", *MODEL, "--prompt", "a", "--json", "--stream"), "--stream writes one sample"),
    (("run", "--model-path", "weights", "--prompt", "a"), "tinker://"),
    (("checkpoint",), "one of --base-model NAME and --model-path PATH"),
    (("checkpoint", *MODEL), "give --output FILE"),
    (("checkpoint", "info", "nonsense"), "tinker://"),
    (("checkpoint", "publish", "nonsense"), "tinker://"),
    (("checkpoint", "unpublish", "nonsense"), "tinker://"),
    (("checkpoint", "download", "nonsense"), "tinker://"),
    (("checkpoint", "set-ttl", PATH), "one of --ttl SECONDS and --remove"),
    (("checkpoint", "set-ttl", PATH, "--ttl", "1", "--remove"), "one of --ttl"),
    (("checkpoint", "delete"), "PATH"),
    (("checkpoint", "delete", PATH, "nonsense", "--yes"), "tinker://"),
    (("checkpoint", "prune"), "--older-than AGE or --keep-last N"),
    (("checkpoint", "prune", "--older-than", "soon"), "14d, 12h or 30m"),
    (("session", "info"), "SESSION_ID"),
    (("session", "info", ""), "session_id"),
    (("session", "export-trace", "x", "-o", "empty.txt"), "file: empty.txt exists already"),
    (("run", *MODEL, "--prompt", "a", "--http-pool", "a b"), "http_pool must be a name"),
    (("usage", "--days", "15"), "--days"),
    (("usage", "--csv", "--json"), "--csv and --json"),
    (("completion", "tcsh"), "tcsh"),
    (("model", "list", "--base-url", "ftp://x"), "base_url must be an http(s) URL"),
]


@pytest.mark.parametrize(("arguments", "said"), BAD, ids=[" ".join(a)[:60] for a, _ in BAD])
def test_what_cannot_be_right_is_refused_with_2(
    arguments: tuple[str, ...], said: str, shell: Shell
) -> None:
    """The message names the option or argument; stdout stays empty."""
    Path("empty.txt").write_text("\n")
    Path("binary.txt").write_bytes(b"\xff\xfe")
    done = shell(*arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: ")
    assert said in done.err
    assert "Traceback" not in done.err


MISSING: list[tuple[str, ...]] = [
    ("run", "info", "nobody:train:0"),
    ("run", "--model-path", "tinker://nobody:train:0/sampler_weights/x", "--prompt", "a"),
    ("run", "--base-model", "no/model", "--prompt", "a"),
    ("checkpoint", "--base-model", "no/model", "-o", "x.json"),
    ("checkpoint", "--model-path", "tinker://nobody:train:0/weights/x", "-o", "x.json"),
    ("checkpoint", "list", "--run-id", "nobody:train:0"),
    ("checkpoint", "info", "tinker://nobody:train:0/weights/x"),
    ("checkpoint", "inspect", "tinker://nobody:train:0/weights/x"),
    ("checkpoint", "inspect", "no-folder"),
    ("checkpoint", "publish", "tinker://nobody:train:0/weights/x"),
    ("checkpoint", "unpublish", "tinker://nobody:train:0/weights/x"),
    ("checkpoint", "set-ttl", "tinker://nobody:train:0/weights/x", "--remove"),
    ("checkpoint", "delete", "tinker://nobody:train:0/weights/x", "--yes"),
    ("checkpoint", "download", "tinker://nobody:train:0/weights/x"),
    ("session", "info", "nobody"),
    ("session", "close", "nobody"),
    ("session", "export-trace", "nobody"),
    ("doctor", "--base-model", "no/model"),
]


@pytest.mark.parametrize("arguments", MISSING, ids=[" ".join(a)[:40] for a in MISSING])
def test_what_is_not_there_is_said(arguments: tuple[str, ...], shell: Shell) -> None:
    """Exit code 1 (of the doctor, the layer's), and the name of what was looked for."""
    done = shell(*arguments)
    assert done.code == (14 if arguments[0] == "doctor" else 1), done.err
    assert any(part in done.err for part in arguments if "no" in part)
    assert "Traceback" not in done.err


NEEDS_KEY: list[tuple[str, ...]] = [
    ("run", *MODEL, "--prompt", "a"),
    ("run", "list"),
    ("checkpoint", *MODEL, "-o", "x.json"),
    ("checkpoint", "list"),
    ("checkpoint", "info", PATH),
    ("checkpoint", "publish", PATH),
    ("checkpoint", "delete", PATH, "--yes"),
    ("checkpoint", "download", PATH),
    ("session", "list"),
    ("model", "list"),
    ("usage",),
    ("doctor",),
]


@pytest.mark.parametrize("arguments", NEEDS_KEY, ids=[" ".join(a)[:40] for a in NEEDS_KEY])
def test_without_a_key_a_command_says_where_it_looked(
    arguments: tuple[str, ...], shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 3, and nothing is sent anywhere; never that the network is to be checked."""
    monkeypatch.delenv("TINKER_BASE_URL")
    done = shell(*arguments)
    assert (done.code, done.out) == (3, "")
    assert "api_key is required for the hosted service and none was found" in done.err
    assert "TINKER_API_KEY" in done.err
    assert "--base-url local" in done.err
    assert "network" not in done.err


def test_a_key_that_is_not_accepted_is_3_too_and_stays_secret(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the command line and from the environment; also with all logs and tracebacks."""
    with LocalServer(port=0, api_key="tml-the-right-one") as server:
        for arguments in (("model", "list"), ("run", "list", "--debug"), ("doctor", "--json")):
            done = shell(
                *arguments, "--base-url", server.base_url, "--api-key", "tml-canary-in-vain"
            )
            assert done.code == 3, done.err
            assert "canary" not in done.out + done.err
        monkeypatch.setenv("TINKER_API_KEY", "tml-the-right-one")
        done = shell("--base-url", server.base_url, "doctor", "--no-sample", "--json")
        assert done.code == 0, done.err
        shown = shell("config", "show")
        assert "tml-...-one" in shown.out
        assert "right" not in done.out + shown.out


def test_a_server_that_is_not_there_leads_to_the_doctor(shell: Shell) -> None:
    """The error names the URL; the doctor has an exit code for the layer."""
    down = ("--base-url", "http://127.0.0.1:9")
    done = shell("model", "list", *down, "--timeout", "1")
    assert done.code == 1
    assert "127.0.0.1:9" in done.err
    assert "tinkex doctor" in done.err
    doctor = shell("doctor", *down, "--json")
    assert doctor.code == 11
    verdicts = {layer["layer"]: layer["verdict"] for layer in doctor.json["layers"]}
    assert verdicts["dns"] == "ok"
    assert verdicts["tcp"] == "failed"
    assert verdicts["sample"] == "skipped"
    nowhere = shell("doctor", "--base-url", "http://nowhere.invalid.localhost")
    assert nowhere.code == 10


def test_the_doctor_tells_a_server_without_tls(shell: Shell, server: LocalServer) -> None:
    """https to a port that speaks http is the layer tls."""
    url = server.base_url.replace("http:", "https:")
    assert shell("doctor", "--base-url", url).code == 12


def test_advice_is_in_the_words_of_the_command_line(shell: Shell, made: Made) -> None:
    """An option, where the SDK's error names an argument."""
    assert shell("checkpoint", "download", made.sampler_path).code == 0
    again = shell("checkpoint", "download", made.sampler_path)
    assert (again.code, "give --force" in again.err) == (1, True)
    assert shell("checkpoint", "download", made.sampler_path, "--force").code == 0
    insecure = shell("model", "list", "--base-url", "http://example.org")
    assert insecure.code == 2
    assert "set TINKEX_ALLOW_INSECURE=1" in insecure.err
    assert "from the command line" in insecure.err
    assert "=True" not in again.err + insecure.err


def test_a_terminal_of_another_encoding_gets_escapes(shell: Shell, tmp_path: Path) -> None:
    """A name that it cannot show is no error."""
    with tinkex.ServiceClient(display_name="\N{SNOWMAN} \N{LATIN SMALL LETTER E WITH ACUTE}") as it:
        session_id = it.session.id
    shell.set("PYTHONIOENCODING", "latin-1")
    done = shell.process("session", "info", session_id, encoding="latin-1")
    assert done.code == 0, done.err
    assert "Name: \\u2603 \xe9\n" in done.out


def test_a_traceback_is_shown_when_it_is_asked_for(shell: Shell) -> None:
    """With --debug, before the paragraph, anywhere on the line."""
    for arguments in (("--debug", "run", "info", "x"), ("run", "info", "x", "--debug")):
        done = shell.process(*arguments, strict=False)
        assert done.code == 1
        assert "Traceback (most recent call last)" in done.err
        assert "error: get_training_run failed with HTTP 404" in done.err
        assert "HTTP GET /api/v1/training_runs/x error 404" in done.err


def test_the_name_of_the_connections_stands_in_log_lines(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By option, else by variable; it tells apart what several programs wrote into one log."""
    monkeypatch.setenv("TINKEX_HTTP_POOL", "nightly")
    sampled = ("run", *MODEL, "--prompt", "a", "--max-tokens", "1", "--debug")
    assert " pool=nightly)" in shell.process(*sampled).err
    done = shell.process(*sampled, "--http-pool", "evals")
    assert done.code == 0
    told = [line for line in done.err.splitlines() if " HTTP " in line]
    assert any("/asample" in line for line in told)
    assert all(line.endswith(" pool=evals)") for line in told)
    assert " HTTP " not in shell.process(*sampled[:-1], "--http-pool", "evals").err


def test_settings_that_cannot_be_right_do_not_hide_the_others(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`config show` goes on past them, and shows no password."""
    monkeypatch.setenv("TINKEX_TIMEOUT", "soon")
    monkeypatch.setenv("TINKEX_MAX_RETRIES", "4")
    assert shell("model", "list").code == 2
    done = shell("config", "show", "--json")
    assert done.code == 0
    shown = {row["setting"]: row for row in done.json["settings"]}
    assert shown["timeout"]["value"] == "not usable"
    assert (shown["max_retries"]["value"], shown["max_retries"]["source"]) == (
        "4",
        "environment TINKEX_MAX_RETRIES",
    )
    assert done.json["problems"][0].startswith("timeout must be a positive number of seconds")
    monkeypatch.delenv("TINKEX_TIMEOUT")
    hidden = shell("config", "show", "--base-url", "https://me:hunter2@example.org")
    assert "hunter2" not in hidden.out + hidden.err
    given = shell("--base-url", "local", "config", "show", "--json").json["settings"]
    assert next(r["source"] for r in given if r["setting"] == "base_url") == "command line"


def test_errors_reach_a_program_as_they_are(shell: Shell, made: Made) -> None:
    """`tinkex.cli.run` raises what the SDK raises, and a part that failed with its result."""
    with pytest.raises(NotFoundError):
        tinkex.cli.run(["run", "info", "nobody:train:0"])
    with pytest.raises(failures.Failed) as caught:
        tinkex.cli.run(["checkpoint", "delete", "tinker://nobody:train:0/weights/x", "--yes"])
    assert caught.value.result["failed"] == 1


@pytest.mark.parametrize("module", ["click", "tinkex.cli.group", "tinkex.service"])
def test_ctrl_c_while_modules_load_is_no_traceback(shell: Shell, module: str) -> None:
    """From the first moment on it is exit code 130."""
    before = f"""
import sys

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupting())
"""
    done = shell.process("model", "list", before=before, afresh=True)
    assert done.code == 130
    assert "Traceback" not in done.err


@pytest.mark.parametrize("option", ["--batch-size", "--rank", "--seed", "--learning-rate"])
def test_an_error_about_a_field_names_its_option(option: str, shell: Shell) -> None:
    """What a Python program knows as batch_size is --batch-size here."""
    Path("data.jsonl").write_text('{"text": "a b c"}\n' * 3)
    done = shell("train", "data.jsonl", *MODEL, option, "-1", "--dry-run")
    assert done.code == 2
    assert done.err.startswith(f"error: {option}: ")


def test_a_misspelt_model_is_named_with_the_one_that_was_meant(shell: Shell) -> None:
    """If none is close, the error lists all of them."""
    done = shell("run", "--base-model", "tinkex/nanno", "--prompt", "a")
    assert "unknown model 'tinkex/nanno'; did you mean 'tinkex/nano'?" in done.err
    done = shell("run", "--base-model", "gpt", "--prompt", "a")
    assert "unknown model 'gpt'; available: tinkex/tiny-chat, tinkex/nano" in done.err


def test_a_used_port_is_named(shell: Shell, server: LocalServer) -> None:
    """With the option that chooses another one."""
    port = server.base_url.rpartition(":")[2]
    done = shell.process("serve", "--port", port)
    assert done.code == 1
    assert f"port {port} of 127.0.0.1 is already in use; choose another with --port" in done.err


_DEEP = "[" * 100_000


@pytest.mark.parametrize(
    "arguments",
    [
        ("config", "show"),
        ("auth", "status"),
        ("serve", "--port", "0", "--faults", "deep.json"),
        ("serve", "--port", "0", "--faults", "odd.json"),
        ("run", *MODEL, "--max-tokens", "1", "--prompt-file", "deep.json"),
    ],
    ids=" ".join,
)
def test_deep_json_and_odd_bytes_are_no_bugs(arguments: tuple[str, ...], shell: Shell) -> None:
    """Wherever a file or a setting is read, it is named."""
    for name, content in (("deep.json", _DEEP.encode()), ("odd.json", b"\xff\xfe\x00")):
        Path(name).write_bytes(content)
    keys = Path("keys/credentials.json")
    keys.parent.mkdir(mode=0o700)
    keys.write_text(_DEEP)
    keys.chmod(0o600)
    if arguments[0] == "config":
        shell.set("TINKEX_DEFAULT_HEADERS", _DEEP)
    if arguments[0] == "auth":
        shell.set("TINKER_BASE_URL", "https://tinker.example.org")
    shell.set("TINKEX_CREDENTIALS_FILE", str(keys))
    # `serve` takes the signals of its process.
    done = (shell.process if arguments[0] == "serve" else shell)(*arguments)
    assert "bug in tinkex" not in done.err
    assert "Traceback" not in done.err
    assert any(
        name in done.err
        for name in ("deep.json", "odd.json", "default_headers", str(keys), "tokens")
    )


@pytest.mark.parametrize("closed", [0, 1, 2])
def test_a_closed_stream_is_no_bug(closed: int, shell: Shell) -> None:
    """As after `<&-` in a shell: reading ends at once, and what is written is lost."""
    before = (
        f"import os, sys; os.close({closed}); sys.{('stdin', 'stdout', 'stderr')[closed]} = None"
    )
    done = shell.process("chat", *MODEL, before=before)
    assert "Traceback" not in done.err
    assert "bug" not in done.err


_FULL = "import os; os.dup2(os.open('/dev/full', os.O_WRONLY), 1)"


def test_a_reader_that_has_gone_is_no_error_message(shell: Shell) -> None:
    """`tinkex ... | head` ends quietly; a full disk is named, once."""
    assert failures.exit_code_of(BrokenPipeError()) == failures.BROKEN_PIPE
    done = shell.process("run", "list", before=_FULL)
    assert done.code == 1
    assert done.err == "error: No space left on device\n"


def test_an_error_breaks_between_words_where_the_terminal_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its head counts, its paragraphs stay, and what is longer than a line stays whole."""
    monkeypatch.setenv("COLUMNS", "24")
    path = "tinker://session-0123456789:train:0/weights/a"
    said = failures.fitted(f"no checkpoint at {path}\n\nTry again.", "error: ")
    assert said == f"no checkpoint at\n{path}\n\nTry again."


def test_a_bug_says_that_it_is_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Any other exception shows its traceback and asks for a report."""
    assert failures.exit_code_of(KeyError("x")) == 1
    err = capsys.readouterr().err
    assert "KeyError: 'x'" in err
    assert "bug in tinkex" in err
