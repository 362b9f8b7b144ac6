"""Tell the server which samples nobody waits for any more, where it listens."""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import Any

from tinkex_generated.api.futures import cancel_future
from tinkex_generated.models import FutureCancelRequest

from tinkex.background import FuturePool
from tinkex.futures import Future
from tinkex.hints import ask_for_dynamic_hints
from tinkex.polling import Done, Promise
from tinkex.transport import Transport
from tinkex.transport.answer import Reply

log = logging.getLogger("tinkex.futures")

CANCEL_TIMEOUT = 30.0
# Notices that travel at the same time, whatever the server would take.
SIDE_BY_SIDE = 8
SHORTEST_REFRESH = 10.0


class Cancellations:
    """Queue the ids of abandoned samples, and send them from background threads.

    Nothing depends on it: a notice that fails is dropped, and the server then computes what nobody
    reads. Whether it listens at all is asked when there is first something to say.
    """

    def __init__(self, transport: Transport, background: FuturePool) -> None:
        self._transport = transport
        self._background = background
        self._waiting: deque[str] = deque()
        self._lock = threading.Lock()
        self._listens = False
        self._most = SIDE_BY_SIDE
        self._known_until = float("-inf")

    def add(self, request_id: str) -> None:
        """Note an id; safe wherever the garbage collector may run. `send` sends it."""
        self._waiting.append(request_id)

    def send(self) -> None:
        """Let background threads send what is noted."""
        for _ in range(min(len(self._waiting), self._most)):
            self._background.watch(
                Future(
                    _Notices(self),
                    operation="cancel_future",
                    clock=self._transport.clock,
                    background=self._background,
                )
            )

    def send_one(self) -> bool:
        """Send one notice; return whether there may be another."""
        if not self._server_listens():
            self._waiting.clear()
            return False
        try:
            request_id = self._waiting.popleft()
        except IndexError:
            return False
        outcome = self._transport.send_once(
            cancel_future.build_request(body=FutureCancelRequest(request_id=request_id)),
            timeout=CANCEL_TIMEOUT,
        )
        if not isinstance(outcome, Reply) or not outcome.is_success:
            said = getattr(outcome, "status_code", None) or outcome
            log.debug("the server was not told that %s is unwanted: %s", request_id, said)
        return True

    def _server_listens(self) -> bool:
        clock = self._transport.clock
        with self._lock:
            if clock.now() >= self._known_until:
                hints = ask_for_dynamic_hints(self._transport)
                self._listens = hints.sample_cancel_enabled
                self._most = max(1, min(hints.sample_cancel_max_batch_size, SIDE_BY_SIDE))
                refresh = max(float(hints.refresh_interval_sec), SHORTEST_REFRESH)
                self._known_until = clock.now() + refresh
            return self._listens


class _Notices:
    """Send notices until none is left."""

    promise: Promise[Any] | None = None

    def __init__(self, cancellations: Cancellations) -> None:
        self._cancellations = cancellations

    def step(self, patience: float) -> float | Done[None]:
        """Send one notice."""
        del patience
        return 0.0 if self._cancellations.send_one() else Done(None)

    def abandon(self) -> None:
        """Hold nothing, so free nothing."""
