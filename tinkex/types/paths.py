"""``tinker://`` paths of checkpoints."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from attrs import frozen

from tinkex._base import checkpoint_path
from tinkex._base.checkpoint_path import CheckpointKind
from tinkex.errors import ValidationError

CheckpointType = Literal["training", "sampler", "external"]

_TYPES: dict[CheckpointKind, CheckpointType] = {
    "weights": "training",
    "sampler_weights": "sampler",
    "external_weights": "external",
}


@frozen
class CheckpointPath(checkpoint_path.CheckpointPath):
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

    Raises:
        ValidationError: The kind or a name is invalid.
    """

    error: ClassVar[type[ValueError]] = ValidationError

    @classmethod
    def from_tinker_path(cls, tinker_path: str) -> Self:
        """Read a path, as `parse`; the official SDK's name."""
        return cls.parse(tinker_path)

    @property
    def tinker_path(self) -> str:
        """Return the whole path."""
        return str(self)

    @property
    def checkpoint_type(self) -> CheckpointType:
        """Return "training", "sampler" or "external"."""
        return _TYPES[self.kind]
