"""What `tinkex serve` says when it is ready."""

from __future__ import annotations

import subprocess


def greeting_of(process: subprocess.Popen[str]) -> str:
    """Read what a server that was just started writes to stdout, until it has said where it is."""
    assert process.stdout is not None
    said = ""
    while "TINKER_API_KEY" not in said:
        line = process.stdout.readline()
        assert line, (said, process.stderr and process.stderr.read())
        said += line
    return said


def url_in(greeting: str) -> str:
    """Return the address that a server said."""
    return greeting.split()[2]
