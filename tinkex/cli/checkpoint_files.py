"""`tinkex checkpoint download` and `inspect`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tinkex.cli.invocation import Invocation, pass_invocation
from tinkex.cli.options import Command
from tinkex.cli.text import size

if TYPE_CHECKING:
    from tinkex.checkpoints import Inspection

_TINKER = "tinker://"


@click.command("download", cls=Command)
@click.argument("path", metavar="PATH")
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    metavar="DIR",
    help="Make the checkpoint's folder in this one.  [default: the current folder]",
)
@click.option("--force", is_flag=True, help="Replace the folder of an earlier download.")
@pass_invocation
def download(invocation: Invocation, path: str, output: Path, force: bool) -> Any:
    """Download a checkpoint into a folder of its own.

    One that was interrupted goes on where it stopped when it is called again.
    """
    with (
        invocation.rest() as rest,
        invocation.progress("Downloading", unit="B") as step,
    ):
        got = rest.download_checkpoint(path, output, force, progress=step)
    result: dict[str, Any] = {
        "command": "checkpoint",
        "action": "download",
        "path": path,
        "destination": str(got.folder),
        "size_bytes": got.size_bytes,
        "files": [{"name": file.name, "size_bytes": file.stat().st_size} for file in got.files],
    }

    def lines() -> list[str]:
        files = [f"  {file['name']}  {size(file['size_bytes'])}" for file in result["files"]]
        return [f"Downloaded to {got.folder} ({size(got.size_bytes)})", *files]

    return invocation.show(result, lines)


@click.command("inspect", cls=Command)
@click.argument("target", metavar="FOLDER|PATH")
@pass_invocation
def inspect(invocation: Invocation, target: str) -> Any:
    """Show what is in a checkpoint: rank, layers, tensors and their shapes.

    A folder that was downloaded, or a tinker:// path, which is downloaded to look at it and not
    kept. Only headers are read, and nothing in the files is executed.
    """
    from tinkex.checkpoints import inspect as look

    if not target.startswith(_TINKER):
        return _show(invocation, look(target))
    import tempfile

    with tempfile.TemporaryDirectory(prefix="tinkex-") as folder:
        with (
            invocation.rest() as rest,
            invocation.progress("Downloading", unit="B") as step,
        ):
            got = rest.download_checkpoint(target, folder, progress=step)
        return _show(invocation, look(got.folder))


def _show(invocation: Invocation, found: "Inspection") -> Any:
    return invocation.show(found.to_dict(), lambda: found.table().splitlines())


COMMANDS = (download, inspect)
