"""`tinkex version`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from tinkex._base.version import __version__
from tinkex.cli.invocation import Invocation, pass_invocation
from tinkex.cli.options import OfflineCommand

# What else decides how tinkex behaves, for reports.
_PACKAGES = (
    "attrs",
    "httpx",
    "numpy",
    "orjson",
    "tokenizers",
    "click",
    "starlette",
    "uvicorn",
)


@click.command("version", cls=OfflineCommand)
@click.option(
    "--deps",
    is_flag=True,
    help="Also show the versions of Python and of the packages that tinkex uses.",
)
@pass_invocation
def command(invocation: Invocation, deps: bool) -> Any:
    """Show the version of tinkex."""
    return show_version(invocation, deps)


def show_version(invocation: Invocation, deps: bool = False) -> Any:
    """Write the version, optionally with those of the dependencies."""
    result = versions(deps)
    return invocation.show(result, lambda: _lines(result))


def versions(deps: bool) -> dict[str, Any]:
    """Return the version, optionally with those of the dependencies."""
    result: dict[str, Any] = {"version": __version__, "commit": _commit()}
    if deps:
        import platform

        result["python"] = f"{platform.python_implementation()} {platform.python_version()}"
        result["platform"] = platform.platform()
        result["packages"] = _packages()
    return result


def _lines(result: dict[str, Any]) -> Iterator[str]:
    commit = f" ({result['commit']})" if result["commit"] else ""
    yield f"tinkex {result['version']}{commit}"
    if "python" in result:
        yield result["python"]
        yield result["platform"]
        for name, version in result["packages"].items():
            yield f"{name} {version or 'not installed'}"


def _packages() -> dict[str, str | None]:
    from importlib import metadata

    found: dict[str, str | None] = {}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found


def _commit() -> str | None:
    """Return the commit of a checkout; None where tinkex is installed as a package."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    import subprocess

    try:
        done = subprocess.run(  # noqa: S603 - fixed words
            ["git", "-C", str(root), "rev-parse", "--short", "HEAD"],  # noqa: S607 - the user's git
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None
