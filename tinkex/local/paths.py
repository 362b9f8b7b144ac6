"""tinker:// paths: `tinker://<training run>/<kind>/<name>`."""

import re
from typing import Literal

from attrs import frozen

from tinkex.local.problem import Problem

Kind = Literal["weights", "sampler_weights", "external_weights"]

SCHEME = "tinker://"
KINDS: tuple[Kind, ...] = ("weights", "sampler_weights", "external_weights")
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,254}\Z")


@frozen
class TinkerPath:
    """The place of one checkpoint."""

    run_id: str
    kind: Kind
    name: str

    @property
    def checkpoint_id(self) -> str:
        """The part of the path that names the checkpoint within its run."""
        return f"{self.kind}/{self.name}"

    def __str__(self) -> str:
        return f"{SCHEME}{self.run_id}/{self.kind}/{self.name}"


def parse_path(text: str) -> TinkerPath:
    """Parse a tinker:// path, or raise a 400 problem that says what a path looks like."""
    parts = text.removeprefix(SCHEME).split("/")
    if len(parts) == 2 and parts[1] not in KINDS:
        # Other servers leave the kind out for weights to sample from.
        parts.insert(1, "sampler_weights")
    if not text.startswith(SCHEME) or len(parts) != 3 or not all(parts):
        raise Problem(400, f"invalid tinker path {text!r}: expected tinker://<run>/<kind>/<name>")
    run_id, kind, name = parts
    if kind not in KINDS:
        raise Problem(
            400,
            f"invalid tinker path {text!r}: the kind is {kind!r}, expected one of {', '.join(KINDS)}",
        )
    return TinkerPath(run_id, kind, name)


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
