"""Return whether a run is lost, and make the client that goes on with it."""

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

# Seconds that a server may take to load a model for the pass that tells whether it has it.
PROBE_PATIENCE = 120.0
# After these the model is gone, or nobody can learn what it has been through.
_LOST = (FutureLostError, GoneError, SessionLostError)
# After these it may be gone, or something else is; the server knows.
_UNCLEAR = (NotFoundError, ServerError, TransportError)


def is_loss(error: BaseException, training: TrainingClient) -> bool:
    """Return whether a model is lost, so that going back to a checkpoint is the way on.

    A mistake of the caller (400, 401, 422, …) is no loss, and comes back however often it is tried.
    A full server (429), an outage or a lost connection is none either, as long as the server has
    the model.

    Args:
        error: What was raised.
        training: The client that may be lost; the server is asked, if only it can tell.
    """
    if isinstance(error, RequestFailedError):
        # The job's number is used up, and what it was to do is not done.
        if error.category == "server":
            return True
        # A failure in another form than the API's does not say whose fault it is.
        return error.status_code is not None and not can_train(training)
    if isinstance(error, TLSError):
        return False
    return isinstance(error, _LOST) or (isinstance(error, _UNCLEAR) and is_gone(training))


def is_gone(training: TrainingClient) -> bool:
    """Ask the server whether it has lost a model; if it cannot be asked, it has not."""
    try:
        training._session.check()
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
