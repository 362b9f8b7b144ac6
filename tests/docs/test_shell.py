"""What the docs let a reader type is typed here, block by block, in a copy of the project."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.extent import ALL
from support.greeting import greeting_of, url_in
from support.kept import kept, not_ours
from support.pages import BLOCK, environment, type_in

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    *(ROOT / folder / "README.md" for folder in ("examples", "codegen", "bench")),
    *sorted((ROOT / "docs").glob("*.md")),
]
# Each block that is no Python program, and the test that runs it.
RUN = {
    "README.md sh 0": "test_make_does_what_the_pages_say",
    "CONTRIBUTING.md sh 0": "test_make_does_what_the_pages_say",
    "examples/README.md sh 0": "test_the_examples_are_run_as_their_page_says",
    "docs/getting-started.md sh 0": "test_tinkex_is_installed_as_the_pages_say",
    "docs/finetuning.md sh 0": "test_tinkex_is_installed_as_the_pages_say",
    "docs/from-tinker.md sh 0": "test_tinkex_is_installed_as_the_pages_say",
    "docs/getting-started.md sh 1": "test_exported_settings_count",
    "docs/many-gpus.md sh 0": "test_exported_settings_count",
    "docs/local-server.md sh 0": "test_a_server_is_started_and_found",
    "docs/local-server.md sh 1": "test_the_hubs_client_finds_the_server",
    "docs/wire-formats.md sh 0": "test_a_server_is_started_and_found",
    "docs/testing.md toml 0": "test_the_faults_of_the_page_are_played",
    "docs/recipes.md sh 0": "test_finetuning.test_the_commands_of_the_methods_work",
    "docs/finetuning.md json 0": "test_finetuning.test_the_lines_that_the_guide_shows_can_be_read",
} | {
    f"docs/finetuning.md sh {number}": "test_finetuning.test_the_commands_of_the_guide_work"
    for number in range(1, 6)
}
# Each block that cannot be run here, and why.
NOT_RUN = {
    "README.md text 0": "what the first program prints; test_pages.py holds its last line",
    "docs/many-gpus.md text 0": "clones another project and needs GPUs; make interop-servers starts it on CPUs",
    "docs/many-gpus.md yaml 0": "settings of another server; make interop-servers writes such ones",
}
STAMPS = (ROOT / ".venv" / ".runtime", ROOT / ".venv" / ".dev")
IN_ITS_OWN_VENV = pytest.mark.skipif(
    Path(sys.prefix) != ROOT / ".venv" or not all(stamp.exists() for stamp in STAMPS),
    reason="make uses the .venv that it made itself, and this is another environment",
)


def blocks() -> dict[str, str]:
    """Return every block with a language, by page, language and number."""
    found: dict[str, str] = {}
    for page in PAGES:
        numbers: dict[str, int] = {}
        for language, text in BLOCK.findall(page.read_text(encoding="utf-8")):
            number = numbers[language] = numbers.get(language, -1) + 1
            found[f"{page.relative_to(ROOT).as_posix()} {language} {number}"] = text
    return found


BLOCKS = blocks()


def test_every_block_is_run_by_a_test() -> None:
    """Python by test_pages.py, the sessions of cli.md below, and the rest as the table says."""
    rest = {name for name in BLOCKS if " python " not in name and "cli.md console" not in name}
    assert rest == RUN.keys() | NOT_RUN.keys()
    known = (ROOT / "tests/docs/test_finetuning.py").read_text(encoding="utf-8")
    for name in set(RUN.values()):
        module, _, function = name.rpartition(".")
        assert f"def {function}" in known if module else function in globals()


def copy_project(folder: Path) -> Path:
    """Copy the project without what was built in it, so that nothing lands in this folder."""
    return Path(shutil.copytree(ROOT, folder / "tinkex", ignore=not_ours))


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_project(tmp_path_factory.mktemp("clone"))


@pytest.fixture
def made_clone(clone: Path) -> Iterator[Path]:
    """Give the copy the environment that make has filled already."""
    # Older than the stamps: else make would install the copy into the environment that we run in.
    for name in (
        "pyproject.toml",
        "requirements-dev.txt",
        "constraints.txt",
        "codegen/requirements.txt",
    ):
        os.utime(clone / name, (0, 0))
    (clone / ".venv").symlink_to(ROOT / ".venv")
    yield clone
    (clone / ".venv").unlink()


@IN_ITS_OWN_VENV
def test_make_does_what_the_pages_say(made_clone: Path, tmp_path: Path) -> None:
    """`make demo` trains, and says how well; `make test` is what runs this, so it only says here what it would do.

    In the short form it trains for a few steps, which bring no right order yet.
    """
    typed = BLOCKS["README.md sh 0"]
    for block in (typed, BLOCKS["CONTRIBUTING.md sh 0"]):
        commands = [line.partition("#")[0].strip() for line in block.splitlines()]
        assert commands == ["make demo", "make test"]
    typed = typed.replace("make test ", "make -n test ")
    if not ALL:
        typed = typed.replace("make demo ", "make demo DEMO='--steps 5' ")
    done = type_in(typed, made_clone, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "-m pytest" in done.stdout
    first, last = map(
        float, re.search(r"per token: ([\d.]+) at .+ ([\d.]+) at", done.stdout).groups()
    )  # type: ignore[union-attr]
    assert last <= first / 2
    right = [int(n) for n in re.findall(r"(\d+) of 16 held-out orders right", done.stdout)]
    assert len(right) == 2
    assert right[0] <= 2
    if ALL:
        assert right[1] >= 12
    assert list((made_clone / "demo-output").glob("*/adapter_model.safetensors"))


@IN_ITS_OWN_VENV
def test_the_examples_are_run_as_their_page_says(made_clone: Path, tmp_path: Path) -> None:
    """One of them, all of them (each has a test of its own, so here make only says it), and some."""
    typed = BLOCKS["examples/README.md sh 0"]
    assert "\nmake examples  " in typed
    typed = typed.replace("\nmake examples  ", "\nmake -n examples  ")
    wanted = {"sft": "sft_jsonl", "dpo": "dpo_preferences"}
    if not ALL:
        # Those two are long, and have tests of their own.
        typed = typed.replace('"sft dpo"', '"heartbeat run_text"')
        wanted = {"heartbeat": "heartbeat_probe", "run_text": "cli_run_text"}
    assert f'EXAMPLES="{" ".join(wanted)}"' in typed
    done = type_in(typed, made_clone, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "examples/run_all.py" in done.stdout
    for name in wanted.values():
        assert re.search(rf"^{name} +[\d.]+  ok$", done.stdout, re.MULTILINE)


@pytest.mark.timeout(600)
def test_tinkex_is_installed_as_the_pages_say(pytestconfig: pytest.Config, tmp_path: Path) -> None:
    """A new environment, the package with its extras, and the command is there.

    In the short form what it depends on is ours, not the index's: pip is told to install nothing else.
    """
    settings = {"PIP_CONSTRAINT": str(ROOT / "constraints.txt")}
    pages = ("getting-started", "finetuning", "from-tinker")
    typed = "".join(BLOCKS[f"docs/{page}.md sh 0"] for page in pages)
    if ALL:
        probe = f"{sys.executable} -m pip download --quiet --no-deps --dest {tmp_path} hatchling"
        if type_in(probe, tmp_path, tmp_path, **settings).returncode:
            pytest.skip("no package index is in reach")
    else:
        # pip reads "no" as "do so" of an option that begins with no.
        settings |= {"PIP_NO_DEPS": "1", "PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "no"}
        settings["PYTHONPATH"] = sysconfig.get_path("purelib")

    def install(folder: Path) -> None:
        done = type_in(typed, copy_project(folder), folder, timeout=400, **settings)
        assert done.returncode == 0, done.stdout + done.stderr
        assert re.search(r"^tinkex \d", done.stdout, re.MULTILINE)

    clone = kept(pytestconfig.cache, "typed", install) / "tinkex"
    # Elsewhere, or Python would find the clone's own folder first.
    shown = "import sys, tinkex, matplotlib; print(sys.prefix, tinkex.__file__)"
    again = f". {clone}/.venv/bin/activate && tinkex version && python -c '{shown}'"
    done = type_in(again, tmp_path, tmp_path, **settings)
    assert done.returncode == 0, done.stdout + done.stderr
    version, found = done.stdout.splitlines()
    assert re.match(r"tinkex \d", version)
    prefix, file = found.split()
    assert prefix == str(clone / ".venv")
    assert file.startswith(prefix)


@pytest.mark.parametrize("block", ["docs/getting-started.md sh 1", "docs/many-gpus.md sh 0"])
def test_exported_settings_count(block: str, tmp_path: Path) -> None:
    """What the block exports, the SDK finds."""
    exported = dict(re.findall(r"(TINK\w+)=(\S+)", BLOCKS[block]))
    assert exported
    done = type_in(BLOCKS[block] + "tinkex config show --json", tmp_path, tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["problems"] == []
    sources = {row["variable"]: row["source"] for row in told["settings"]}
    for name in exported:
        assert sources[name] == f"environment {name}"


@contextmanager
def served(command: str, home: Path) -> Iterator[str]:
    """Type a line that starts a server, here on a free port; press Ctrl-C in the end."""
    command = re.sub(r" --port \d+", "", command.partition("#")[0]).strip()
    with subprocess.Popen(
        ["bash", "-c", f"exec {command} --port 0"],
        cwd=home,
        env=environment(home),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            yield url_in(greeting_of(process))
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(60) in (0, 130)


@pytest.mark.parametrize("block", ["docs/local-server.md sh 0", "docs/wire-formats.md sh 0"])
def test_a_server_is_started_and_found(block: str, tmp_path: Path) -> None:
    """The second line leads other programs to the server of the first; 8420 is where it is."""
    serve, export = BLOCKS[block].splitlines()
    with served(serve, tmp_path) as url:
        assert "http://127.0.0.1:8420" in export
        found = export.replace("http://127.0.0.1:8420", url)
        done = type_in(f"{found}\ntinkex doctor --json", tmp_path, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["base_url"] == url


def test_the_faults_of_the_page_are_played(tmp_path: Path) -> None:
    """A sample's second poll is answered with 503, and the client gets over it."""
    (tmp_path / "faults.toml").write_text(BLOCKS["docs/testing.md toml 0"], encoding="utf-8")
    sample = "tinkex run --base-model tinkex/nano --prompt a --max-tokens 2 --debug"
    with served("tinkex serve --faults faults.toml --latency 5", tmp_path) as url:
        done = type_in(f"{sample}; {sample}", tmp_path, tmp_path, TINKER_BASE_URL=url)
    assert done.returncode == 0, done.stderr
    assert re.findall(r"retrieve_future (\w+ \d+) in", done.stderr) == [
        "ok 200",
        "error 503",
        "ok 200",
    ]


def test_the_sessions_of_the_command_line_can_be_typed_again() -> None:
    """Every line of docs/cli.md runs; what it begins with is on the page, and it shows something."""
    code = "import json, cli_sessions; print(json.dumps(cli_sessions.recorded()))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT / "tools")},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    sessions = json.loads(done.stdout.splitlines()[-1])
    page = [text for name, text in BLOCKS.items() if "cli.md console" in name]
    assert len(sessions) == len(page)
    again = [text.rstrip().splitlines() for text in sessions.values()]
    assert sorted(one[0] for one in again) == sorted(text.splitlines()[0] for text in page)
    assert all(len(one) > 1 for one in again)


def test_the_hubs_client_finds_the_server(tmp_path: Path) -> None:
    """With the exported settings, what asks the Hub for a tokenizer gets it from the server."""
    serve = BLOCKS["docs/local-server.md sh 0"].splitlines()[0]
    with served(serve, tmp_path) as url:
        typed = BLOCKS["docs/local-server.md sh 1"].replace("http://127.0.0.1:8420", url)
        assert typed.count(url) == 2
        load = "from huggingface_hub import hf_hub_download as get; print(get('tinkex/nano', 'tokenizer.json'))"
        done = type_in(f'{typed}python -c "{load}"', tmp_path, tmp_path)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.splitlines()[-1]).name == "tokenizer.json"
