"""Submit a batch of data: cut it into requests, number them, and fold their results into one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import attrs
from tinkex_generated.api.training import forward, forward_backward, forward_backward_binary
from tinkex_generated.models import ForwardBackwardRequest, ForwardRequest
from tinkex_generated.types import Request

from tinkex.checks import checked_data
from tinkex.compression import compressed, wants_compression
from tinkex.protobuf.fields import Writer
from tinkex.submission import SubmissionQueue
from tinkex.types import Datum, ForwardBackwardOutput
from tinkex.wire import binary, decode, encode
from tinkex.wire.chunking import chunk_data
from tinkex.wire.combine import combine
from tinkex.wire_form import Form, Operation, server_form
from tinkex.work import Work

__all__ = ["Operation", "submit_batch"]


def submit_batch(
    queue: SubmissionQueue,
    model_id: str,
    operation: Operation,
    data: Sequence[Datum],
    loss_fn: str,
    loss_fn_config: Mapping[str, float | str] | None = None,
) -> Work[ForwardBackwardOutput]:
    """Send a batch in as many requests as it takes, and return the work that is left.

    It goes in the form that the server takes, see `tinkex.wire_form`.

    Raises:
        ValidationError: The data or the loss cannot be right; nothing was sent.
        ApiError: The server refused.
        TransportError: No answer came; making the same call again is safe.
    """
    config = encode.check_loss(loss_fn, loss_fn_config)
    checked_data(data)
    session = queue.session
    chunks = chunk_data(data, session.limits.chunk_len, session.limits.chunk_bytes)
    batch = _Batch(model_id, operation, chunks, loss_fn, config)
    compress = wants_compression(session)

    def send(form: Form) -> Work[ForwardBackwardOutput]:
        return queue.submit(
            batch.as_json() if form == "json" else batch.as_protobuf(compress=compress),
            request_type="Forward" if operation == "forward" else "ForwardBackward",
            parse=decode.forward_backward_output,
            combine=combine,
        )

    # One turn, so that a second try has the number of the first.
    with queue.turn():
        number = queue.next_number
        return server_form(session.transport.config).send(
            send,
            session.transport.config.wire_format,
            operation,
            may_be_binary=binary.can_hold(data),
            is_untouched=lambda: queue.next_number == number,
        )


@attrs.frozen
class _Batch:
    """Hold one call's data, cut into chunks."""

    model_id: str
    operation: Operation
    chunks: Sequence[Sequence[Datum]]
    loss_fn: str
    config: dict[str, float | str] | None

    def as_json(self) -> list[Callable[[int], Request]]:
        """Return for each chunk a function from its number to its request."""
        first = 0
        builders: list[Callable[[int], Request]] = []
        for chunk in self.chunks:
            payload = encode.forward_backward_input(chunk, first, self.loss_fn, self.config)
            builders.append(partial(self._json_request, payload))
            first += len(chunk)
        return builders

    def as_protobuf(self, *, compress: bool) -> list[Callable[[int], Request]]:
        """Return for each chunk a function from its number to its request in the binary form."""
        first = 0
        builders: list[Callable[[int], Request]] = []
        for chunk in self.chunks:
            body = binary.forward_backward_body(
                chunk,
                first,
                self.loss_fn,
                self.config,
                forward_only=self.operation == "forward",
            )
            builders.append(partial(self._binary_request, body, compress))
            first += len(chunk)
        return builders

    def _json_request(self, payload: Any, seq: int) -> Request:
        if self.operation == "forward":
            return forward.build_request(
                body=ForwardRequest(forward_input=payload, model_id=self.model_id, seq_id=seq)
            )
        return forward_backward.build_request(
            body=ForwardBackwardRequest(
                forward_backward_input=payload, model_id=self.model_id, seq_id=seq
            )
        )

    def _binary_request(self, body: Writer, compress: bool, seq: int) -> Request:
        plain = forward_backward_binary.build_request(body=b"")
        return _BinaryRequest(
            # What the user called is what errors speak of.
            operation=self.operation,
            method=plain.method,
            path=plain.path,
            headers={**plain.headers, "content-encoding": "zstd"} if compress else plain.headers,
            content_type=plain.content_type,
            make=partial(binary.forward_backward_request, self.model_id, seq, body),
            compress=compress,
        )


@attrs.frozen(kw_only=True, eq=False)
class _BinaryRequest(Request):
    """Make the bytes when they are sent, so that a batch of many parts is not held twice."""

    make: Callable[[], bytes] = attrs.field(repr=False)
    compress: bool

    def encode(self) -> bytes:
        content = self.make()
        return compressed(content) if self.compress else content
