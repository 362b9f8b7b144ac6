"""The progress bar follows the bytes and is no burden to those who want none."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest

from tinkex.checkpoints import progress_bar
from tinkex.errors import MissingDependencyError


def test_the_bar_shows_how_much_of_how_much_came() -> None:
    """The last state that is drawn is the whole; a step back is one on the bar as well."""
    out = io.StringIO()
    with progress_bar("adapter", file=out) as progress:
        for done, total in [(0, None), (2048, 4096), (1024, 4096), (4096, 4096)]:
            progress(done, total)
    assert "adapter: 100%" in out.getvalue()
    assert "4.00k/4.00k" in out.getvalue()


def test_without_tqdm_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra is named when the package is missing."""
    monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    with pytest.raises(MissingDependencyError, match=r"tinkex\[progress\]"), progress_bar():
        pass


def test_tqdm_is_not_imported_unless_a_bar_is_drawn() -> None:
    """Who imports the downloads pays for no bar."""
    check = "import sys, tinkex.checkpoints; sys.exit('tqdm' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
