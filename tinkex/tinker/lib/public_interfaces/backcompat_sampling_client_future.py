"""The future of a `SamplingClient`."""

from __future__ import annotations

from typing import Any

from tinkex.tinker.lib.public_interfaces.backcompat_client_future import (
    BackcompatClientFuture,
    forwarding,
)
from tinkex.tinker.lib.public_interfaces.sampling_client import SamplingClient


@forwarding(SamplingClient)
class BackcompatSamplingClientFuture(BackcompatClientFuture[SamplingClient], SamplingClient):
    """A future of a `SamplingClient`; using it as the client is deprecated."""

    def __reduce__(self) -> Any:
        return self.result().__reduce__()
