"""What is installed is known exactly, from the lowest version to the newest."""

from __future__ import annotations

import ast
import hashlib
import json
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def pins(name: str) -> dict[str, str]:
    """Return the exact versions that a file of constraints names, by canonical name."""
    found: dict[str, str] = {}
    for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            package, exact, version = line.partition("==")
            assert exact, f"{name} does not pin {line}"
            found[canonical(package)] = version.partition(";")[0].strip()
    return found


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name.partition("[")[0].strip()).lower()


def lowest() -> dict[str, str]:
    """Return the lowest version that pyproject.toml allows of each dependency."""
    extras = PROJECT["optional-dependencies"]
    wanted = [*PROJECT["dependencies"], *(one for extra in extras.values() for one in extra)]
    found = {}
    for requirement in wanted:
        match = re.match(r"([A-Za-z0-9_.-]+)(\[[^\]]*\])?>=([0-9.]+)", requirement)
        if match is None:
            assert requirement.startswith("tinkex["), f"{requirement} names no lowest version"
            continue
        found[canonical(match[1])] = match[3]
    return found


# What `make test` does not install: large, and tried by the tests that skip without them.
LARGE = {"jax", "torch", "trackio", "wandb"}


def release(version: str) -> tuple[int, ...]:
    parts = [int(part) for part in version.split(".")]
    return tuple(parts + [0] * (3 - len(parts)))


@pytest.mark.holds("S21")
def test_every_lowest_version_is_one_that_is_tested() -> None:
    """`make test-lowest` installs exactly what pyproject.toml allows at least."""
    tried = {name: release(version) for name, version in pins("constraints-lowest.txt").items()}
    for name, version in lowest().items():
        assert tried.get(name) == release(version), f"{name}: {version} in pyproject.toml"


@pytest.mark.holds("S21")
def test_every_development_tool_is_pinned() -> None:
    """A run today and one next year install the same."""
    pinned = pins("constraints.txt")
    for name in ("requirements-dev.txt", "codegen/requirements.txt"):
        for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
            if line and not line.startswith("#"):
                wanted = canonical(re.split(r"[=<>!~;\[]", line)[0])
                assert wanted in pinned, f"{name}: {wanted} has no pin in constraints.txt"
    for name in lowest():
        assert name in pinned or name in LARGE, f"{name} has no pin in constraints.txt"


@pytest.mark.holds("S21")
def test_the_generated_client_says_what_it_is_made_from() -> None:
    """Its checksums are those of the description and of the templates that are checked in."""
    told = json.loads((ROOT / "generated/tinkex_generated/provenance.json").read_text("utf-8"))
    named = {told["description"]["file"]: told["description"]["sha256"]}
    named.update({f"codegen/{name}": checksum for name, checksum in told["parts"].items()})
    assert len(named) > 10
    for name, checksum in named.items():
        content = (ROOT / name).read_bytes().replace(b"\r\n", b"\n")
        assert hashlib.sha256(content).hexdigest() == checksum, f"{name}: run `make generate`"
    pinned = pins("constraints.txt")
    assert told["tools"] == {name: pinned[name] for name in told["tools"]}


MAY_START_PROCESSES = {
    "tinkex/credentials.py": "the user's own TINKER_CREDENTIAL_CMD",
    "tinkex/cli/version.py": "git, for the commit that is shown",
}


@pytest.mark.holds("S21")
def test_nothing_is_installed_or_started_behind_the_users_back() -> None:
    """Processes begin in the modules that are listed with a reason, and nowhere else."""
    starting = set()
    for path in sorted((ROOT / "tinkex").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            if {name.partition(".")[0] for name in names} & {"subprocess", "pip", "ensurepip"}:
                starting.add(path.relative_to(ROOT).as_posix())
    assert starting == set(MAY_START_PROCESSES)


@pytest.mark.holds("S13")
def test_no_tokenizer_is_asked_to_run_its_code() -> None:
    """The switch by which the field's loaders do so occurs nowhere."""
    for path in (ROOT / "tinkex").rglob("*.py"):
        assert "trust_remote_code" not in path.read_text(encoding="utf-8"), path
