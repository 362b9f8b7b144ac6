"""The project's own pages say what is so."""

from __future__ import annotations

import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from support.extent import ALL
from support.hub_repositories import hub_repositories
from support.pages import fenced
from support.programs import run_program

import tinkex
from tinkex.cli.group import tinkex as tinkex_command
from tinkex.config.settings import SETTINGS

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").glob("**/*.md")),
]
# Blocks that read what the first block of their page wrote: the reader has typed both.
CONTINUED = {("observability.md", 1), ("observability.md", 2)}
# Packages of others that a block shows how to use; it runs where they are installed.
OTHERS = re.compile(r"^(?:import|from) (wandb|tensorboardX|IPython)\b", re.MULTILINE)
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
HUB_TOKEN = "hf_reader"
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


def blocks() -> list[Any]:
    """List the Python blocks that are whole programs: those that import tinkex."""
    found = []
    for page in PAGES:
        programs = fenced(page, "python")
        for number, text in enumerate(programs):
            if "import tinkex" in text or "from tinkex" in text:
                typed = programs[0] + text if (page.name, number) in CONTINUED else text
                found.append(pytest.param(typed, id=f"{page.name}-{number}"))
    return found


def together() -> list[Any]:
    """List the programs that one process runs: a page's one after the other, or, in the long form, each alone."""
    processes: dict[str, dict[str, str]] = {}
    for one in blocks()[1:]:
        (program,) = one.values
        is_alone = ALL or OTHERS.search(program)
        processes.setdefault(one.id if is_alone else one.id.rpartition("-")[0], {})[one.id] = (
            program
        )
    return [pytest.param(programs, id=name) for name, programs in processes.items()]


# The traceback of one that fails names its file.
ONE_AFTER_THE_OTHER = """
import os, runpy, sys
for file in sys.argv[1:]:
    os.chdir(os.path.dirname(file))
    runpy.run_path(file, run_name="__main__")
"""


def run(programs: dict[str, str], folder: Path, hub: str) -> subprocess.CompletedProcess[str]:
    """Run programs as a reader would, each in a folder of its own."""
    files = [folder / name / f"{name}.py" for name in programs]
    for file, program in zip(files, programs.values(), strict=True):
        file.parent.mkdir()
        file.write_text(program, encoding="utf-8")
    starter = folder / "one_after_the_other.py"
    starter.write_text(ONE_AFTER_THE_OTHER, encoding="utf-8")
    return run_program(
        starter,
        *map(str, files),
        # The Hub's library sends files in a way that its HTTP library warns of.
        options=("-W", "error", "-W", "ignore:Use 'content=:DeprecationWarning"),
        env={
            "PATH": "/usr/bin:/bin",
            "HOME": str(folder),
            "TINKEX_LOCAL_DIR": str(folder / "data"),
            "HF_ENDPOINT": hub,
            "HF_TOKEN": HUB_TOKEN,
            "HF_HUB_DISABLE_XET": "1",
        },
        folder=folder,
        afresh=ALL,
    )


@pytest.fixture(scope="module")
def hub() -> Iterator[str]:
    """Return the address of a hub on loopback, which knows the reader."""
    with hub_repositories() as hub:
        hub.users[HUB_TOKEN] = "me"
        yield hub.url


README = blocks()[0]


@pytest.mark.parametrize("programs", together())
def test_the_programs_in_the_docs_run(programs: dict[str, str], hub: str, tmp_path: Path) -> None:
    """A reader can paste each block into a file and run it."""
    for program in programs.values():
        if other := OTHERS.search(program):
            pytest.importorskip(other[1])
    done = run(programs, tmp_path, hub)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("program", [README])
def test_the_readmes_program_learns_its_answer(program: str, hub: str, tmp_path: Path) -> None:
    """The first program ends with the answer that it was trained on; it has ten lines."""
    done = run({"README.md-0": program}, tmp_path, hub)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "My cat is called Fig, the clever one."
    lines = [line for line in program.splitlines() if line and not line.startswith("from ")]
    assert len(lines) == 10


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link of a page names a file that is there."""
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_setting_is_on_the_configuration_page() -> None:
    """The table names each setting with its environment variable, and no other."""
    text = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| (?:`(\w+)`|–) \|", text, re.MULTILINE))
    assert rows == {name: setting.env or "" for name, setting in SETTINGS.items()}


def test_make_commands_in_the_docs_exist() -> None:
    """Every `make target` that a page mentions is in the Makefile."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        mentioned = set(re.findall(r"(?:^|`)make ([a-z-]+)", page.read_text(), re.MULTILINE))
        assert mentioned <= targets, f"{page.name} mentions {mentioned - targets}"


def test_every_error_is_on_the_troubleshooting_page() -> None:
    """Each class of tinkex.errors has a heading of its own there, and no other class has one."""
    text = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    errors = {
        name for name, value in vars(tinkex.errors).items()
        if isinstance(value, type) and issubclass(value, tinkex.TinkexError)
    }  # fmt: skip
    assert set(re.findall(r"^### (\w+)$", text, re.MULTILINE)) == errors


def test_the_moving_page_names_calls_that_exist() -> None:
    """Each call that the page gives for one of the official SDK is a method of that client."""
    clients = {
        "service": tinkex.ServiceClient, "training": tinkex.TrainingClient,
        "sampler": tinkex.SamplingClient, "rest": tinkex.RestClient, "future": tinkex.Future,
    }  # fmt: skip
    text = (ROOT / "docs" / "from-tinker.md").read_text(encoding="utf-8")
    rows = [row.split(" | ") for row in text.partition("## The native API")[2].splitlines() if row.startswith("| ")]  # fmt: skip
    seen = 0
    for theirs, ours, *_ in rows:
        for client, name in re.findall(r"`(\w+)\.(\w+)", theirs if ours == "same" else ours):
            if client in clients:
                assert hasattr(clients[client], name), f"{client}.{name}"
                seen += 1
    assert seen


def test_the_readme_names_every_extra() -> None:
    """Whatever can be installed beside the core stands in the README's table."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    named = set(re.findall(r"'tinkex\[(\w+)\]'", (ROOT / "README.md").read_text(encoding="utf-8")))
    assert settings["project"]["optional-dependencies"].keys() == named


def test_the_readme_is_short() -> None:
    """A reader gets through it: under 120 lines."""
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 120


def test_python_in_the_docs_is_whole_programs() -> None:
    """Each Python block is run by the test above, and none is hidden by its indentation."""
    for page in PAGES:
        for text in fenced(page, "python"):
            assert re.search(r"^(?:import|from) tinkex", text, re.MULTILINE), text
        if page.name != "cli.md":
            text = page.read_text(encoding="utf-8")
            assert not re.search(r"^\n {4,}\S", FENCED.sub("", text), re.MULTILINE), page.name


def commands() -> list[object]:
    """List the lines of shell blocks that call `tinkex`."""
    found = []
    for page in PAGES:
        for text in fenced(page, "sh", "bash", "console"):
            for line in text.replace("\\\n", " ").splitlines():
                if call := re.match(r"(?:\$ )?tinkex (.*)", line):
                    found.append(pytest.param(call[1], id=f"{page.name}: {line}"))
    return found


@pytest.mark.parametrize("line", commands())
def test_commands_in_the_docs_can_be_typed(line: str) -> None:
    """A command line of the docs names a command and options that there are."""
    words = shlex.split(line.partition(" | ")[0], comments=True)
    command: click.Command = tinkex_command
    while isinstance(command, click.Group):
        context = click.Context(command)
        if not words or words[0].startswith("-") or not command.get_command(context, words[0]):
            break
        following = command.get_command(context, words.pop(0))
        assert following is not None
        command = following
    options = {name for parameter in command.params for name in parameter.opts}
    given = {word.partition("=")[0] for word in words if word.startswith("--")}
    assert given <= options, f"{command.name} has no {given - options}"
    assert command is not tinkex_command, f"there is no command {words[0]}"
