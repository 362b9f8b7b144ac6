"""One long poll for all samples of a sampling session, on servers that support it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from tinkex_generated.api.futures import retrieve_futures
from tinkex_generated.models import (
    FuturesRetrieveRequest,
    FuturesRetrieveResponse,
    SamplingSessionTarget,
)

from tinkex._base.lazy import LazyModule
from tinkex._core import loop
from tinkex._core.retry import RetryPolicy, is_repeatable
from tinkex._core.transport import Transport
from tinkex.errors import ApiError, ReadTimeoutError, TinkexError, TransportError

if TYPE_CHECKING:
    import asyncio
else:
    asyncio = LazyModule("asyncio")

log = logging.getLogger("tinkex.futures")

# A completion that is not reported within this time is polled for individually.
RECHECK_SECONDS = 300.0


class Completions:
    """Completed samples of a sampling session, as the server reports them.

    Args:
        transport: The connection to the server.
        sampling_session_id: The sampling session.
    """

    def __init__(self, transport: Transport, sampling_session_id: str) -> None:
        self._transport = transport
        self._target = SamplingSessionTarget(sampling_session_id=sampling_session_id)
        self._waiting: dict[str, asyncio.Future[None]] = {}
        # Reported before any coroutine waited: a report may overtake the response to the submission.
        self._early: set[str] = set()
        self._retrieved: list[str] = []
        self._cursor = 0
        self._is_listening = False
        self._is_offered = True

    async def wait(self, request_id: str) -> None:
        """Wait until a sample can be retrieved; return at once if the server does not report samples."""
        if not self._is_offered or request_id in self._early:
            self._early.discard(request_id)
            return
        done = self._waiting[request_id] = asyncio.get_running_loop().create_future()
        if not self._is_listening:
            self._is_listening = True
            loop.create_task(self._listen())
        try:
            async with asyncio.timeout(RECHECK_SECONDS):
                await done
        except TimeoutError:
            return
        finally:
            self._waiting.pop(request_id, None)

    def retrieved(self, request_id: str) -> None:
        """Note that a result was fetched, so that the server can drop it."""
        self._retrieved.append(request_id)

    async def _listen(self) -> None:
        try:
            policy = RetryPolicy(max_attempts=10**9)
            retries = self._transport.retries("retrieve_futures", policy, outlasts_budget=True)
            while self._waiting:
                try:
                    found = await self._poll()
                except ReadTimeoutError:
                    continue
                except (ApiError, TransportError) as error:
                    repeatable = is_repeatable(error, "retrieve_futures")
                    await retries.pause_after(error, repeatable=repeatable)
                    continue
                retries.progressed()
                if found is not None:
                    self._note(found)
        except TinkexError as error:
            # Each sample is then polled individually.
            log.info("samples are polled individually: %s", error)
            self._is_offered = False
        finally:
            self._is_listening = False
            if not self._is_offered:
                for done in self._waiting.values():
                    _set(done)

    async def _poll(self) -> FuturesRetrieveResponse | None:
        retrieved = self._retrieved.copy()
        request = retrieve_futures.build_request(
            body=FuturesRetrieveRequest(
                target=self._target, prev_cursor=self._cursor, retrieved_request_ids=retrieved
            )
        )
        response = await self._transport.attempt(request, timeout=self._transport.poll_timeout)
        if not response.is_success and response.status_code != 408:
            raise self._transport.api_error(response, request.operation)
        # Others may have been added in the meantime.
        del self._retrieved[: len(retrieved)]
        if response.status_code == 408:
            return None
        return self._transport.parsed(response, retrieve_futures.parse_response, request.operation)

    def _note(self, found: FuturesRetrieveResponse) -> None:
        self._cursor = found.cursor
        for completion in found.completions:
            done = self._waiting.pop(completion.request_id, None)
            if done is None:
                self._early.add(completion.request_id)
            else:
                _set(done)


def _set(done: asyncio.Future[None]) -> None:
    if not done.done():
        done.set_result(None)
