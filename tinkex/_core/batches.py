"""Submission of a batch: cut into requests, numbered, and combined into one result."""

from __future__ import annotations

import functools
import importlib.util
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import attrs
from tinkex_generated.api.training import forward, forward_backward, forward_backward_binary
from tinkex_generated.models import ForwardBackwardRequest, ForwardRequest
from tinkex_generated.types import Request

from tinkex._base.protobuf.fields import Writer
from tinkex._core.checks import checked_data
from tinkex._core.limits import Limits
from tinkex._core.polling import Work
from tinkex._core.session import Session
from tinkex._core.submission import SubmissionQueue
from tinkex._core.token_counts import emit_trained_tokens
from tinkex._core.wire import binary, decode, encode
from tinkex._core.wire.chunking import binary_bytes, chunk_data, estimate_bytes
from tinkex._core.wire.combine import (
    Shape,
    combine,
    fitted,
    target_shapes,
    total_weight,
    with_loss,
)
from tinkex._core.wire_negotiation import Operation, WireFormat, negotiation_with
from tinkex.types import Datum, ForwardBackwardOutput

__all__ = ["Operation", "submit_batch"]

log = logging.getLogger("tinkex.training")

# Higher levels cost several times as much and hardly shrink numbers further.
_ZSTD_LEVEL = 1


def submit_batch(
    queue: SubmissionQueue,
    model_id: str,
    operation: Operation,
    data: Sequence[Datum],
    loss_fn: str,
    loss_fn_config: Mapping[str, float | str] | None = None,
) -> Work[ForwardBackwardOutput]:
    """Submit a batch as one or more requests, and return the remaining work.

    The wire format is the one that the server accepts, see `tinkex._core.wire_negotiation`.

    Raises:
        ValidationError: The data or the loss is invalid; nothing was sent.
        ApiError: The server refused a request.
        TransportError: No response came; making the same call again is safe.
    """
    config = encode.check_loss(loss_fn, loss_fn_config)
    data = checked_data(data)
    session = queue.session
    batch = _Batch(model_id, operation, data, loss_fn, config, session.limits)
    compress = _wants_compression(session)

    def send(wire_format: WireFormat, tentative: bool) -> Work[ForwardBackwardOutput]:
        return queue.submit(
            batch.as_json() if wire_format == "json" else batch.as_protobuf(compress=compress),
            request_type="Forward" if operation == "forward" else "ForwardBackward",
            parse=decode.forward_backward_output,
            combine=partial(_combined, data, loss_fn, target_shapes(data)),
            tentative=tentative,
        )

    # One turn, so that a second attempt in the other format keeps the sequence number.
    with queue.turn():
        number = queue.next_number
        work = negotiation_with(session.transport.config).send(
            send,
            session.transport.config.wire_format,
            operation,
            may_be_binary=binary.can_hold(data),
            is_untouched=lambda: queue.next_number == number,
        )
    emit_trained_tokens(session.id, operation, data)
    return work


def _combined(
    data: Sequence[Datum],
    loss_fn: str,
    shapes: Sequence[Shape | None],
    results: list[ForwardBackwardOutput],
) -> ForwardBackwardOutput:
    output = with_loss(fitted(combine(results), shapes), data, loss_fn)
    return attrs.evolve(output, weight=total_weight(data))


@attrs.frozen
class _Batch:
    """One call's data, as requests of bounded size in either wire format."""

    model_id: str
    operation: Operation
    data: Sequence[Datum]
    loss_fn: str
    config: dict[str, float | str] | None
    limits: Limits

    def as_json(self) -> list[Callable[[int], Request]]:
        """Return a request builder for each chunk, which takes the sequence number."""
        builders: list[Callable[[int], Request]] = []
        for first, chunk in self._chunks(estimate_bytes):
            payload = encode.forward_backward_input(chunk, first, self.loss_fn, self.config)
            builders.append(partial(self._json_request, payload))
        return builders

    def as_protobuf(self, *, compress: bool) -> list[Callable[[int], Request]]:
        """Return the same in the binary format."""
        builders: list[Callable[[int], Request]] = []
        for first, chunk in self._chunks(binary_bytes):
            body = binary.forward_backward_body(
                chunk,
                first,
                self.loss_fn,
                self.config,
                forward_only=self.operation == "forward",
            )
            builders.append(partial(self._binary_request, body, compress))
        return builders

    def _chunks(self, size_of: Callable[[Datum], int]) -> Iterator[tuple[int, list[Datum]]]:
        """Yield each chunk with the index of its first datum in the batch."""
        first = 0
        for chunk in chunk_data(self.data, self.limits.chunk_len, self.limits.chunk_bytes, size_of):
            yield first, chunk
            first += len(chunk)

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
            # Errors name the call that the user made.
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
    """A request that is encoded when it is sent, so that a large batch is not in memory twice."""

    make: Callable[[], bytes] = attrs.field(repr=False)
    compress: bool

    def encode(self) -> bytes:
        content = self.make()
        return _compressed(content) if self.compress else content


def _wants_compression(session: Session) -> bool:
    """Return whether the server asked for compressed batches and zstandard is installed."""
    return session.server_config.config.proto_compress_fwdbwd and _has_zstandard()


def _compressed(content: bytes) -> bytes:
    """Return the content as a zstd frame."""
    import zstandard

    return zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compress(content)


@functools.cache
def _has_zstandard() -> bool:
    if importlib.util.find_spec("zstandard") is not None:
        return True
    log.info("the server asks for compressed batches: pip install 'tinkex[zstd]' to send them")
    return False
