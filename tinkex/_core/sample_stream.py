"""Streaming of samples, token by token."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator

from tinkex_generated.api.sampling import stream_sample
from tinkex_generated.errors import ParseError
from tinkex_generated.models import SampleRequest
from tinkex_generated.types import loads

from tinkex._base.redaction import safe_text
from tinkex._core.session import Session
from tinkex._core.token_counts import emit_streamed_tokens
from tinkex._core.transport import Stream
from tinkex._core.wire.events import EventDecoder
from tinkex.errors import DecodeError, RequestFailedError, TransportError
from tinkex.types import SampleStreamChunk

# Some servers end an event stream with this marker instead of JSON.
_END = "[DONE]"


def stream(
    session: Session, body: SampleRequest, prompt_tokens: int = 0, model: str | None = None
) -> Generator[SampleStreamChunk, None, None]:
    """Send a sample and yield its chunks until each sequence has ended.

    The tokens are counted when the stream ends or is closed.

    Raises:
        RequestFailedError: The server reports a failure in the stream.
        TransportError: The stream ended before all sequences had.
    """
    unfinished = body.num_samples
    transport = session.transport
    with (
        emit_streamed_tokens(session.id, model, prompt_tokens) as seen,
        _opened(session, body, model) as response,
    ):
        for chunk in _chunks(response):
            seen.count += chunk.token_id is not None
            if chunk.error is not None:
                failure = RequestFailedError(
                    f"the stream ended with an error: {chunk.error}", session_id=session.id
                )
                # The exception holds raw server text.
                del chunk
                raise failure
            yield chunk
            if chunk.finish_reason is not None:
                unfinished -= 1
                if unfinished <= 0:
                    return
    raise TransportError(
        f"the stream of tokens from {transport.where} ended with {unfinished} of "
        f"{body.num_samples} sequences unfinished; sample again",
        session_id=session.id,
    )


@contextlib.contextmanager
def _opened(session: Session, body: SampleRequest, model: str | None) -> Iterator[Stream]:
    """Open the stream within an operation context.

    The context covers only the opening: between tokens, the caller's code runs.
    """
    with contextlib.ExitStack() as stack:
        with session.operation("sample_stream", model) as context:
            request = stream_sample.build_request(body=body)
            response = stack.enter_context(session.transport.stream(request))
            if context is not None:
                context.keep()
        error: BaseException | None = None
        try:
            yield response
        except Exception as caught:
            error = caught
            raise
        finally:
            if context is not None:
                context.end(error)


def _chunks(response: Stream) -> Iterator[SampleStreamChunk]:
    content_type = safe_text(response.headers.get("content-type", ""), 100)
    if content_type and "event-stream" not in content_type:
        raise DecodeError(
            f"stream_sample: the response is {content_type}, not an event stream. Is base_url a "
            "Tinker server?"
        )
    for data in _data_of(response):
        chunk = _chunk(data)
        if isinstance(chunk, DecodeError):
            # The exceptions hold raw server text.
            del data
            raise chunk
        yield chunk


def _data_of(response: Stream) -> Iterator[str]:
    decoder = EventDecoder()
    for piece in response.iter_bytes():
        for event in decoder.feed(piece):
            if event.data == _END:
                return
            yield event.data


def _chunk(data: str) -> SampleStreamChunk | DecodeError:
    try:
        return SampleStreamChunk.from_dict(loads(data))
    except (ParseError, ValueError) as error:
        why = str(error)
    return DecodeError(
        f"stream_sample: an event does not conform to the API ({why}): {safe_text(data, 200)}"
    )
