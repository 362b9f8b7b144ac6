"""Detection of lost runs, and creation of the client that continues them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tinkex._core.failures import is_missing_route
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
from tinkex.types import Datum, ModelInput

if TYPE_CHECKING:
    from tinkex.service import ServiceClient
    from tinkex.training import TrainingClient

# Seconds for the pass that shows whether the server has a model, loading included.
PROBE_PATIENCE = 120.0
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
        if error.category == "server":
            return True
        # A failure that a poll's status reported does not say whose fault it is.
        return error.status_code is not None and not can_train(training)
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


def can_train(training: TrainingClient) -> bool:
    """Ask the server for a pass of a model over one token; False if the pass fails.

    Some servers know the id of a model that they have lost, and accept requests for it. The pass
    changes nothing: it is forward only, or of weight 0.
    """
    datum = Datum(ModelInput.from_ints([0, 0]), {"target_tokens": [0, 0], "weights": [0.0, 0.0]})
    try:
        try:
            pass_ = training.forward([datum], "cross_entropy")
        except NotFoundError as error:
            if not is_missing_route(error.status_code, error.body):
                return False
            pass_ = training.forward_backward([datum], "cross_entropy")
        pass_.result(PROBE_PATIENCE)
    except (RequestFailedError, NotFoundError, GoneError, SessionLostError):
        return False
    except TinkexError:
        # It cannot be asked, so nothing is known.
        return True
    return True


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
