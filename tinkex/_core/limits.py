"""Limits that all samplers of a server and key share: slots, bytes, and the cool-down after a 429.

They are used on the event loop only, so they need no locks; waiters are served in order.
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
from tinkex.config import Config

if TYPE_CHECKING:
    import asyncio
else:
    asyncio = LazyModule("asyncio")

RESPONSE_BYTES = 50 * 1024 * 1024
DISPATCH_BYTES = 10 * 1024 * 1024
# The service's limits, unless the server sends others.
SAMPLES_IN_FLIGHT = 2000
DISPATCHES = 400
LARGE_PROMPT_BYTES = 131_072

# For a while after a 429 the server is assumed to be near its limit: fewer prompts are sent at once,
# by counting each as several times its size.
CAREFUL_SECONDS = 10.0
CAREFUL_DISPATCHES = 10
CAREFUL_FACTOR = 20


class Slots:
    """A semaphore of variable size; waiters are served in order.

    Attributes:
        size: Total number of slots.
        taken: Slots in use.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.taken = 0
        self._waiting: deque[tuple[asyncio.Future[None], int]] = deque()

    async def take(self, cost: int = 1) -> None:
        """Wait for `cost` free slots and take them; see `_has_room`."""
        if not self._waiting and self._has_room(cost):
            self.taken += cost
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((turn, cost))
        try:
            await turn
        except BaseException:
            if turn.done() and not turn.cancelled():
                # Woken and cancelled at the same moment.
                self.give_back(cost)
            else:
                self._wake()
            raise

    def give_back(self, cost: int = 1) -> None:
        """Return slots, and wake waiters."""
        self.taken -= cost
        self._wake()

    def resize(self, size: int) -> None:
        """Change the size; slots in use stay taken."""
        self.size = size
        self._wake()

    @asynccontextmanager
    async def held(self, cost: int = 1) -> AsyncIterator[None]:
        """Hold `cost` slots while the block runs."""
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
    """A limit on the bytes in flight.

    One taker may exceed it, so that nothing is too large to send.
    """

    def _has_room(self, cost: int) -> bool:  # noqa: ARG002 - the signature of the base class
        return self.taken <= self.size


class SampleLimiter:
    """One server's limits, shared by all samplers of the process.

    Attributes:
        in_flight: Slots for samples between their submission and their result.
        response_bytes: Budget for large results being fetched.
        prompt_bytes: Budget for prompts being sent, estimated.
        progressed_at: Monotonic seconds of the last sample that the server accepted.
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
        """Apply these limits from now on; the newest session of the process decides."""
        self.in_flight.resize(limits.samples_in_flight)
        self.response_bytes.resize(limits.response_bytes)
        self.prompt_bytes.resize(limits.prompt_bytes)

    async def take_dispatch(self, size: int, clock: Clock) -> tuple[Slots, int]:
        """Wait for the permit to send a prompt of `size` estimated bytes.

        It is given when there is room for the prompt and no cool-down. Returns the arguments of
        `give_dispatch_back`.
        """
        while True:
            while (seconds := self.cool_down_left(clock)) > 0:
                await clock.pause(seconds)
            careful = clock.now() < self._quiet_until + CAREFUL_SECONDS
            slots = self._careful_dispatches if careful else self._dispatches
            counted = size * CAREFUL_FACTOR if careful else size
            await slots.take()
            try:
                await self.prompt_bytes.take(counted)
            except BaseException:
                slots.give_back()
                raise
            # A 429 may have come while this one was waiting.
            if self.cool_down_left(clock) <= 0:
                return slots, counted
            self.give_dispatch_back(slots, counted)

    def give_dispatch_back(self, slots: Slots, counted: int) -> None:
        """Return the permit."""
        self.prompt_bytes.give_back(counted)
        slots.give_back()

    def cool_down_left(self, clock: Clock) -> float:
        """Return the remaining seconds of the cool-down."""
        return max(0.0, self._quiet_until - clock.now())

    def cool_down(self, seconds: float, clock: Clock) -> None:
        """Pause all samplers for some seconds."""
        self._quiet_until = max(self._quiet_until, clock.now() + seconds)


@frozen(kw_only=True)
class Limits:
    """A session's limits, and the source of each.

    Attributes:
        chunk_len: Most data per request of a batch.
        chunk_bytes: Estimated bytes per request of a batch.
        samples_in_flight: Most concurrent samples.
        prompt_bytes: Estimated bytes of prompts sent concurrently.
        response_bytes: Bytes of large responses fetched concurrently.
        sources: For each of them "argument", "environment NAME", "server" or "default".
    """

    chunk_len: int = 1024
    chunk_bytes: int = 5_000_000
    samples_in_flight: int = SAMPLES_IN_FLIGHT
    prompt_bytes: int = DISPATCH_BYTES
    response_bytes: int = RESPONSE_BYTES
    sources: dict[str, str] = field(factory=dict, repr=False, eq=False)


def _server(base_url: str) -> str:
    """Return a canonical spelling of a server's URL."""
    parts = urlsplit(base_url)
    default = {"http": 80, "https": 443}.get(parts.scheme)
    port = "" if parts.port in (None, default) else f":{parts.port}"
    return f"{parts.scheme}://{parts.hostname}{port}{parts.path.rstrip('/')}"


_limiters: WeakValueDictionary[tuple[str, object], SampleLimiter] = WeakValueDictionary()
_limiters_lock = threading.Lock()


def sample_limiter(config: Config) -> SampleLimiter:
    """Return the limiter of a server and key; shared by all live clients."""
    key = (_server(config.base_url), config.account)
    with _limiters_lock:
        limiter = _limiters.get(key)
        if limiter is None:
            limiter = _limiters[key] = SampleLimiter()
        return limiter
