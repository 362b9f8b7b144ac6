"""What is published: a wheel that works where it is installed, and an sdist that can be tested."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest
from support.kept import kept

from tinkex import __version__

ROOT = Path(__file__).parents[2]
PROGRAM = """
import sys
from pathlib import Path
import tinkex, tinkex_generated
for package in (tinkex, tinkex_generated):
    home = Path(package.__file__).resolve()
    assert home.is_relative_to(Path(sys.prefix).resolve()), home
    assert (home.parent / "py.typed").exists()
from tinkex.local import LocalServer
with LocalServer() as server, tinkex.ServiceClient(base_url=server.base_url) as service:
    training = service.create_lora_training_client("tinkex/tiny-chat", rank=4)
    tokens = training.get_tokenizer().encode("Hello there")
    datum = tinkex.losses.completion_datum(tokens[:1], tokens[1:])
    gradients, update = training.train_step([datum], "cross_entropy")
    update.result()
    print("loss", gradients.result().loss)
    import httpx
    for file in ("", "static/page.js", "static/page.css", "static/uplot/uPlot.iife.min.js", "static/uplot/LICENSE"):
        assert httpx.get(service.console_url + file).status_code == 200, file
"""


def run(command: list[str | Path], cwd: Path, **env: str) -> str:
    """Run a command that must succeed, away from this checkout, and return what it prints."""
    bare = {"PATH": "/usr/bin:/bin", "HOME": str(cwd), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        command, cwd=cwd, env=bare | env, capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


@pytest.fixture(scope="module")
def dist(pytestconfig: pytest.Config) -> Path:
    """Return a folder with the sdist, and the wheel made from what is in it."""

    def build(folder: Path) -> None:
        hatchling = [sys.executable, "-m", "hatchling", "build", "-d", folder]
        run([*hatchling, "-t", "sdist"], ROOT)
        with tarfile.open(next(folder.glob("*.tar.gz"))) as archive:
            archive.extractall(folder, filter="data")
        run([*hatchling, "-t", "wheel"], unpacked(folder))

    return kept(pytestconfig.cache, "dist", build)


def unpacked(dist: Path) -> Path:
    return dist / f"tinkex-{__version__}"


@pytest.fixture(scope="module")
def installed(dist: Path, pytestconfig: pytest.Config) -> Path:
    """Return the interpreter of an environment that has the wheel, and our dependencies to look at."""

    def install(home: Path) -> None:
        venv.create(home, symlinks=True)
        pip = [sys.executable, "-m", "pip", "--python", home / "bin" / "python", "install"]
        wheel = next(dist.glob("*.whl"))
        options = ["--quiet", "--no-deps", "--no-index", "--disable-pip-version-check"]
        run([*pip, *options, wheel], home)
        # A path in a .pth file is searched last, and its own .pth files, with our checkout, are not read.
        packages = next(home.glob("lib/python*/site-packages"))
        dependencies = sysconfig.get_path("purelib")
        (packages / "dependencies.pth").write_text(dependencies + "\n", encoding="utf-8")

    return kept(pytestconfig.cache, "installed", install) / "bin" / "python"


def metadata(dist: Path) -> Message:
    with zipfile.ZipFile(next(dist.glob("*.whl"))) as wheel:
        name = next(name for name in wheel.namelist() if name.endswith("METADATA"))
        return Parser().parsestr(wheel.read(name).decode())


def test_the_wheel_trains_where_it_is_installed(installed: Path, tmp_path: Path) -> None:
    """The installed package, its generated code and its model do a training step, and serve pages."""
    assert run([installed, "-W", "error", "-c", PROGRAM], tmp_path).startswith("loss ")


def test_the_wheel_brings_the_command(installed: Path, tmp_path: Path) -> None:
    """`tinkex version` runs from the wheel."""
    assert __version__ in run([installed.with_name("tinkex"), "version"], tmp_path)


def test_the_wheel_holds_the_packages_and_the_command_and_nothing_else(dist: Path) -> None:
    """No test, tool or build output travels with the wheel."""
    with zipfile.ZipFile(next(dist.glob("*.whl"))) as wheel:
        tops = {name.partition("/")[0] for name in wheel.namelist()}
    metadata = f"tinkex-{__version__}.dist-info"
    assert tops == {"tinkex", "tinkex_generated", metadata}


def test_the_wheel_says_what_it_needs(dist: Path) -> None:
    """Name, version, readme and the interpreter's least version are in the metadata."""
    told = metadata(dist)
    assert (told["Name"], told["Version"]) == ("tinkex", __version__)
    assert told["Requires-Python"] == ">=3.11"
    assert told["Description-Content-Type"] == "text/markdown"
    assert "local" in told.get_all("Provides-Extra", [])
    assert told["License-Expression"] == "Apache-2.0 AND MIT"
    assert set(told.get_all("License-File", [])) == {
        "LICENSE",
        "tinkex/local/page/static/uplot/LICENSE",
    }


def test_the_sdist_is_what_is_tracked(dist: Path) -> None:
    """The sdist has every tracked file that a test, an example or the site needs, and no output."""
    there = {
        str(path.relative_to(unpacked(dist)))
        for path in unpacked(dist).rglob("*") if path.is_file()
    }  # fmt: skip
    tops = {name.partition("/")[0] for name in there}
    assert not tops & {"build", "dist", ".venv", "tmp"}
    if (ROOT / ".git").exists():
        listed = subprocess.run(
            ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
        )
        wanted = {name for name in listed.stdout.splitlines() if (ROOT / name).exists()}
        assert not {name for name in wanted - there if not name.startswith(".")}


def test_the_sdist_can_be_tested(dist: Path) -> None:
    """In the unpacked sdist its own check of docs/api.md and its own tests run."""
    home = unpacked(dist)
    paths = f"{home}:{home / 'generated'}"
    run([sys.executable, "tools/api_page.py", "--check"], home, PYTHONPATH=paths)
    tests = ["tests/types/test_tensor.py", "tests/docs/test_pages.py::test_links_lead_somewhere"]
    said = run([sys.executable, "-m", "pytest", "-q", *tests], home, PYTHONPATH=paths)
    assert " passed" in said
