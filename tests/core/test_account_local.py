"""The optional REST calls against the local server, which offers all of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx
from support.nano import nano_service
from tinkex_generated.models import CustomLossGraph, CustomLossInput, CustomLossNode

from tinkex import AdamParams, Datum, ModelInput, ServiceClient

__all__ = ["nano_service"]


def test_account_calls_are_answered_by_the_local_server(nano_service: ServiceClient) -> None:
    """Key, usage, storage, audit log and trace of a run that was just made."""
    before = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    training = nano_service.create_lora_training_client("tinkex/nano", rank=4, seed=0)
    inputs = {"target_tokens": [2, 3, 4], "weights": [1.0, 1.0, 1.0]}
    training.train_step(
        [Datum(ModelInput.from_ints([1, 2, 3]), inputs)], "cross_entropy", AdamParams()
    )
    path = training.save_state("audited").result().path
    session_id = training.model_id.partition(":")[0]
    rest = nano_service.create_rest_client()

    assert rest.whoami().name == "none"
    usage = rest.get_billing_usage(before, before + timedelta(hours=2))
    mine = [one.event_info.to_dict() for one in usage.data if one.session_id == session_id]
    assert {"type": "training", "token_count": 3} in mine
    assert rest.get_checkpoint_storage_usage().data[0].size_bytes > 0
    audit = [*rest.get_audit_log("checkpoints", before.date()).entries]
    audit += rest.get_audit_log("checkpoints").entries
    assert any(one.event == "checkpoint_create" and one.tinker_path == path for one in audit)
    url = rest.export_session_trace(session_id).url
    assert url is not None
    names = [one["name"] for one in httpx.get(url).json()["traceEvents"]]
    assert {"forward_backward", "optim_step", "save_weights"} <= set(names)


def test_an_uploaded_loss_trains_and_the_weights_are_exported(nano_service: ServiceClient) -> None:
    """A traced loss is run by the server step by step; the export's files are there to download."""
    nodes = [
        CustomLossNode(op="placeholder", name="logprobs", target="logprobs"),
        CustomLossNode(op="call_method", name="total", target="sum", args=[{"ref": "logprobs"}]),
        CustomLossNode(
            op="call_function", name="loss", target="operator.neg", args=[{"ref": "total"}]
        ),
        CustomLossNode(op="output", name="output", target="output", args=[{"ref": "loss"}]),
    ]
    training = nano_service.create_lora_training_client("tinkex/nano", rank=4, seed=0)
    loss_id = nano_service.create_custom_loss(
        "nll", [CustomLossInput(name="logprobs", rank=1)], CustomLossGraph(nodes=nodes)
    )
    data = [Datum(ModelInput.from_ints([1, 2, 3]), {"target_tokens": [2, 3, 4]})]
    losses = []
    for _ in range(3):
        output, step = training.train_step(
            data, "custom", AdamParams(learning_rate=1e-2), {"loss_id": loss_id}
        )
        losses.append(output.result().loss)
        step.result()
    assert losses[0] > losses[1] > losses[2]

    path = training.save_weights_external("release").result().path
    assert path is not None
    urls = nano_service.create_rest_client().get_external_weights_urls(path).urls
    assert httpx.get(urls["adapter_config.json"]).json()["r"] == 4
