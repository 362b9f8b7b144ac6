"""`tinkex checkpoint download`, `inspect`, `merge` and `push-hf`."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from tinkex.cli.invocation import Invocation, pass_invocation
from tinkex.cli.options import Command
from tinkex.cli.runfolder import RunOrPath
from tinkex.cli.text import size, yes_no

_TINKER = "tinker://"


@click.command("download", cls=Command)
@click.argument("path", type=RunOrPath(), metavar="PATH|RUN")
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    metavar="DIR",
    help="Parent of the checkpoint's folder.  [default: the current folder]",
)
@click.option("--force", is_flag=True, help="Replace the folder of an earlier download.")
@pass_invocation
def download(invocation: Invocation, path: str, output: Path, force: bool) -> Any:
    """Download a checkpoint into a new folder.

    An interrupted download resumes when the command is called again.
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
@click.argument("target", type=RunOrPath(others=True), metavar="FOLDER|PATH|RUN")
@pass_invocation
def inspect(invocation: Invocation, target: str) -> Any:
    """Show the contents of a checkpoint: rank, layers, tensors and their shapes.

    A folder that was downloaded, or a tinker:// path, which is downloaded to look at it and not
    kept. Only headers are read, and nothing in the files is executed.
    """
    from tinkex.checkpoints import inspect as look

    with _here(invocation, target) as folder:
        found = look(folder)
    return invocation.show(found.to_dict(), lambda: found.table().splitlines())


@click.command("merge", cls=Command)
@click.argument("adapter", type=RunOrPath(others=True), metavar="FOLDER|PATH|RUN")
@click.argument(
    "base", type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="BASE"
)
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Folder to make.",
)
@pass_invocation
def merge(invocation: Invocation, adapter: str, base: Path, output: Path) -> Any:
    """Merge an adapter into its base model.

    The adapter is a folder that was downloaded, or a checkpoint, which is downloaded for this and not
    kept. BASE is the folder of the model, in the layout of the Hugging Face hub. One tensor is in
    memory at a time; neither torch nor a GPU is needed. In a model with tied embeddings the
    unembedding becomes a matrix of its own.
    """
    from tinkex.checkpoints import merge as merged

    with _here(invocation, adapter) as folder, invocation.progress("Merging"):
        made = merged(folder, base, output)
    result = {"command": "checkpoint", "action": "merge", "destination": str(made)}
    return invocation.show(result, lambda: [f"The merged model is in {made}"])


@click.command("push-hf", cls=Command)
@click.argument("path", type=RunOrPath(), metavar="PATH|RUN")
@click.option(
    "--repo",
    metavar="REPO",
    help="Repository: <owner>/<name>, or a name in your account.  [default: tinker-<base model>-<run>]",
)
@click.option("--public", is_flag=True, help="Make the repository public.  [default: private]")
@click.option("--revision", metavar="BRANCH", help="Branch to commit to.  [default: main]")
@click.option("--commit-message", metavar="TEXT", help="Commit message.")
@click.option("--create-pr", is_flag=True, help="Open a pull request instead of committing.")
@click.option(
    "--allow-pattern",
    multiple=True,
    metavar="GLOB",
    help="Glob of files to push. May be repeated.",
)
@click.option(
    "--ignore-pattern",
    multiple=True,
    metavar="GLOB",
    help="Glob of files to leave out. May be repeated.",
)
@click.option(
    "--hf-token",
    metavar="TOKEN",
    help="Hugging Face token. Prefer the variable or `hf auth login`.  [env: HF_TOKEN]",
)
@click.option("--no-model-card", is_flag=True, help="Do not write a README.")
@click.option("--force", is_flag=True, help="Replace the files of another checkpoint.")
@pass_invocation
def push_hf(invocation: Invocation, /, path: str, **options: Any) -> Any:
    """Push a checkpoint's adapter to the Hugging Face Hub.

    It is downloaded, checked, and committed at once. Needs: pip install 'tinkex[hub]'
    """
    from tinkex._base.secret import Secret
    from tinkex.checkpoints import push_to_hub

    token = options.pop("hf_token")
    with (
        invocation.rest() as rest,
        invocation.progress("Downloading", unit="B") as step,
    ):
        done = push_to_hub(
            rest,
            path,
            options["repo"],
            token=Secret(token) if token else None,
            private=not options["public"],
            revision=options["revision"],
            commit_message=options["commit_message"],
            create_pr=options["create_pr"],
            allow_patterns=options["allow_pattern"] or None,
            ignore_patterns=options["ignore_pattern"] or None,
            add_model_card=not options["no_model_card"],
            force=options["force"],
            progress=step,
        )
    result = {
        "command": "checkpoint",
        "action": "push_hf",
        "checkpoint_path": path,
        "repo_id": done.repo_id,
        "revision": done.revision,
        "public": not done.private,
        "url": done.url,
        "files": list(done.files),
    }

    def lines() -> list[str]:
        return [
            f"Uploaded to {done.repo_id}",
            f"Revision: {done.revision}",
            f"Public: {yes_no(not done.private)}",
            done.url,
        ]

    return invocation.show(result, lines)


@contextlib.contextmanager
def _here(invocation: Invocation, target: str) -> Iterator[Path]:
    """Download a checkpoint for a block; what is no path is a folder on this machine."""
    if not target.startswith(_TINKER):
        yield Path(target)
        return
    import tempfile

    with tempfile.TemporaryDirectory(prefix="tinkex-") as parent:
        with (
            invocation.rest() as rest,
            invocation.progress("Downloading", unit="B") as step,
        ):
            got = rest.download_checkpoint(target, parent, progress=step)
        yield got.folder


COMMANDS = (download, inspect, merge, push_hf)
