"""Limits that all samplers of a server and key share: slots, bytes, and the server's cool-down.

They are used on the event loop alone, so they need no locks; waiting is first come, first served.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

from attrs import field, frozen

from tinkex._base.clock import Clock
from tinkex._base.lazy import LazyModule
from tinkex._core.config import Config

if TYPE_CHECKING:
    import asyncio
else:
    asyncio = LazyModule("asyncio")

RESPONSE_BYTES = 50 * 1024 * 1024
DISPATCH_BYTES = 10 * 1024 * 1024
# As the service allows where it names no other number.
SAMPLES_IN_FLIGHT = 2000
DISPATCHES = 400
LARGE_PROMPT_BYTES = 131_072

# For a while after a 429 the server is taken to be near its limit: fewer prompts travel at once,
# and each counts as if it were so many times as large.
CAREFUL_SECONDS = 10.0
CAREFUL_DISPATCHES = 10
CAREFUL_FACTOR = 20


class Slots:
    """A semaphore whose size can change; waiters are woken in their order.

    Attributes:
        size: Most slots that are taken at once.
        taken: Slots that are taken now.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.taken = 0
        self._waiting: deque[tuple[asyncio.Future[None], int]] = deque()

    async def take(self, cost: int = 1) -> None:
        """Wait for room, and take `cost` of it; see `_has_room`."""
        if not self._waiting and self._has_room(cost):
            self.taken += cost
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((turn, cost))
        try:
            await turn
        except BaseException:
            if turn.done() and not turn.cancelled():
                # It was let in and cancelled at the same moment.
                self.give_back(cost)
            else:
                self._wake()
            raise

    def give_back(self, cost: int = 1) -> None:
        """Return what was taken, and let in who waits for it."""
        self.taken -= cost
        self._wake()

    def resize(self, size: int) -> None:
        """Bound by another size from now on; what is taken stays so."""
        self.size = size
        self._wake()

    @asynccontextmanager
    async def held(self, cost: int = 1) -> AsyncIterator[None]:
        """Hold `cost` for the length of a block."""
        await self.take(cost)
        try:
            yield
        finally:
            self.give_back(cost)

    def _has_room(self, cost: int) -> bool:
        return self.taken + cost <= self.size

    def _wake(self) -> None:
        while self._waiting:
            turn, cost = self._waiting[0]
            if turn.done():
                self._waiting.popleft()
                continue
            if not self._has_room(cost):
                return
            self._waiting.popleft()
            self.taken += cost
            turn.set_result(None)


class ByteBudget(Slots):
    """A bound on the bytes that are on their way at once.

    One taker may overshoot, so that nothing is ever too large to travel.
    """

    def _has_room(self, cost: int) -> bool:  # noqa: ARG002 - as of other slots
        return self.taken <= self.size


class SampleLimiter:
    """One server's limits, shared by all samplers of the process.

    Attributes:
        in_flight: Slots for samples between their submission and their result.
        response_bytes: The bytes of large results being fetched.
        prompt_bytes: The estimated bytes of prompts being sent.
        progressed_at: Monotonic seconds of the last sample that the server took.
    """

    def __init__(
        self,
        in_flight: int = SAMPLES_IN_FLIGHT,
        response_bytes: int = RESPONSE_BYTES,
        prompt_bytes: int = DISPATCH_BYTES,
    ) -> None:
        self.in_flight = Slots(in_flight)
        self.response_bytes = ByteBudget(response_bytes)
        self.prompt_bytes = ByteBudget(prompt_bytes)
        self._dispatches = Slots(DISPATCHES)
        self._careful_dispatches = Slots(CAREFUL_DISPATCHES)
        self._quiet_until = -CAREFUL_SECONDS
        self.progressed_at = -math.inf

    async def adopt(self, limits: Limits) -> None:
        """Bound by these limits from now on; the newest session of a process decides."""
        self.in_flight.resize(limits.samples_in_flight)
        self.response_bytes.resize(limits.response_bytes)
        self.prompt_bytes.resize(limits.prompt_bytes)

    @asynccontextmanager
    async def dispatch(self, size: int, clock: Clock) -> AsyncIterator[None]:
        """Permit sending a prompt of `size` estimated bytes for the length of a block.

        It begins when there is room for the prompt, and no cool-down.
        """
        while True:
            await self._cool_down(clock)
            careful = clock.now() < self._quiet_until + CAREFUL_SECONDS
            dispatches = self._careful_dispatches if careful else self._dispatches
            counted = size * CAREFUL_FACTOR if careful else size
            await dispatches.take()
            try:
                async with self.prompt_bytes.held(counted):
                    # A 429 may have come while this one waited for its turn.
                    if self.quiet_for(clock) <= 0:
                        yield
                        return
            finally:
                dispatches.give_back()

    async def _cool_down(self, clock: Clock) -> None:
        while (seconds := self.quiet_for(clock)) > 0:
            await clock.pause(seconds)

    def quiet_for(self, clock: Clock) -> float:
        """Return the seconds of the cool-down that are left."""
        return max(0.0, self._quiet_until - clock.now())

    def cool_down(self, seconds: float, clock: Clock) -> None:
        """Hold all samplers back for some seconds."""
        self._quiet_until = max(self._quiet_until, clock.now() + seconds)


@frozen(kw_only=True)
class Limits:
    """Hold the sizes that a session works with, and where each came from.

    Attributes:
        chunk_len: Most data in one request of a batch.
        chunk_bytes: Estimated bytes in one request of a batch.
        samples_in_flight: Most samples that the server works on at once.
        prompt_bytes: Estimated bytes of prompts that are being sent at once.
        response_bytes: Bytes of large answers that are fetched at once.
        sources: For each of them "argument", "environment NAME", "server" or "default".
    """

    chunk_len: int = 1024
    chunk_bytes: int = 5_000_000
    samples_in_flight: int = SAMPLES_IN_FLIGHT
    prompt_bytes: int = DISPATCH_BYTES
    response_bytes: int = RESPONSE_BYTES
    sources: dict[str, str] = field(factory=dict, repr=False, eq=False)


def _server(base_url: str) -> str:
    """Return one spelling for all ways to write a server's URL."""
    parts = urlsplit(base_url)
    default = {"http": 80, "https": 443}.get(parts.scheme)
    port = "" if parts.port in (None, default) else f":{parts.port}"
    return f"{parts.scheme}://{parts.hostname}{port}{parts.path.rstrip('/')}"


_limiters: WeakValueDictionary[tuple[str, object], SampleLimiter] = WeakValueDictionary()
_limiters_lock = threading.Lock()


def sample_limiter(config: Config) -> SampleLimiter:
    """Return the limiter of a server and key; the same for all clients that are alive."""
    key = (_server(config.base_url), config.account)
    with _limiters_lock:
        limiter = _limiters.get(key)
        if limiter is None:
            limiter = _limiters[key] = SampleLimiter()
        return limiter
