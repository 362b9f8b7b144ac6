"""Upload of a traced loss, for servers that evaluate such losses themselves."""

from __future__ import annotations

from collections.abc import Sequence

from tinkex_generated.api.training import create_custom_loss as operation
from tinkex_generated.models import (
    CreateCustomLossRequest,
    CreateCustomLossResponse,
    CustomLossGraph,
    CustomLossInput,
)

from tinkex._core.model_creation import outcome
from tinkex._core.session import Session
from tinkex.errors import NotFoundError, ValidationError


def create_custom_loss(
    session: Session, name: str, inputs: Sequence[CustomLossInput], graph: CustomLossGraph
) -> str:
    """Upload a graph, wait for the server to register it, and return the loss's id."""
    if not inputs or inputs[0].name != "logprobs":
        raise ValidationError("must begin with the input named 'logprobs'", path="inputs")
    session.check()
    request = operation.build_request(
        body=CreateCustomLossRequest(
            session_id=session.id,
            custom_loss_seq_id=session.next_custom_loss_number(),
            name=name,
            inputs=list(inputs),
            graph=graph,
        )
    )
    try:
        response = session.transport.send(request)
    except NotFoundError as error:
        error.message += (
            ". create_custom_loss is optional: this server may not support it. "
            "TrainingClient.forward_backward_custom evaluates the loss on the client"
        )
        raise
    created = outcome(
        session,
        response,
        "create_custom_loss",
        "CreateCustomLoss",
        CreateCustomLossResponse.from_dict,
    )
    loss_id: str = created.result().loss_id
    return loss_id
