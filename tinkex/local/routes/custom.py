"""Losses that a client brings along."""

from tinkex_generated.models import CreateCustomLossResponse, UntypedAPIFuture

from tinkex.local.app_state import AppState
from tinkex.local.call import Call
from tinkex.local.custom_loss import checked_loss


def create_custom_loss(state: AppState, call: Call) -> UntypedAPIFuture:
    """Take in a traced loss, for the models of its session."""
    body = call.body
    state.active_session(body.session_id)

    def make() -> UntypedAPIFuture:
        loss = checked_loss(body.inputs, body.graph.nodes)
        loss_id = f"{body.session_id}:loss:{body.custom_loss_seq_id}"
        state.custom_losses.add(loss_id, body.session_id, loss)
        promise = state.promises.open(body.session_id, call.operation_id, body.session_id)
        state.succeed(promise, CreateCustomLossResponse(loss_id=loss_id))
        return UntypedAPIFuture(request_id=promise.request_id)

    digest = state.digest(call.operation_id, body)
    return state.keyed.once(
        "custom_loss_seq_id", body.session_id, body.custom_loss_seq_id, digest, make
    )


HANDLERS = {"create_custom_loss": create_custom_loss}
