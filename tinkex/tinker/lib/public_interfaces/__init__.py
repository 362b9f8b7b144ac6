"""The official package's clients and futures."""

from __future__ import annotations

from tinkex.tinker.lib.public_interfaces.admin_client import AdminClient
from tinkex.tinker.lib.public_interfaces.api_future import APIFuture, AwaitableConcurrentFuture
from tinkex.tinker.lib.public_interfaces.backcompat_sampling_client_future import (
    BackcompatSamplingClientFuture,
)
from tinkex.tinker.lib.public_interfaces.backcompat_training_client_future import (
    BackcompatTrainingClientFuture,
)
from tinkex.tinker.lib.public_interfaces.custom_loss import LossHandle, PerDatumLossFn
from tinkex.tinker.lib.public_interfaces.rest_client import RestClient
from tinkex.tinker.lib.public_interfaces.sampling_client import SamplingClient
from tinkex.tinker.lib.public_interfaces.service_client import ServiceClient
from tinkex.tinker.lib.public_interfaces.training_client import TrainingClient

__all__ = [
    "APIFuture",
    "AdminClient",
    "AwaitableConcurrentFuture",
    "BackcompatSamplingClientFuture",
    "BackcompatTrainingClientFuture",
    "LossHandle",
    "PerDatumLossFn",
    "RestClient",
    "SamplingClient",
    "ServiceClient",
    "TrainingClient",
]
