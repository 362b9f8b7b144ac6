"""Detection of lost runs, and creation of the client that continues them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tinkex.errors import (
    FutureLostError,
    GoneError,
    NotFoundError,
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

# After these the model is gone, or its state is unknown.
_LOST = (FutureLostError, GoneError, SessionLostError)
# After these it may be gone; the server knows.
_UNCLEAR = (NotFoundError, ServerError, TransportError)


def is_loss(error: BaseException, training: TrainingClient) -> bool:
    """Return whether a model is lost, so that a checkpoint must be restored.

    A mistake of the caller (400, 401, 422, …) is not a loss, since it would recur. A full server (429), an
    outage or a lost connection is not one either, as long as the server has the model.

    Args:
        error: What was raised.
        training: The client whose model may be lost; the server is asked if the error is ambiguous.
    """
    if isinstance(error, RequestFailedError):
        # The job's number is used up, and its work was not done.
        return error.category == "server"
    if isinstance(error, TLSError):
        return False
    return isinstance(error, _LOST) or (isinstance(error, _UNCLEAR) and is_gone(training))


def is_gone(training: TrainingClient) -> bool:
    """Return whether the server has lost a model; False if it cannot be asked."""
    try:
        training.get_info()
    except (NotFoundError, GoneError, SessionLostError):
        return True
    except TinkexError:
        return False
    return False


def restore(
    service: ServiceClient,
    path: str,
    *,
    optimizer: bool = True,
    user_metadata: Mapping[str, str] | None = None,
) -> TrainingClient:
    """Return a client for a checkpoint, in a new session if the old one has ended.

    If loading fails, the new model is unloaded again.

    Raises:
        NotFoundError: The server does not have the checkpoint.
        TinkexError: The server refuses, or is unreachable.
    """
    service.renew_session()
    if optimizer:
        return service.create_training_client_from_state_with_optimizer(path, user_metadata)
    return service.create_training_client_from_state(path, user_metadata)


def described(error: BaseException) -> str:
    """Return the class and message of an error."""
    return f"{type(error).__name__}: {error}"
