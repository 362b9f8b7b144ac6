"""Let the official client work against `tinkex serve`: `make interop`.

Each argument is what pip shall install, such as `tinker==0.24.1`; without one it is the newest, of
which every public method is called too. The client gets a virtual environment of its own, with
nothing of ours in it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
NEWEST = "tinker"
# The programs that tests/tinker runs with the import changed run here as they are.
PROGRAMS = [
    f"../tinker/programs/{name}.py" for name in ("documented", "deprecated", "asynchronous")
]
SCRIPTS = ("official_client.py", "every_method.py", *PROGRAMS)
VENVS = HERE.parents[1] / ".venv-interop"
SERVE = "from tinkex.cli import main; main()"


def python_with(requirement: str) -> Path:
    """Return the interpreter of an environment in which the requirement is installed."""
    name = re.sub(r"[^\w.]+", "-", requirement)
    return environment_in(VENVS / name, ("--upgrade", requirement))


def environment_in(venv: Path, *installs: Sequence[str]) -> Path:
    """Return the interpreter of a virtual environment, after each of the calls of ``pip install``."""
    python = venv / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for arguments in installs:
        subprocess.run([*pip, *arguments], check=True)
    return python


@contextmanager
def served(program: str = SERVE) -> Iterator[str]:
    """Run a server with an empty folder for a block; yield its URL. If the block fails, show its log."""
    command = [sys.executable, "-c", program, "serve", "--port", "0"]
    with (
        tempfile.TemporaryDirectory(prefix="tinkex-interop-") as folder,
        tempfile.TemporaryFile("w+") as log,
    ):
        process = subprocess.Popen(
            [*command, "--data-dir", folder], stdout=subprocess.PIPE, stderr=log, text=True
        )
        try:
            assert process.stdout is not None
            found = next(
                (m for line in process.stdout if (m := re.search(r"http://[\w.]+:\d+", line))), None
            )
            if found is None:
                raise RuntimeError("tinkex serve did not start")
            yield found[0]
        except BaseException:
            log.seek(0)
            print(*log.readlines()[-40:], sep="")
            raise
        finally:
            process.terminate()
            process.communicate()


def main(requirements: list[str]) -> int:
    failed = False
    for requirement in requirements or [NEWEST]:
        python = python_with(requirement)
        try:
            with served() as url:
                for script in SCRIPTS if requirement == NEWEST else SCRIPTS[:1]:
                    run = [python, HERE / script]
                    subprocess.run(run, env=environment(url), timeout=600, check=True)
        except (RuntimeError, subprocess.SubprocessError) as error:
            print(f"{requirement} did not do: {type(error).__name__}")
            failed = True
    return 1 if failed else 0


def environment(url: str) -> dict[str, str]:
    """Return this process's environment, but for what it says about another server."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("TINKER_")}
    # Tokenizers come from the server as well, and are cached in the environment's own folder.
    hub = {"HF_ENDPOINT": url, "HF_HOME": str(VENVS / "hub")}
    return {**kept, **hub, "TINKER_BASE_URL": url, "TINKER_API_KEY": "tml-local"}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
