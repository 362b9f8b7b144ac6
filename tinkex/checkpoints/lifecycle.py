"""Deletion of checkpoints: one, many, or those that are no longer needed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from attrs import frozen

from tinkex.errors import TinkexError, ValidationError
from tinkex.types import Checkpoint, CheckpointPath

if TYPE_CHECKING:
    from tinkex.rest import RestClient

Confirm = Callable[[Sequence[str]], bool]


@frozen
class Deletion:
    """The result of deleting checkpoints.

    Attributes:
        deleted: The deleted paths; in a dry run, those that would be deleted.
        failures: The paths that could not be deleted, each with its error.
        dry_run: Whether it was a dry run, in which nothing is deleted.
    """

    deleted: tuple[str, ...] = ()
    failures: tuple[tuple[str, TinkexError], ...] = ()
    dry_run: bool = False


def delete(
    rest: RestClient, paths: str | Iterable[str], confirm: Confirm | None = None
) -> Deletion:
    """Delete one or many checkpoints permanently.

    >>> delete(rest, ["tinker://run-1:train:0/weights/a", "tinker://run-1:train:0/weights/b"]).deleted
    ('tinker://run-1:train:0/weights/a', 'tinker://run-1:train:0/weights/b')

    All paths are checked before the first is deleted. A path that the server refuses does not stop the
    deletion of the others; it is among the failures.

    Args:
        rest: A client of the server.
        paths: ``tinker://`` paths; duplicates count once.
        confirm: Called once with all paths; nothing is deleted unless it returns True.

    Raises:
        ValidationError: A path is not that of a checkpoint; nothing was deleted.
    """
    named = [paths] if isinstance(paths, str) else paths
    checked = list(dict.fromkeys(str(CheckpointPath.parse(path)) for path in named))
    if not checked or (confirm is not None and not confirm(checked)):
        return Deletion()
    deleted, failures = [], []
    for path in checked:
        try:
            rest.delete_checkpoint(path)
        except TinkexError as error:
            failures.append((path, error))
        else:
            deleted.append(path)
    return Deletion(tuple(deleted), tuple(failures))


def prune(
    rest: RestClient,
    older_than: timedelta | None = None,
    keep_last: int | None = None,
    dry_run: bool = False,
    *,
    training_run_id: str | None = None,
    include_public: bool = False,
    confirm: Confirm | None = None,
    now: datetime | None = None,
) -> Deletion:
    """Delete old checkpoints, except the newest of each run.

    >>> prune(rest, older_than=timedelta(days=30), keep_last=2, dry_run=True).deleted

    With both conditions, a checkpoint is deleted only if it is older *and* not among the newest. The
    newest are counted per run and kind, so training and sampler checkpoints are independent. Published
    checkpoints are kept: others may use them.

    Args:
        rest: A client of the server.
        older_than: Minimum age of deleted checkpoints.
        keep_last: Number of newest checkpoints to keep per run and kind.
        dry_run: Whether only to report what would be deleted.
        training_run_id: The run to prune; None for all of yours.
        include_public: Whether to delete published checkpoints as well.
        confirm: Called once with all paths; nothing is deleted unless it returns True.
        now: The reference time for ages; the current time by default.

    Raises:
        ValidationError: No condition is given, or one is out of range.
        ApiError: The server does not list the checkpoints.
    """
    _check_conditions(older_than, keep_last, now)
    listed = (
        rest.iter_user_checkpoints()
        if training_run_id is None
        else rest.iter_checkpoints(training_run_id)
    )
    # Listed completely before the first deletion: pages shift when entries are removed.
    newest_first = sorted(listed, key=_saved, reverse=True)
    limit = None if older_than is None else (now or datetime.now(UTC)) - older_than
    seen: dict[tuple[str, str], int] = {}
    going = []
    for checkpoint in newest_first:
        path = CheckpointPath.parse(checkpoint.tinker_path)
        group = (path.training_run_id, path.kind)
        seen[group] = seen.get(group, 0) + 1
        kept = keep_last is not None and seen[group] <= keep_last
        young = limit is not None and _saved(checkpoint) >= limit
        if not kept and not young and (include_public or not checkpoint.public):
            going.append(checkpoint.tinker_path)
    if dry_run:
        return Deletion(tuple(going), dry_run=True)
    return delete(rest, going, confirm)


def _check_conditions(
    older_than: timedelta | None, keep_last: int | None, now: datetime | None
) -> None:
    if older_than is None and keep_last is None:
        raise ValidationError(
            "give older_than or keep_last; without them everything would be deleted"
        )
    if older_than is not None and older_than < timedelta(0):
        raise ValidationError("must not be negative", path="older_than")
    if keep_last is not None and (type(keep_last) is not int or keep_last < 0):
        raise ValidationError(f"must be a number of 0 or more, not {keep_last!r}", path="keep_last")
    if now is not None and now.tzinfo is None:
        raise ValidationError("must have a time zone, such as datetime.UTC", path="now")


def _saved(checkpoint: Checkpoint) -> datetime:
    time = checkpoint.time
    return time if time.tzinfo else time.replace(tzinfo=UTC)
