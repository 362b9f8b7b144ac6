"""The code blocks of the docs, and a shell to type them into."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def fenced(page: Path, *languages: str) -> list[str]:
    """Return the blocks of a page in any of the languages, in order."""
    return [
        text for language, text in BLOCK.findall(page.read_text("utf-8")) if language in languages
    ]


def type_in(
    text: str, folder: Path, home: Path, *, timeout: float = 240, **settings: str
) -> subprocess.CompletedProcess[str]:
    """Type lines into a shell, as a user who has nothing of this project but a clone."""
    return subprocess.run(
        ["bash", "-e", "-c", text],
        cwd=folder,
        env=environment(home, **settings),
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def environment(home: Path, **settings: str) -> dict[str, str]:
    """Return the variables of such a user: this Python on the path, and a home of their own."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name.startswith(("PIP_", "LANG", "LC_", "SSL_")) or name.lower().endswith("_proxy")
    }
    path = [Path(sys.executable).parent, Path(sys._base_executable).parent]
    return {
        **kept,
        "PATH": os.pathsep.join([*map(str, path), "/usr/local/bin", "/usr/bin", "/bin"]),
        "HOME": str(home),
        "TINKEX_LOCAL_DIR": str(home / "data"),
        **settings,
    }
