"""The paths of checkpoints in requests, and the names that new ones may have."""

import re
from typing import Any

from attrs import evolve

from tinkex._base.checkpoint_path import CheckpointPath
from tinkex.local.problem import Problem

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,254}\Z")


def parse_path(text: str) -> CheckpointPath:
    """Parse a tinker:// path, or raise a 400 problem with the form of a path."""
    try:
        return evolve(CheckpointPath.parse(text), is_short=False)
    except ValueError as error:
        raise Problem(400, str(error)) from None


def path_of(run_id: str, kind: Any, name: str) -> CheckpointPath:
    """Return the path with these parts, or raise a 404 problem: no other one has a checkpoint."""
    try:
        return CheckpointPath(run_id, kind, name)
    except ValueError as error:
        raise Problem(404, str(error)) from None


def check_name(name: str) -> str:
    """Return the checkpoint's name if it may be one, else raise a 422 problem."""
    if _NAME.match(name) is None:
        raise Problem(
            422,
            [
                {
                    "loc": ["body", "path"],
                    "msg": f"{name[:80]!r} is not a checkpoint name: letters, digits, '_', '-' and '.'"
                    " are allowed, 255 characters at most, and no '.' in front",
                    "type": "value_error",
                }
            ],
        )
    return name
