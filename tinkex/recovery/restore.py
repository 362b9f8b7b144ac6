"""Tell whether a run is lost, and make the client that goes on with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tinkex.errors import (
    FutureLostError,
    GoneError,
    NotFoundError,
    RateLimitError,
    RequestFailedError,
    ServerError,
    SessionLostError,
    TinkexError,
    TLSError,
    TransportError,
)

if TYPE_CHECKING:
    from tinkex.service import ServiceClient
    from tinkex.training import TrainingClient

# After these the model is gone, or nobody knows what it has been through.
_LOST = (
    FutureLostError,
    GoneError,
    RateLimitError,
    ServerError,
    SessionLostError,
    TransportError,
)


def is_loss(error: BaseException, training: TrainingClient | None = None) -> bool:
    """Tell whether going back to a checkpoint may mend an error.

    A mistake of the caller (400, 401, 422, …) is none of these, and comes back however often it is
    tried.

    Args:
        error: What was raised.
        training: The client that may be lost; asked, if only that can tell.
    """
    if isinstance(error, TLSError):
        return False
    if isinstance(error, RequestFailedError):
        return error.category == "server"
    if isinstance(error, NotFoundError):
        # It may as well be a run or a checkpoint that the caller named wrongly.
        return training is not None and is_gone(training)
    return isinstance(error, _LOST)


def is_gone(training: TrainingClient) -> bool:
    """Ask the server whether it still has a model; if it cannot be asked, it counts as gone."""
    try:
        training.get_info()
    except TinkexError:
        return True
    return False


def restore(
    service: ServiceClient,
    path: str,
    *,
    optimizer: bool = True,
    user_metadata: Mapping[str, str] | None = None,
) -> TrainingClient:
    """Return a client that goes on from a checkpoint, in a new session if the old one is over.

    If loading fails, the model that was made for it is unloaded again.

    Raises:
        NotFoundError: The server does not have the checkpoint.
        TinkexError: The server refuses, or cannot be reached.
    """
    service.renew_session()
    if optimizer:
        return service.create_training_client_from_state_with_optimizer(path, user_metadata)
    return service.create_training_client_from_state(path, user_metadata)


def described(error: BaseException) -> str:
    """Return class and message of an error."""
    return f"{type(error).__name__}: {error}"
