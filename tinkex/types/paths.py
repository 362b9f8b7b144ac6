"""The ``tinker://`` names of checkpoints."""

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
# They would end or change the path of a URL.
_NOT_IN_NAMES = frozenset("/?#\\ ")


@frozen
class CheckpointPath:
    """Hold the parts of a checkpoint's name.

    >>> path = CheckpointPath.parse("tinker://run-1:train:0/weights/step-10")
    >>> path.training_run_id, path.kind, path.name, path.checkpoint_type
    ('run-1:train:0', 'weights', 'step-10', 'training')

    Attributes:
        training_run_id: The run that made it.
        kind: "weights" can be trained on, "sampler_weights" can be sampled from.
        name: What the user called it.
    """

    training_run_id: str
    kind: CheckpointKind
    name: str

    def __attrs_post_init__(self) -> None:
        if self.kind not in _TYPES:
            raise ValidationError(
                f"checkpoint path {str(self)!r}: the kind must be one of {', '.join(_TYPES)}, "
                f"not {self.kind!r}"
            )
        for part in (self.training_run_id, self.name):
            if not is_name(part):
                raise ValidationError(f"checkpoint path {str(self)!r}: {part!r} is no name")

    @classmethod
    def parse(cls, path: str) -> CheckpointPath:
        """Read a path of the form ``tinker://<run>/<kind>/<name>``.

        Raises:
            ValidationError: It has another form.
        """
        check_scheme(path)
        parts = path.removeprefix(SCHEME).split("/")
        if len(parts) != 3:
            raise ValidationError(
                f"checkpoint path {path!r} must have the form tinker://<run>/<kind>/<name>"
            )
        run, kind, name = parts
        return cls(run, kind, name)  # type: ignore[arg-type]

    # The official SDK's name.
    from_tinker_path = parse

    @property
    def tinker_path(self) -> str:
        """Return the whole path."""
        return str(self)

    @property
    def checkpoint_type(self) -> CheckpointType:
        """Return "training", "sampler" or "external"."""
        return _TYPES[self.kind]

    @property
    def checkpoint_id(self) -> str:
        """Return the part after the run: ``<kind>/<name>``."""
        return f"{self.kind}/{self.name}"

    def __str__(self) -> str:
        return f"{SCHEME}{self.training_run_id}/{self.kind}/{self.name}"


def check_scheme(path: str) -> None:
    """Refuse what cannot be a path on the server.

    More is not asked of a path to sample from: some servers leave its middle segment out.

    Raises:
        ValidationError: It does not begin with ``tinker://``, or nothing readable follows.
    """
    if not isinstance(path, str) or not path.startswith(SCHEME):
        raise ValidationError(f"checkpoint path {path!r} must start with {SCHEME}")
    if not all(map(is_name, path.removeprefix(SCHEME).split("/"))):
        raise ValidationError(
            f"checkpoint path {path!r} must be plain names with single slashes between them, as in "
            "tinker://<run>/<kind>/<name>"
        )


def is_name(part: str) -> bool:
    """Tell whether a checkpoint can be called so and still be named by a path."""
    return (
        isinstance(part, str)
        and part not in {"", ".", ".."}
        and part.isprintable()
        and not _NOT_IN_NAMES & set(part)
    )
