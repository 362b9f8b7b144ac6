"""Samples, token by token."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from support.nano import NANO
from support.scripted import Script, scripted_service

from tinkex import ServiceClient
from tinkex.errors import (
    DecodeError,
    NotFoundError,
    RequestFailedError,
    ServerError,
    TransportError,
    ValidationError,
)
from tinkex.types import ModelInput, SampleStreamChunk, SamplingParams

PROMPT = ModelInput.from_ints([1, 2])
TOKENS = [
    {"token": "a", "token_id": 0, "index": 0, "logprob": 0.0},
    {"token": "b", "token_id": 7, "index": 0, "logprob": -1.5},
]
END = {"finish_reason": "stop", "index": 0, "total_tokens": 2}


class Events(httpx.SyncByteStream):
    """Send pieces of a body, and note what was asked for and whether it was closed."""

    def __init__(self, *events: Any) -> None:
        self.events = events
        self.sent = 0
        self.closed = False

    def __iter__(self) -> Iterator[bytes]:
        for event in self.events:
            self.sent += 1
            if isinstance(event, Exception):
                raise event
            yield event if isinstance(event, bytes) else f"data: {json.dumps(event)}\n\n".encode()

    def close(self) -> None:
        self.closed = True


def answer(events: Events, content_type: str = "text/event-stream; charset=utf-8") -> Any:
    return lambda request: httpx.Response(
        200, stream=events, headers={"Content-Type": content_type}
    )


def streamed(
    events: Any, num_samples: int = 1, script: Script | None = None
) -> list[SampleStreamChunk]:
    script = script or Script()
    script.on("POST create_sampling_session", {"sampling_session_id": "SS"})
    script.on("POST stream_sample", answer(events) if isinstance(events, Events) else events)
    with scripted_service(script) as service:
        sampler = service.create_sampling_client(base_model="B")
        return [*sampler.sample_stream(PROMPT, SamplingParams(max_tokens=2), num_samples)]


def test_tokens_come_with_all_that_is_said_about_them() -> None:
    """Index 0, token 0 and log probability 0.0 are values like any other; the end is a chunk too."""
    chunks = streamed(Events(*TOKENS, END))
    assert [chunk.to_dict() for chunk in chunks] == [*TOKENS, END]


def test_the_request_is_a_sample_request() -> None:
    """The body is that of asample, under the sampler's next number; events are asked for."""
    script = Script()
    streamed(Events(*TOKENS, END), script=script)
    (got,) = script.sent("stream_sample")
    assert got.json["sampling_session_id"] == "SS"
    assert got.json["seq_id"] == 0
    assert got.json["prompt"] == {"chunks": [{"tokens": [1, 2], "type": "encoded_text"}]}
    assert got.json["type"] == "sample"
    assert None not in got.json.values()
    assert got.headers["Accept"] == "text/event-stream"


def test_a_token_is_there_before_the_next_one_is_sent() -> None:
    """Nothing is gathered: each chunk is given out as soon as it came."""
    events = Events(*TOKENS, END)
    script = Script().on("POST create_sampling_session", {"sampling_session_id": "SS"})
    script.on("POST stream_sample", answer(events))
    with scripted_service(script) as service:
        stream = service.create_sampling_client(base_model="B").sample_stream(PROMPT)
        assert events.sent == 0
        for number in (1, 2, 3):
            next(stream)
            assert events.sent == number
        with pytest.raises(StopIteration):
            next(stream)
        assert events.closed


def test_closing_the_iterator_closes_the_connection() -> None:
    """Whoever has read enough ends the server's work by closing."""
    events = Events(*TOKENS * 1000, END)
    script = Script().on("POST create_sampling_session", {"sampling_session_id": "SS"})
    script.on("POST stream_sample", answer(events))
    with scripted_service(script) as service:
        stream = service.create_sampling_client(base_model="B").sample_stream(PROMPT)
        next(stream)
        stream.close()
    assert events.closed
    assert events.sent == 1


def test_comments_and_a_closing_mark_are_no_chunks() -> None:
    """Keep-alive comments are dropped, and so is what some servers send at the end."""
    chunks = streamed(Events(b": ping\n\n", TOKENS[0], END, b"data: [DONE]\n\n"))
    assert len(chunks) == 2


def test_several_sequences_end_each_for_itself() -> None:
    """The stream goes on until every sequence has its end."""
    ends = [{**END, "index": 1}, {**END, "index": 0}]
    chunks = streamed(Events(TOKENS[0], ends[0], TOKENS[1], ends[1]), num_samples=2)
    assert [chunk.index for chunk in chunks] == [0, 1, 0, 0]


@pytest.mark.parametrize(
    ("events", "error", "message"),
    [
        (Events(TOKENS[0], {"error": "out of memory"}), RequestFailedError, "out of memory"),
        (Events(TOKENS[0]), TransportError, "1 of 1 sequences unfinished"),
        (Events(), TransportError, "unfinished"),
        (Events(TOKENS[0], httpx.ReadError("reset")), TransportError, "broke: reset"),
        (Events(TOKENS[0], b"data: {oops\n\n"), DecodeError, "oops"),
        (Events(b'data: {"index": "x"}\n\n'), DecodeError, "index"),
        (Events(b"data: [1]\n\n"), DecodeError, "stream_sample"),
        (404, NotFoundError, "stream_sample"),
        ((500, {"detail": "broken"}), ServerError, "broken"),
        ({"sequences": []}, DecodeError, "not an event stream"),
    ],
)
def test_a_stream_that_goes_wrong_raises(events: Any, error: type[Exception], message: str) -> None:
    """Errors in the stream, early ends, garbage, refusals and other formats are typed errors."""
    script = Script()
    with pytest.raises(error, match=message):
        streamed(events, script=script)
    assert len(script.sent("stream_sample")) == 1


def test_arguments_are_checked_when_the_stream_is_made() -> None:
    """A prompt that cannot be right is refused before the first token is asked for."""
    script = Script().on("POST create_sampling_session", {"sampling_session_id": "SS"})
    with scripted_service(script) as service:
        sampler = service.create_sampling_client(base_model="B")
        with pytest.raises(ValidationError):
            sampler.sample_stream([1, 2])
        with pytest.raises(ValidationError):
            sampler.sample_stream(PROMPT, num_samples=0)


def test_the_local_server_streams_what_it_samples(nano_service: ServiceClient) -> None:
    """Streamed and sampled with the same seed, tokens and log probabilities are the same."""
    sampler = nano_service.create_sampling_client(base_model=NANO)
    params = SamplingParams(max_tokens=8, seed=3, stop=[])
    chunks = [*sampler.sample_stream(PROMPT, params)]
    whole = sampler.sample(PROMPT, 1, params).result().sequences[0]
    tokens = [chunk for chunk in chunks if chunk.token_id is not None]
    assert [chunk.token_id for chunk in tokens] == whole.tokens
    assert [chunk.logprob for chunk in tokens] == pytest.approx(whole.logprobs, abs=1e-4)
    assert (chunks[-1].finish_reason, chunks[-1].total_tokens) == ("length", 8)


def test_the_local_server_lets_go_of_a_closed_stream(nano_service: ServiceClient) -> None:
    """After the first token of many the reader leaves, and the next call is served."""
    sampler = nano_service.create_sampling_client(base_model=NANO)
    stream = sampler.sample_stream(PROMPT, SamplingParams(max_tokens=200, stop=[]))
    assert next(stream).token_id is not None
    stream.close()
    assert len(sampler.sample(PROMPT, 1, SamplingParams(max_tokens=1)).result().sequences) == 1
