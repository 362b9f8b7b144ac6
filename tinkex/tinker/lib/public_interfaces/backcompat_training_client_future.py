"""The future of a `TrainingClient`."""

from __future__ import annotations

from tinkex.tinker.lib.public_interfaces.backcompat_client_future import (
    BackcompatClientFuture,
    forwarding,
)
from tinkex.tinker.lib.public_interfaces.training_client import TrainingClient


@forwarding(TrainingClient)
class BackcompatTrainingClientFuture(BackcompatClientFuture[TrainingClient], TrainingClient):
    """A future of a `TrainingClient`; using it as the client is deprecated."""
