"""Submit a batch of data: cut it into requests, number them, and fold their results into one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal

from tinkex_generated.api.training import forward, forward_backward
from tinkex_generated.models import ForwardBackwardRequest, ForwardRequest
from tinkex_generated.types import Request

from tinkex.checks import checked_data
from tinkex.submission import SubmissionQueue
from tinkex.types import Datum, ForwardBackwardOutput
from tinkex.wire import decode, encode
from tinkex.wire.chunking import chunk_data
from tinkex.wire.combine import combine
from tinkex.work import Work

Operation = Literal["forward", "forward_backward"]


def submit_batch(
    queue: SubmissionQueue,
    model_id: str,
    operation: Operation,
    data: Sequence[Datum],
    loss_fn: str,
    loss_fn_config: Mapping[str, float | str] | None = None,
) -> Work[ForwardBackwardOutput]:
    """Send a batch in as many requests as it takes, and return the work that is left.

    Raises:
        ValidationError: The data or the loss cannot be right; nothing was sent.
        ApiError: The server refused.
        TransportError: No answer came; making the same call again is safe.
    """
    config = encode.check_loss(loss_fn, loss_fn_config)
    checked_data(data)
    builders: list[Callable[[int], Request]] = []
    first = 0
    limits = queue.session.limits
    for chunk in chunk_data(data, limits.chunk_len, limits.chunk_bytes):
        payload = encode.forward_backward_input(chunk, first, loss_fn, config)
        builders.append(partial(_request, operation, model_id, payload))
        first += len(chunk)
    return queue.submit(
        builders,
        request_type="Forward" if operation == "forward" else "ForwardBackward",
        parse=decode.forward_backward_output,
        combine=combine,
    )


def _request(operation: Operation, model_id: str, payload: Any, seq: int) -> Request:
    if operation == "forward":
        return forward.build_request(
            body=ForwardRequest(forward_input=payload, model_id=model_id, seq_id=seq)
        )
    return forward_backward.build_request(
        body=ForwardBackwardRequest(forward_backward_input=payload, model_id=model_id, seq_id=seq)
    )
