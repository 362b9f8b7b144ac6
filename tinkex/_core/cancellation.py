"""Cancellation notices for samples that no caller waits for, where the server accepts them."""

from __future__ import annotations

import logging

from tinkex_generated.api.futures import cancel_future
from tinkex_generated.models import FutureCancelRequest

from tinkex._core import loop
from tinkex._core.server_config import fetch_dynamic_config
from tinkex._core.transport import Transport
from tinkex.errors import TinkexError

log = logging.getLogger("tinkex.futures")

CANCEL_TIMEOUT = 30.0
# Notices in flight at once, whatever the server would accept.
SIDE_BY_SIDE = 8
SHORTEST_REFRESH = 10.0


class Cancellations:
    """The ids of abandoned samples, sent to the server in batches; on the loop's thread.

    Best effort: a failed notice is dropped, and the server computes an unused result. Nothing is sent
    to a server that does not announce that it accepts notices.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._waiting: list[str] = []
        self._senders = 0
        self._listens = False
        self._most = 1
        self._known_until = float("-inf")

    def add(self, request_id: str) -> None:
        """Send a notice about another sample, soon."""
        self._waiting.append(request_id)
        if self._senders < self._most:
            self._senders += 1
            loop.create_task(self._send())

    async def _send(self) -> None:
        try:
            while self._waiting and await self._server_listens():
                if self._waiting:
                    await self._send_one(self._waiting.pop())
            self._waiting.clear()
        except TinkexError as error:
            log.debug("cancellation notices stop: %s", error)
        finally:
            self._senders -= 1

    async def _send_one(self, request_id: str) -> None:
        request = cancel_future.build_request(body=FutureCancelRequest(request_id=request_id))
        response = await self._transport.attempt(request, timeout=CANCEL_TIMEOUT)
        if not response.is_success:
            log.debug(
                "the cancellation of %s was refused: HTTP %d",
                request_id,
                response.status_code,
            )

    async def _server_listens(self) -> bool:
        clock = self._transport.clock
        if clock.now() >= self._known_until:
            hints = await fetch_dynamic_config(self._transport)
            self._listens = hints.sample_cancel_enabled
            self._most = max(1, min(hints.sample_cancel_max_batch_size, SIDE_BY_SIDE))
            refresh = max(float(hints.refresh_interval_sec), SHORTEST_REFRESH)
            self._known_until = clock.now() + refresh
            while self._listens and self._senders < min(self._most, len(self._waiting)):
                self._senders += 1
                loop.create_task(self._send())
        return self._listens
