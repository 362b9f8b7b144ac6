"""The tools that try the tests and build what is published."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import build_dist
import flaky
import mutants
import pytest

from tinkex import __version__

ROOT = Path(__file__).parents[2]
MUTANTS = mutants.chosen([])


@pytest.mark.parametrize("mutant", MUTANTS, ids=[one["name"] for one in MUTANTS])
def test_a_mutant_can_be_tried(mutant: dict[str, str]) -> None:
    """What it replaces stands once in its file, the result is another program, and its tests exist."""
    sound = (ROOT / mutant["file"]).read_text(encoding="utf-8")
    changed = mutants.broken(sound, mutant)
    compile(changed, mutant["file"], "exec")
    assert changed != sound
    assert all((ROOT / test).exists() for test in mutant["tests"])


def test_there_are_thirty_mutants_over_the_rooms() -> None:
    """Thirty at least, each with a name of its own, in ten rooms at least."""
    assert len({one["name"] for one in MUTANTS}) == len(MUTANTS) >= 30
    assert len({one["file"].split("/")[1] for one in MUTANTS}) >= 10


def test_an_unnoticed_mutant_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a copy of a small project one mutant is noticed and the other one is not; the project stays as it was."""
    (tmp_path / "made.py").write_text("def half(n):\n    return n / 2\n")
    (tmp_path / "test_made.py").write_text(
        "from made import half\n\ndef test_it():\n    assert half(4) == 2\n"
    )
    (tmp_path / "list.toml").write_text("".join(
        f'[[mutant]]\nname = "{name}"\nfile = "made.py"\nold = "n / 2"\nnew = "{new}"\ntests = ["test_made.py"]\n'
        for name, new in {"thirds": "n / 3", "floors": "n // 2"}.items()
    ))  # fmt: skip
    code = f"""
import sys, mutants
from pathlib import Path
mutants.ROOT, mutants.LIST = Path({str(tmp_path)!r}), Path({str(tmp_path / "list.toml")!r})
sys.argv[1:] = []
sys.exit(mutants.main())
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT / "tools",
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1, done.stderr
    assert [line.split(" s  ")[-1] for line in done.stdout.splitlines()] == [
        "2 mutants",
        "noticed      thirds",
        "NOT NOTICED  floors",
        "1 of 2 were noticed",
    ]
    assert "n / 2" in (tmp_path / "made.py").read_text()


def test_what_failed_once_is_flaky(tmp_path: Path) -> None:
    """A test that fails in its second round only is listed, with the seed of that round."""
    (tmp_path / "test_it.py").write_text(
        "from pathlib import Path\n\ndef test_now_and_then():\n    mark = Path(__file__).with_name('mark')\n"
        "    assert not mark.exists()\n    mark.touch()\n\ndef test_always():\n    pass\n"
    )
    command = [sys.executable, flaky.__file__, "--rounds", "2", "--workers", "0", "--busy", "0"]
    done = subprocess.run(
        [*command, "--seed", "7", str(tmp_path)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 1, done.stderr
    first, *_, head, listed = done.stdout.splitlines()
    assert first.startswith("seed 7: 2 passed")
    assert head == "2 rounds: 1 tests ever failed"
    assert "1 of 2" in listed
    assert listed.endswith("test_it.py::test_now_and_then  (seeds 8)")


def test_the_load_beside_the_tests_ends_with_them() -> None:
    """As many processes as were asked for compute until the block ends."""
    with flaky.load(2) as busy:
        assert [process.poll() for process in busy] == [None, None]
    assert all(process.returncode is not None for process in busy)


def test_a_tag_names_the_version_of_everything(tmp_path: Path) -> None:
    """What names another one is told; without a heading for it in the changelog nothing is released."""
    (tmp_path / "tinkex" / "_base").mkdir(parents=True)
    for name in ("pyproject.toml", "tinkex/_base/version.py"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    (tmp_path / "CHANGELOG.md").write_text(f"# Changelog\n\n## {__version__} (2026-01-31)\n")
    assert build_dist.differing(f"v{__version__}", tmp_path) == []
    assert build_dist.differing("v99.0.0", tmp_path) == [
        "pyproject.toml",
        "tinkex/_base/version.py",
        "the newest heading of CHANGELOG.md",
    ]
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## Unreleased\n")
    assert build_dist.differing(f"v{__version__}", tmp_path) == [
        "the newest heading of CHANGELOG.md"
    ]
    assert "the tag (it is no v and three numbers)" in build_dist.differing(__version__, tmp_path)
