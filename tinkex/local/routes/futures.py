"""Waiting for promises, one by one or a sampling session at a time."""

import asyncio
from functools import partial
from typing import Any

from starlette.responses import Response
from tinkex_generated.models import (
    FailedCompletion,
    FinishedCompletion,
    FutureMetadataResponse,
    FuturesRetrieveResponse,
    TryAgainResponse,
)

from tinkex._base.protobuf import MEDIA_TYPE, is_protobuf
from tinkex.local.app_state import AppState, encode
from tinkex.local.binary import write_result
from tinkex.local.call import Call
from tinkex.local.futures import Promise
from tinkex.local.problem import Problem


async def retrieve_future(state: AppState, call: Call) -> Any:
    """Return the result of a promise, waiting for it as long as a poll may last."""
    request_id = call.body.request_id
    promise = state.promises.live(request_id)
    if promise is None:
        promise = await state.pool.run(partial(state.promises.get, request_id))
    if not promise.done and not await state.promises.wait(promise, state.options.long_poll_s):
        if not state.promises.closing:
            return _json(encode(_pending(promise)), status=408)
        # It was accepted after the others had failed.
        state.fail_as_stopped(promise)
    if call.body.allow_metadata_only and promise.size > state.options.inline_bytes:
        return FutureMetadataResponse(response_payload_size=promise.size)
    payload = promise.payload
    if payload is None:
        payload = await state.pool.run(partial(state.promises.read, promise))
    if is_protobuf(call.request.headers.get("accept", "")) and not promise.failed:
        message = await state.pool.run(partial(write_result, payload))
        if message is not None:
            return Response(message, media_type=MEDIA_TYPE)
    return _json(payload)


async def retrieve_futures(state: AppState, call: Call) -> FuturesRetrieveResponse:
    """List the samples completed in a sampling session since the last call."""
    body = call.body
    sampler = state.samplers.get(body.target.sampling_session_id)
    clone = body.target.cloned_sampler_id
    longest = state.options.long_poll_s
    wait_s = longest if body.timeout is None else min(body.timeout, longest)
    changed = asyncio.Event()
    with sampler.watched(asyncio.get_running_loop(), changed):
        found, cursor = sampler.completions(clone, body.prev_cursor)
        try:
            async with asyncio.timeout(wait_s):
                while not found and not sampler.closed:
                    await changed.wait()
                    changed.clear()
                    found, cursor = sampler.completions(clone, body.prev_cursor)
        except TimeoutError:
            pass
    return FuturesRetrieveResponse(completions=[_completion(one) for one in found], cursor=cursor)


def cancel_future(state: AppState, call: Call) -> None:
    """Cancel a sample; one that is being computed stops early."""
    promise = state.promises.get(call.body.request_id)
    if promise.cancel is None and not promise.done:
        raise Problem(400, "only samples can be cancelled")
    if promise.cancel is not None and not promise.done:
        promise.cancel()
        state.fail(promise, Problem(400, "the request was cancelled"))


def _pending(promise: Promise) -> TryAgainResponse:
    return TryAgainResponse(
        request_id=promise.request_id,
        queue_state="active",
        queue_state_reason=promise.waits_for(),
    )


def _completion(promise: Promise) -> FinishedCompletion | FailedCompletion:
    if promise.failed:
        return FailedCompletion(request_id=promise.request_id)
    return FinishedCompletion(
        request_id=promise.request_id, response_payload_uncompressed_size=promise.size
    )


def _json(content: bytes, status: int = 200) -> Response:
    return Response(content, status_code=status, media_type="application/json")


HANDLERS = {
    "retrieve_future": retrieve_future,
    "retrieve_futures": retrieve_futures,
    "cancel_future": cancel_future,
}
