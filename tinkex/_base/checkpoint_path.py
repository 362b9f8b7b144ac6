"""``tinker://`` paths of checkpoints, shared by client and local server."""

from __future__ import annotations

from typing import ClassVar, Literal, Self, get_args

from attrs import field, frozen

CheckpointKind = Literal["weights", "sampler_weights", "external_weights"]

SCHEME = "tinker://"
FORM = f"{SCHEME}<run>/<kind>/<name>"
_KINDS: tuple[CheckpointKind, ...] = get_args(CheckpointKind)
# These would end or change the path of a URL.
_NOT_IN_NAMES = frozenset("/?#\\ ")


@frozen
class CheckpointPath:
    """The parts of a checkpoint's path."""

    error: ClassVar[type[ValueError]] = ValueError

    training_run_id: str
    kind: CheckpointKind
    name: str
    is_short: bool = field(default=False, eq=False)

    def __attrs_post_init__(self) -> None:
        if self.kind not in _KINDS:
            raise self.error(
                f"checkpoint path {str(self)!r}: the kind must be one of {', '.join(_KINDS)}, "
                f"not {self.kind!r}"
            )
        for part in (self.training_run_id, self.name):
            if not is_name(part):
                raise self.error(f"checkpoint path {str(self)!r}: {part!r} is not a valid name")

    @classmethod
    def parse(cls, path: str) -> Self:
        """Parse a path of the form ``tinker://<run>/<kind>/<name>``.

        Some servers omit the kind of weights to sample from: ``tinker://<run>/<name>``. The second
        part is the name even if it reads like a kind, since weights can be saved as "weights".

        Raises:
            ValidationError: The path has another form.
        """
        parts = split_path(path, cls.error)
        if len(parts) == 2:
            return cls(parts[0], "sampler_weights", parts[1], is_short=True)
        if len(parts) != 3:
            raise cls.error(f"checkpoint path {path!r} must have the form {FORM}")
        run, kind, name = parts
        return cls(run, kind, name)  # type: ignore[arg-type]

    @property
    def checkpoint_id(self) -> str:
        """Return the part after the run: ``<kind>/<name>``."""
        return f"{self.kind}/{self.name}"

    @property
    def long(self) -> str:
        """Return the path with its kind, whichever way it was written."""
        return f"{SCHEME}{self.training_run_id}/{self.kind}/{self.name}"

    def __str__(self) -> str:
        return f"{SCHEME}{self.training_run_id}/{self.name}" if self.is_short else self.long


def split_path(path: str, error: type[ValueError] = ValueError) -> list[str]:
    """Return the segments of a path on a server.

    A path to sample from may have fewer than three: some servers omit the middle one.

    Raises:
        ValueError: The path does not begin with ``tinker://``, or a segment is not a name. `error`
            is raised in its place.
    """
    if not isinstance(path, str) or not path.startswith(SCHEME):
        raise error(f"checkpoint path {path!r} must start with {SCHEME}")
    parts = path.removeprefix(SCHEME).split("/")
    if not all(map(is_name, parts)):
        raise error(
            f"checkpoint path {path!r} must be plain names with single slashes between them, as in "
            f"{FORM}"
        )
    return parts


def is_name(part: str) -> bool:
    """Return whether a path can name a checkpoint of this name."""
    return (
        isinstance(part, str)
        and part not in {"", ".", ".."}
        and part.isprintable()
        and not _NOT_IN_NAMES & set(part)
    )
