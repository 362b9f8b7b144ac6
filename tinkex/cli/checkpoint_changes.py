"""`tinkex checkpoint publish`, `unpublish`, `set-ttl`, `delete` and `prune`."""

import re
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from tinkex.cli.failures import Failed
from tinkex.cli.invocation import Invocation, pass_invocation
from tinkex.cli.options import Command
from tinkex.cli.questions import agrees
from tinkex.cli.runfolder import RunId, RunOrPath
from tinkex.cli.text import cell

if TYPE_CHECKING:
    from tinkex.rest import RestClient

_AGE = re.compile(r"(\d+)\s*([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def _age(ctx: click.Context, option: click.Parameter, value: str | None) -> timedelta | None:
    """Read a span of time such as 14d, 12h or 30m."""
    if value is None:
        return None
    found = _AGE.fullmatch(value.strip())
    if found is None:
        raise click.BadParameter(f"{value!r} is no age such as 14d, 12h or 30m", ctx, option)
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


@click.command("publish", cls=Command)
@click.argument("path", type=RunOrPath("any"), metavar="PATH|RUN")
@pass_invocation
def publish(invocation: Invocation, path: str) -> Any:
    """Publish a checkpoint for everyone."""
    with invocation.rest() as rest:
        rest.publish_checkpoint(path)
    return _done(invocation, "publish", path, f"Published {path}")


@click.command("unpublish", cls=Command)
@click.argument("path", type=RunOrPath("any"), metavar="PATH|RUN")
@pass_invocation
def unpublish(invocation: Invocation, path: str) -> Any:
    """Restrict a checkpoint to its owner again."""
    with invocation.rest() as rest:
        rest.unpublish_checkpoint(path)
    return _done(invocation, "unpublish", path, f"Unpublished {path}")


@click.command("set-ttl", cls=Command)
@click.argument("path", type=RunOrPath("any"), metavar="PATH|RUN")
@click.option(
    "--ttl",
    type=click.IntRange(min=1),
    metavar="SECONDS",
    help="Time to live: delete the checkpoint in that many seconds.",
)
@click.option("--remove", is_flag=True, help="Remove the expiry.")
@pass_invocation
def set_ttl(invocation: Invocation, path: str, ttl: int | None, remove: bool) -> Any:
    """Set the time to live of a checkpoint in seconds, or remove it."""
    if (ttl is None) != remove:
        raise click.UsageError("give one of --ttl SECONDS and --remove")
    with invocation.rest() as rest:
        rest.set_checkpoint_ttl(path, ttl)
    line = f"{path} never expires" if remove else f"{path} expires in {ttl} seconds"
    return _done(invocation, "set_ttl", path, line, ttl_seconds=ttl, remove=remove)


@click.command("delete", cls=Command)
@click.argument("paths", type=RunOrPath("any"), metavar="PATH|RUN...", nargs=-1, required=True)
@click.option("-y", "--yes", is_flag=True, help="Do not ask for confirmation.")
@pass_invocation
def delete(invocation: Invocation, paths: tuple[str, ...], yes: bool) -> Any:
    """Delete checkpoints for good.

    A run's folder means one checkpoint here as everywhere: the weights to sample from. `checkpoint
    prune --run-id RUN --keep-last 0` deletes all of a run's.

    All paths are checked before the first is deleted. One that the server refuses does not keep the
    others from being deleted.
    """
    from tinkex.types import CheckpointPath

    checked = list(dict.fromkeys(str(CheckpointPath.parse(path)) for path in paths))
    with invocation.rest() as rest:
        if not yes and not _agreed(checked):
            return _cancelled(invocation, "delete", checked)
        return _delete(invocation, rest, "delete", checked)


@click.command("prune", cls=Command)
@click.option(
    "--older-than",
    callback=_age,
    metavar="AGE",
    help="Delete only checkpoints older than this: 14d, 12h, 30m.",
)
@click.option(
    "--keep-last",
    type=click.IntRange(min=0),
    metavar="N",
    help="Keep the newest N checkpoints per run and kind.",
)
@click.option(
    "--run-id",
    type=RunId(),
    metavar="RUN_ID|RUN",
    help="Delete only checkpoints of this training run.",
)
@click.option("--include-public", is_flag=True, help="Also delete published checkpoints.")
@click.option("--dry-run", is_flag=True, help="Show what would be deleted, and delete nothing.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask for confirmation.")
@pass_invocation
def prune(
    invocation: Invocation,
    older_than: timedelta | None,
    keep_last: int | None,
    run_id: str | None,
    include_public: bool,
    dry_run: bool,
    yes: bool,
) -> Any:
    """Delete old checkpoints.

    With both --older-than and --keep-last, only checkpoints that meet both conditions are deleted.
    """
    if older_than is None and keep_last is None:
        raise click.UsageError(
            "give --older-than AGE or --keep-last N; without them everything would go"
        )
    from tinkex.checkpoints import prune as plan

    with invocation.rest() as rest:
        with invocation.progress("Fetching checkpoints"):
            going = plan(
                rest,
                older_than,
                keep_last,
                dry_run=True,
                training_run_id=run_id,
                include_public=include_public,
            ).deleted
        if dry_run:
            return _would_go(invocation, going)
        if going and not yes and not _agreed(going):
            return _cancelled(invocation, "prune", going)
        return _delete(invocation, rest, "prune", going)


def _done(invocation: Invocation, action: str, path: str, line: str, **more: Any) -> Any:
    result = {"command": "checkpoint", "action": action, "path": path, **more}
    return invocation.show(result, lambda: [line])


def _agreed(paths: Sequence[str]) -> bool:
    """Ask once about all paths, on stderr, so that stdout stays data."""
    click.echo("To be deleted for good:", err=True)
    for path in paths:
        click.echo(f"  {cell(path)}", err=True)
    return agrees(
        f"Delete {len(paths)} checkpoint{'s' if len(paths) > 1 else ''}?",
        "Nothing was deleted; give --yes to delete without a question",
    )


def _summary(action: str, paths: Sequence[str], **more: Any) -> dict[str, Any]:
    return {
        "command": "checkpoint",
        "action": action,
        "paths": list(paths),
        "deleted": 0,
        "failed": 0,
        "failures": [],
        "cancelled": False,
        **more,
    }


def _cancelled(invocation: Invocation, action: str, paths: Sequence[str]) -> Any:
    result = _summary(action, paths, cancelled=True)
    return invocation.show(result, lambda: ["Aborted: nothing was deleted (--yes does not ask)"])


def _would_go(invocation: Invocation, paths: Sequence[str]) -> Any:
    result = _summary("prune", paths, dry_run=True)

    def lines() -> list[str]:
        return [f"Would delete {path}" for path in paths] or ["Nothing to delete"]

    return invocation.show(result, lines)


def _delete(invocation: Invocation, rest: "RestClient", action: str, paths: Sequence[str]) -> Any:
    """Delete one after the other, and report each."""
    from tinkex.errors import TinkexError

    deleted: list[str] = []
    failures: list[dict[str, str]] = []
    with invocation.progress("Deleting") as step:
        for number, path in enumerate(paths):
            step(number, len(paths), path)
            try:
                rest.delete_checkpoint(path)
            except TinkexError as error:
                failures.append({"path": path, "error": str(error)})
            except KeyboardInterrupt:
                for gone in deleted:
                    invocation.note(f"deleted before the interruption: {gone}")
                invocation.note(f"may be deleted: {path}")
                raise
            else:
                deleted.append(path)
    result = _summary(action, paths, deleted=len(deleted), failed=len(failures), failures=failures)
    for failure in failures:
        invocation.note(f"not deleted: {failure['path']}: {failure['error']}")
    lines: Callable[[], list[str]] = lambda: (  # noqa: E731 - two lines of text
        [f"Deleted {path}" for path in deleted] or ([] if failures else ["Nothing to delete"])
    )
    invocation.show(result, lines)
    if failures:
        raise Failed(f"{len(failures)} of {len(paths)} checkpoints were not deleted", result)
    return result


COMMANDS = (publish, unpublish, set_ttl, delete, prune)
