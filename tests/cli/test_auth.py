"""`tinkex auth`: a key is kept safely, found again, shown to nobody, and forgotten."""

from __future__ import annotations

import os
import pty
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from support.command import CLI, Shell

from tinkex.local import LocalServer

KEY = "tml-canary-0123456789"
HOSTED = ("--base-url", "https://tinker.example.org")


def test_a_key_is_kept_found_and_forgotten(shell: Shell, tmp_path: Path) -> None:
    """Read from the input by a process of its own; the file is for its owner alone."""
    done = shell.process("auth", "login", "--no-check", *HOSTED, stdin=f"{KEY}\n")
    assert done.code == 0, done.err
    file = tmp_path / ".tinker" / "credentials.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    status = shell("auth", "status", *HOSTED, "--json")
    assert status.json == {
        "base_url": HOSTED[1],
        "key": "tml-...6789",
        "source": str(file),
        "file": str(file),
        "kept": ["default"],
    }
    gone = shell.process("auth", "logout")
    assert (gone.code, file.exists()) == (0, False)
    for text in (done.out, done.err, status.out, status.err, gone.out):
        assert "canary" not in text
    again = shell("auth", "logout")
    assert again.code == 1
    assert "there are: none" in again.err


def test_the_server_is_asked_before_a_key_is_kept(shell: Shell, tmp_path: Path) -> None:
    """One that it does not take is not kept; one that it takes is named."""
    file = tmp_path / ".tinker" / "credentials.json"
    with LocalServer(data_dir=tmp_path / "keyed", api_key=KEY) as server:
        there = ("--base-url", server.base_url)
        refused = shell("auth", "login", *there, stdin="tml-another-key-0000\n")
        assert (refused.code, file.exists()) == (3, False)
        kept = shell("auth", "login", *there, "--name", "laptop", "--json", stdin=f"{KEY}\n")
        assert kept.code == 0, kept.err
        assert (kept.json["name"], kept.json["key"]) == ("laptop", "tml-...6789")
        mine = shell("auth", "whoami", *there, "--api-key", KEY, "--json").json
        assert mine["name"] == kept.json["key_name"]
        assert set(mine) == {"key_id", "name", "note", "organization", "user"}


def test_what_is_no_key_is_refused(shell: Shell, tmp_path: Path) -> None:
    """An empty input, another service's key, and no key at all where one is needed."""
    assert shell("auth", "login", *HOSTED, stdin="\n").code == 2
    other = shell("auth", "login", "--no-check", *HOSTED, stdin="sk-canary\n")
    assert other.code == 2
    assert "tml-" in other.err
    assert "canary" not in other.err
    assert not (tmp_path / ".tinker").exists()
    missing = shell("auth", "status", *HOSTED)
    assert missing.code == 3
    assert shell("auth", "status").code == 0


def test_a_key_in_the_environment_stands_before_the_file(shell: Shell) -> None:
    """Both commands say so."""
    shell.set("TINKER_API_KEY", "tml-from-environment")
    done = shell("auth", "login", "--no-check", *HOSTED, stdin=f"{KEY}\n")
    assert "TINKER_API_KEY is set" in done.err
    status = shell("auth", "status", *HOSTED)
    assert "environment TINKER_API_KEY" in status.out
    assert "tml-...ment" in status.out


@pytest.mark.skipif(shutil.which("setsid") is None, reason="setsid makes a terminal one's own")
@pytest.mark.parametrize("typed", [f"{KEY}\n", "\x03"])
def test_a_terminal_does_not_show_what_is_typed(shell: Shell, typed: str) -> None:
    """The key is asked for; Ctrl-C at the question keeps nothing and is 130."""
    controller, terminal = pty.openpty()
    command = [sys.executable, "-c", CLI, "auth", "login", "--no-check", *HOSTED]
    with subprocess.Popen(
        ["setsid", "--ctty", *command], stdin=terminal, stdout=terminal, stderr=terminal
    ) as process:
        os.close(terminal)
        shown = b""
        while b"API key: " not in shown:
            shown += os.read(controller, 4096)
        os.write(controller, typed.encode())
        try:
            while piece := os.read(controller, 4096):
                shown += piece
        except OSError:  # Linux says so when the other end has closed.
            pass
    os.close(controller)
    kept = typed.startswith("tml")
    assert process.returncode == (0 if kept else 130), shown
    assert b"canary" not in shown
    assert (b"tml-...6789 is kept in" in shown) == kept
