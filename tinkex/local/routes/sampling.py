"""Sampling: promised samples and token streams."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import orjson
from attrs import evolve, frozen
from starlette.responses import StreamingResponse
from tinkex_generated.models import (
    PromptAltTokens,
    SampledSequence,
    SampleResponse,
    SampleStreamChunk,
    TensorData,
    TensorDtype,
    UntypedAPIFuture,
)

from tinkex.local.app_state import AppState
from tinkex.local.call import Call
from tinkex.local.engine import SampledTokens, SampleJob, SampleResult
from tinkex.local.engine_thread import NO_LIMIT, SampleTicket
from tinkex.local.futures import Promise
from tinkex.local.live import LiveSampler
from tinkex.local.problem import Problem, misfit
from tinkex.local.streaming import TokenFeed
from tinkex.local.tensors import integers, is_text, prompt_tokens, tensor

Array = np.ndarray[Any, Any]

MOST_SAMPLES = 1024
# (token, logprob) pairs in one response, which is held in memory.
MOST_PAIRS = 2**23


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


async def asample(state: AppState, call: Call) -> UntypedAPIFuture:
    """Queue a sample."""
    body = call.body
    source = await find_source(state, body)
    make_job = await _prepared(state, source, body)

    def make() -> UntypedAPIFuture:
        promise = state.promises.open(source.session_id, call.operation_id, source.name)
        sampler = source.sampler
        if sampler is not None:
            promise.on_done = partial(sampler.completed, body.seq_id)
        ids = [f"{promise.request_id}:{index}" for index in range(body.num_samples)]
        ticket = ticket_for(source, body, promise, make_job)
        if body.record_stability_info and source.session_id is not None:
            (read,) = make_job.args
            record = partial(state.recordings.add, source.session_id, ids, read)
            ticket.finish = partial(_recorded, record, ticket.finish)
        state.put_sample(source.base_model, ticket)
        return UntypedAPIFuture(request_id=promise.request_id, sample_sequence_ids=ids)

    if source.sampler is None:
        return make()
    return source.sampler.once(body.seq_id, state.digest(call.operation_id, body), make)


async def stream_sample(state: AppState, call: Call) -> StreamingResponse:
    """Sample and send every token as a server-sent event while the next ones are computed."""
    body = call.body
    feed = TokenFeed(asyncio.get_running_loop())
    source = await find_source(state, body)
    make_job = partial(await _prepared(state, source, body), on_token=feed.token)
    promise = state.promises.open(source.session_id, call.operation_id, source.name, kept=False)
    promise.on_done = feed.done
    ticket = ticket_for(source, body, promise, make_job)
    state.put_sample(source.base_model, ticket)
    decode = state.bases.get(source.base_model).decode

    async def events() -> AsyncIterator[bytes]:
        try:
            async for chunk in feed.chunks(decode):
                yield _event(chunk)
        finally:
            # Reached early if the reader has disconnected: the rest is not needed.
            ticket.cancelled = True
            state.promises.forget(promise)

    return StreamingResponse(
        events(), media_type="text/event-stream", headers={"cache-control": "no-store"}
    )


async def find_source(state: AppState, body: Any) -> Source:
    """Return what a request samples from, or raise a problem."""
    if body.sampling_session_id is not None:
        sampler = state.samplers.get(body.sampling_session_id)
        state.active_session(sampler.session_id)
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
        state.bases.check(body.base_model)
        return Source(body.base_model, None, None, None)
    return await state.pool.run(partial(_source_at, state, body.model_path))


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
        finish=partial(sample_response, body.target_prompt_logprobs),
        longest=NO_LIMIT if max_tokens is None else max_tokens,
    )
    return ticket


def _recorded(
    record: Callable[[Sequence[SampledTokens]], None],
    finish: Callable[[SampleResult], Any],
    result: SampleResult,
) -> Any:
    """Record the sampled sequences, and return what `finish` makes of them."""
    record(result.sequences)
    return finish(result)


async def _prepared(state: AppState, source: Source, body: Any) -> "partial[SampleJob]":
    """Read a request where it is; images are decoded by a worker thread."""
    read = partial(read_job, state, source, body)
    return read() if all(map(is_text, body.prompt.chunks)) else await state.pool.run(read)


def read_job(state: AppState, source: Source, body: Any) -> "partial[SampleJob]":
    """Return a maker of the engine's job, which has the prompt and still lacks the adapter."""
    if body.num_samples > MOST_SAMPLES:
        raise misfit(("body", "num_samples"), f"must be at most {MOST_SAMPLES}")
    params = body.sampling_params
    look = partial(state.image_tokens, source.base_model)
    prompt = prompt_tokens(body.prompt, ("body", "prompt"), look)
    check_pairs(body, len(prompt), state.bases.max_context(source.base_model))
    stop_tokens, stop_strings = read_stop(params.stop)
    return partial(
        SampleJob,
        prompt,
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
        topk_sample_logprobs=body.topk_sample_logprobs,
        prompt_logprobs_last_n=body.prompt_logprobs_last_n,
        target_prompt_logprobs=read_targets(body.target_prompt_logprobs),
        prompt_alt_tokens_k=body.prompt_alt_tokens_k,
    )


def check_pairs(body: Any, prompt_length: int, max_context: int) -> None:
    """Refuse a request whose response would hold too many pairs of token and logprob."""
    longest = min(body.sampling_params.max_tokens or max_context, max_context)
    for name, positions in (
        ("topk_sample_logprobs", body.num_samples * longest),
        ("prompt_alt_tokens_k", prompt_length),
    ):
        if getattr(body, name) * positions > MOST_PAIRS:
            raise misfit(
                ("body", name),
                f"is {getattr(body, name)} for {positions} positions; at most {MOST_PAIRS} pairs fit"
                " into a response: ask for fewer, or for shorter samples",
            )


def read_targets(data: Any) -> Any:
    """Return the tokens whose logprobs are wanted, [n - 1, K] with -1 for none, or None."""
    if data is None:
        return None
    loc = ("body", "target_prompt_logprobs")
    if data.dtype != "int64":
        raise misfit((*loc, "dtype"), f"is {data.dtype!r}, expected 'int64'")
    if data.sparse_crow_indices is None:
        return tensor(data, loc)
    # Cells that are not listed ask for nothing, which is -1: the dense form has 0 in them.
    listed = integers(data.data, (*loc, "data"))
    return tensor(evolve(data, data=listed + 1), loc) - 1


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


def sample_response(asked: Any, result: SampleResult) -> SampleResponse:
    """Return the API's form of the engine's samples; `asked` is `target_prompt_logprobs`."""
    prompt = result.prompt
    return SampleResponse(
        sequences=[
            SampledSequence(
                tokens=sequence.tokens,
                logprobs=sequence.logprobs,
                stop_reason="stop" if sequence.stop_reason == "stop" else "length",
                topk_logprobs=cast("Any", sequence.topk),
            )
            for sequence in result.sequences
        ],
        prompt_logprobs=prompt.logprobs,
        topk_prompt_logprobs=prompt.topk,
        target_prompt_logprobs=None
        if prompt.targets is None
        else _in_layout_of(asked, prompt.targets),
        prompt_alt_tokens=None
        if prompt.alternatives is None
        else PromptAltTokens(
            tokens=_tensor_data(prompt.alternatives[0], "int64"),
            logprobs=_tensor_data(prompt.alternatives[1], "float32"),
        ),
    )


def _in_layout_of(asked: Any, values: Array) -> TensorData:
    """Return logprobs as the request has its tokens: dense, or the listed cells of a sparse matrix."""
    whole = _tensor_data(values, "float32")
    if asked.sparse_crow_indices is None:
        return whole
    columns = np.asarray(asked.sparse_col_indices, np.int64)
    rows = np.repeat(np.arange(len(values)), np.diff(asked.sparse_crow_indices))
    return evolve(
        whole,
        data=cast("list[float]", values[rows, columns]),
        sparse_crow_indices=asked.sparse_crow_indices,
        sparse_col_indices=asked.sparse_col_indices,
    )


def _tensor_data(values: Array, dtype: TensorDtype) -> TensorData:
    return TensorData(
        data=cast("list[float]", values.reshape(-1)), dtype=dtype, shape=list(values.shape)
    )


def _source_at(state: AppState, model_path: str) -> Source:
    record, run = state.weights_at(model_path)
    base = state.bases.get(run.base_model).base
    folder = state.checkpoints.folder(record)
    state.adapters.get(record.folder_id, folder, base)
    state.audit.add("checkpoint", "read", tinker_path=model_path, purpose="sampling")
    return Source(run.base_model, record.folder_id, folder, None)


def _event(chunk: SampleStreamChunk) -> bytes:
    return b"data: " + orjson.dumps(chunk.to_dict()) + b"\n\n"


HANDLERS = {"asample": asample, "stream_sample": stream_sample}
