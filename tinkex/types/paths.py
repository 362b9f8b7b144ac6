"""``tinker://`` paths of checkpoints."""

from __future__ import annotations

from typing import Literal

from attrs import frozen

from tinkex.errors import ValidationError

CheckpointKind = Literal["weights", "sampler_weights", "external_weights"]
CheckpointType = Literal["training", "sampler", "external"]

_TYPES: dict[str, CheckpointType] = {
    "weights": "training",
    "sampler_weights": "sampler",
    "external_weights": "external",
}
SCHEME = "tinker://"
# These would end or change the path of a URL.
_NOT_IN_NAMES = frozenset("/?#\\ ")


@frozen
class CheckpointPath:
    """The parts of a checkpoint's path.

    >>> path = CheckpointPath.parse("tinker://run-1:train:0/weights/step-10")
    >>> path.training_run_id, path.kind, path.name, path.checkpoint_type
    ('run-1:train:0', 'weights', 'step-10', 'training')

    Some servers leave out the kind of weights to sample from:

    >>> path = CheckpointPath.parse("tinker://model_1/s1")
    >>> path.kind, path.name, str(path), path.long
    ('sampler_weights', 's1', 'tinker://model_1/s1', 'tinker://model_1/sampler_weights/s1')

    Attributes:
        training_run_id: The run that saved it.
        kind: "weights" for training, "sampler_weights" for sampling.
        name: The name that the user gave it.
        is_short: Whether the path is written without its kind.
    """

    training_run_id: str
    kind: CheckpointKind
    name: str
    is_short: bool = False

    def __attrs_post_init__(self) -> None:
        if self.kind not in _TYPES:
            raise ValidationError(
                f"checkpoint path {str(self)!r}: the kind must be one of {', '.join(_TYPES)}, "
                f"not {self.kind!r}"
            )
        for part in (self.training_run_id, self.name):
            if not is_name(part):
                raise ValidationError(
                    f"checkpoint path {str(self)!r}: {part!r} is not a valid name"
                )

    @classmethod
    def parse(cls, path: str) -> CheckpointPath:
        """Parse a path of the form ``tinker://<run>/<kind>/<name>``, or ``tinker://<run>/<name>``.

        Raises:
            ValidationError: The path has another form.
        """
        check_scheme(path)
        parts = path.removeprefix(SCHEME).split("/")
        if len(parts) == 2 and parts[1] not in _TYPES:
            return cls(parts[0], "sampler_weights", parts[1], is_short=True)
        if len(parts) != 3:
            raise ValidationError(
                f"checkpoint path {path!r} must have the form tinker://<run>/<kind>/<name>"
            )
        run, kind, name = parts
        return cls(run, kind, name)  # type: ignore[arg-type]

    @property
    def checkpoint_type(self) -> CheckpointType:
        """Return "training", "sampler" or "external"."""
        return _TYPES[self.kind]

    @property
    def checkpoint_id(self) -> str:
        """Return the part after the run: ``<kind>/<name>``."""
        return f"{self.kind}/{self.name}"

    @property
    def long(self) -> str:
        """Return the path with its kind, which is the same for both ways to write it."""
        return f"{SCHEME}{self.training_run_id}/{self.kind}/{self.name}"

    def __str__(self) -> str:
        return f"{SCHEME}{self.training_run_id}/{self.name}" if self.is_short else self.long


def check_scheme(path: str) -> None:
    """Refuse a text that cannot be a path on the server.

    Paths to sample from are not checked further: some servers omit the middle segment.

    Raises:
        ValidationError: It does not begin with ``tinker://``, or the rest is invalid.
    """
    if not isinstance(path, str) or not path.startswith(SCHEME):
        raise ValidationError(f"checkpoint path {path!r} must start with {SCHEME}")
    if not all(map(is_name, path.removeprefix(SCHEME).split("/"))):
        raise ValidationError(
            f"checkpoint path {path!r} must be plain names with single slashes between them, as in "
            "tinker://<run>/<kind>/<name>"
        )


def is_name(part: str) -> bool:
    """Return whether a path can name a checkpoint of this name."""
    return (
        isinstance(part, str)
        and part not in {"", ".", ".."}
        and part.isprintable()
        and not _NOT_IN_NAMES & set(part)
    )
