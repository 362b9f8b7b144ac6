"""The commands `tinkex serve` and `tinkex version`."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest
from local.wire import serve_process
from support.extent import ALL
from support.programs import complete

CLI = "from tinkex.cli import main; main()"


def tinkex(*arguments: str, before: str = "") -> subprocess.CompletedProcess[str]:
    # What comes before hides packages, which must not be imported then.
    afresh = ALL or bool(before)
    return complete(["-c", f"{before}\n{CLI}", *arguments], afresh=afresh)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_runs_until_a_signal_and_ends_well(tmp_path: Path, number: signal.Signals) -> None:
    """The start shows how to reach the server; Ctrl-C and SIGTERM stop it with exit code 0."""
    with serve_process(tmp_path) as (process, wire):
        assert wire.get("healthz") == {"status": "ok"}
        process.send_signal(number)
        assert process.communicate(timeout=60)[0].endswith("stopped\n")
        assert process.returncode == 0
    assert "tinkex/tiny-chat, tinkex/nano" in wire.greeting
    assert f"page       {wire.http.base_url.join('/')}\n" in wire.greeting
    assert str(tmp_path) in wire.greeting
    assert f"export TINKER_BASE_URL={str(wire.http.base_url).split('/api')[0]}\n" in wire.greeting
    assert "export TINKER_API_KEY=tml-" in wire.greeting
    assert not list((tmp_path / "staging").iterdir())


def test_serve_ends_with_a_word_when_an_error_ends_the_server(tmp_path: Path) -> None:
    """It does not stay as a process that serves no one."""
    code = """
import uvicorn
from tinkex.cli import main
tick = uvicorn.Server.on_tick
async def fail(self, counter):
    if counter > 5:
        raise ValueError("year 33715 is out of range")
    return await tick(self, counter)
uvicorn.Server.on_tick = fail
main()
"""
    with serve_process(tmp_path, code=code) as (process, _):
        _, err = process.communicate(timeout=60)
        assert process.returncode == 1
        assert "ended by an error: year 33715 is out of range. Start it again" in err


def test_serve_explains_what_keeps_it_from_starting(tmp_path: Path) -> None:
    """A wrong model folder is one line and exit code 1, not a traceback."""
    arguments = ("serve", "--port", "0", "--data-dir", str(tmp_path / "data"))
    failed = tinkex(*arguments, "--model", f"mine={tmp_path}")
    assert failed.returncode == 1
    assert "no config.json" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert tinkex(*arguments, "--model", "mine").returncode == 2


def test_serve_keeps_the_given_key_to_itself(tmp_path: Path) -> None:
    """The key is asked for and not printed."""
    with serve_process(tmp_path, "--api-key", "tml-hush") as (process, wire):
        assert wire.http.get("training_runs").status_code == 401
        process.send_signal(signal.SIGTERM)
        said = wire.greeting + "".join(process.communicate(timeout=60))
        assert "hush" not in said


def test_serve_beyond_loopback_needs_a_key_or_a_word(tmp_path: Path) -> None:
    """Without either it says so in one line; with the word it runs, and still checks names."""
    arguments = ("--host", "0.0.0.0")
    failed = tinkex("serve", "--port", "0", "--data-dir", str(tmp_path / "data"), *arguments)
    assert failed.returncode == 1
    assert "--without-key" in failed.stderr
    assert "Traceback" not in failed.stderr
    more = ("--without-key", "--allow-host", "gpu.example")
    with serve_process(tmp_path, *arguments, *more) as (_, wire):
        for host, status in (("gpu.example", 200), ("other.example", 403)):
            assert wire.http.get("training_runs", headers={"host": host}).status_code == status


def test_serve_refuses_a_folder_of_something_else(tmp_path: Path) -> None:
    """One line that names the folder and the option, and nothing in it is touched."""
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "mine").write_text("!")
    failed = tinkex("serve", "--port", "0", "--data-dir", str(tmp_path))
    assert failed.returncode == 1
    assert "neither empty nor" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == [
        "checkpoints",
        "checkpoints/mine",
    ]


def test_version_and_help_are_light() -> None:
    """Neither needs the server's packages, nor the client's."""
    from tinkex import __version__

    block = "import sys\nfor name in ('numpy', 'starlette', 'httpx'): sys.modules[name] = None"
    shown = tinkex("version", before=block)
    assert shown.returncode == 0
    assert f"tinkex {__version__}" in shown.stdout
    overview = tinkex("--help", before=block)
    assert overview.returncode == 0
    assert "serve" in overview.stdout


def test_missing_click_is_answered_with_the_install_line() -> None:
    """Without the extra the command says which one to install."""
    failed = tinkex("version", before="import sys\nsys.modules['click'] = None")
    assert failed.returncode == 1
    assert failed.stderr.strip().endswith("pip install 'tinkex[cli]'")


def test_missing_server_packages_are_answered_with_the_install_line() -> None:
    """`tinkex serve` without the extra says so in one line."""
    failed = tinkex("serve", before="import sys\nsys.modules['starlette'] = None")
    assert failed.returncode == 1
    assert "pip install 'tinkex[local]'" in failed.stderr
    assert "Traceback" not in failed.stderr
