"""Sampling: promised samples and token streams."""

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import orjson
from attrs import frozen
from starlette.responses import StreamingResponse
from tinkex_generated.models import (
    SampledSequence,
    SampleResponse,
    SampleStreamChunk,
    UntypedAPIFuture,
)

from tinkex.local.call import Call
from tinkex.local.engine import SampleJob, SampleResult
from tinkex.local.engine_thread import NO_LIMIT, SampleTicket
from tinkex.local.futures import Promise
from tinkex.local.live import LiveSampler
from tinkex.local.problem import Problem, misfit
from tinkex.local.site import Site
from tinkex.local.streaming import TokenFeed
from tinkex.local.tensors import prompt_tokens

MOST_SAMPLES = 1024
_BINARY_ONLY = ("topk_sample_logprobs", "prompt_alt_tokens_k", "target_prompt_logprobs")


@frozen(eq=False)
class Source:
    """What a request samples from."""

    base_model: str
    adapter_key: str | None
    adapter_folder: Path | None
    session_id: str | None
    sampler: LiveSampler | None = None

    @property
    def name(self) -> str:
        """What to call it in a trace."""
        return self.base_model if self.sampler is None else self.sampler.sampler_id


async def asample(site: Site, call: Call) -> UntypedAPIFuture:
    """Queue a sample."""
    body = call.body
    make_job = read_job(body)
    source = await find_source(site, body)

    def make() -> UntypedAPIFuture:
        promise = site.promises.open(source.session_id, call.operation_id, source.name)
        sampler = source.sampler
        if sampler is not None:
            promise.on_done = partial(sampler.completed, body.seq_id)
        site.put_sample(source.base_model, ticket_for(source, body, promise, make_job))
        ids = [f"{promise.request_id}:{index}" for index in range(body.num_samples)]
        return UntypedAPIFuture(request_id=promise.request_id, sample_sequence_ids=ids)

    if source.sampler is None:
        return make()
    return source.sampler.once(body.seq_id, site.digest(call.operation_id, body), make)


async def stream_sample(site: Site, call: Call) -> StreamingResponse:
    """Sample and send every token as a server-sent event while the next ones are computed."""
    body = call.body
    feed = TokenFeed(asyncio.get_running_loop())
    make_job = partial(read_job(body), on_token=feed.token)
    source = await find_source(site, body)
    promise = site.promises.open(source.session_id, call.operation_id, source.name, kept=False)
    promise.on_done = feed.done
    ticket = ticket_for(source, body, promise, make_job)
    site.put_sample(source.base_model, ticket)
    decode = site.bases.get(source.base_model).decode

    async def events() -> AsyncIterator[bytes]:
        try:
            async for chunk in feed.chunks(decode):
                yield _event(chunk)
        finally:
            # Reached early when the reader has gone: nobody needs the rest.
            ticket.cancelled = True
            site.promises.forget(promise)

    return StreamingResponse(
        events(), media_type="text/event-stream", headers={"cache-control": "no-store"}
    )


async def find_source(site: Site, body: Any) -> Source:
    """Return what a request samples from, or raise a problem."""
    if body.sampling_session_id is not None:
        sampler = site.samplers.get(body.sampling_session_id)
        site.active_session(sampler.session_id)
        return Source(
            sampler.base_model,
            sampler.adapter_key,
            sampler.adapter_folder,
            sampler.session_id,
            sampler,
        )
    if (body.base_model is None) == (body.model_path is None):
        raise Problem(
            400, "either sampling_session_id, or exactly one of base_model and model_path is needed"
        )
    if body.base_model is not None:
        site.bases.check(body.base_model)
        return Source(body.base_model, None, None, None)
    return await site.pool.run(partial(_source_at, site, body.model_path))


def ticket_for(
    source: Source,
    body: Any,
    promise: Promise,
    make_job: Callable[..., SampleJob],
) -> SampleTicket:
    """Return the ticket of a request."""
    max_tokens = body.sampling_params.max_tokens
    ticket = SampleTicket(
        promise=promise,
        adapter_key=source.adapter_key,
        adapter_folder=source.adapter_folder,
        sequences=body.num_samples,
        # A promise that has its result without the engine was given up, with its session.
        make=lambda adapter: make_job(
            adapter=adapter, cancelled=lambda: ticket.cancelled or promise.done
        ),
        finish=sample_answer,
        longest=NO_LIMIT if max_tokens is None else max_tokens,
    )
    return ticket


def read_job(body: Any) -> Callable[..., SampleJob]:
    """Return a maker of the engine's job, which still lacks the adapter."""
    for name in _BINARY_ONLY:
        if getattr(body, name):
            raise Problem(400, f"{name} is not available on the local server")
    if body.prompt_logprobs_last_n is not None:
        raise Problem(400, "prompt_logprobs_last_n is not available on the local server")
    if body.num_samples > MOST_SAMPLES:
        raise misfit(("body", "num_samples"), f"must be at most {MOST_SAMPLES}")
    params = body.sampling_params
    stop_tokens, stop_strings = read_stop(params.stop)
    return partial(
        SampleJob,
        prompt_tokens(body.prompt, ("body", "prompt")),
        num_samples=body.num_samples,
        max_tokens=params.max_tokens,
        temperature=params.temperature,
        top_k=params.top_k,
        top_p=params.top_p,
        seed=None if params.seed is None else params.seed % (2**63 - 1),
        stop_tokens=stop_tokens,
        stop_strings=stop_strings,
        prompt_logprobs=bool(body.prompt_logprobs),
        topk_prompt_logprobs=body.topk_prompt_logprobs,
    )


def read_stop(stop: Any) -> tuple[tuple[int, ...] | None, tuple[str, ...]]:
    """Return the stop tokens (None: the model's own end) and the stop strings.

    A list of tokens replaces the model's end-of-sequence tokens, an empty list leaves none;
    strings stop a sequence as well as those do.
    """
    if stop is None:
        return None, ()
    if isinstance(stop, str):
        return None, (stop,)
    if any(isinstance(entry, str) for entry in stop):
        return None, tuple(stop)
    return tuple(stop), ()


def sample_answer(result: SampleResult) -> SampleResponse:
    """Return the wire's form of what the engine sampled."""
    return SampleResponse(
        sequences=[
            SampledSequence(
                tokens=sequence.tokens,
                logprobs=sequence.logprobs,
                stop_reason="stop" if sequence.stop_reason == "stop" else "length",
            )
            for sequence in result.sequences
        ],
        prompt_logprobs=result.prompt_logprobs,
        topk_prompt_logprobs=result.topk_prompt_logprobs,
    )


def _source_at(site: Site, model_path: str) -> Source:
    record, run = site.weights_at(model_path)
    base = site.bases.get(run.base_model).base
    folder = site.checkpoints.folder(record)
    site.adapters.get(record.folder_id, folder, base)
    site.audit.add("checkpoint", "read", tinker_path=model_path, purpose="sampling")
    return Source(run.base_model, record.folder_id, folder, None)


def _event(chunk: SampleStreamChunk) -> bytes:
    return b"data: " + orjson.dumps(chunk.to_dict()) + b"\n\n"


HANDLERS = {"asample": asample, "stream_sample": stream_sample}
