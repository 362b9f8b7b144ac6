"""What all samplers of a server and key share: places, bytes, and the server's wish for quiet."""

from __future__ import annotations

import threading
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

from attrs import field, frozen

from tinkex.clock import Clock
from tinkex.config import Config

RESPONSE_BYTES = 50 * 1024 * 1024
DISPATCH_BYTES = 10 * 1024 * 1024
SAMPLES_IN_FLIGHT = 1000
DISPATCHES = 400
LARGE_PROMPT_BYTES = 131_072

# For a while after a 429 the server is taken to be near its limit: fewer prompts travel at once,
# and each counts as if it were so many times as large.
CAREFUL_SECONDS = 10.0
CAREFUL_DISPATCHES = 10
CAREFUL_FACTOR = 20


class ByteBudget:
    """Bound the bytes that are on their way at once.

    One taker may overshoot, so that nothing is ever too large to travel.
    """

    def __init__(self, size: int = RESPONSE_BYTES) -> None:
        self.size = size
        self._left = size
        self._lock = threading.RLock()

    def try_take(self, size: int) -> bool:
        """Take bytes unless the budget is overdrawn; return whether they were taken."""
        with self._lock:
            if self._left < 0:
                return False
            self._left -= size
            return True

    def give_back(self, size: int) -> None:
        """Return bytes that were taken."""
        with self._lock:
            self._left += size

    def resize(self, size: int) -> None:
        """Bound by another size from now on; what is on its way stays so."""
        with self._lock:
            self._left += size - self.size
            self.size = size


class Places:
    """Bound how many things happen at once.

    The lock is re-entrant, because a sample that is garbage gives its place back wherever the
    collector happens to run.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.taken = 0
        self._lock = threading.RLock()

    def try_take(self, most: int | None = None) -> bool:
        """Take a place if there is one, or if fewer than `most` are taken."""
        with self._lock:
            if self.taken >= (self.size if most is None else min(most, self.size)):
                return False
            self.taken += 1
            return True

    def give_back(self) -> None:
        """Return a place that was taken."""
        with self._lock:
            self.taken -= 1


@frozen
class Dispatch:
    """Hold the leave to send one prompt; see `SampleLimiter.try_dispatch`."""

    counted_bytes: int


class SampleLimiter:
    """Share one server's patience among all samplers of the process.

    Attributes:
        in_flight: Places for samples between their submission and their result.
        response_bytes: The bytes of large answers being fetched.
        prompt_bytes: The estimated bytes of prompts being sent.
    """

    def __init__(
        self,
        in_flight: int = SAMPLES_IN_FLIGHT,
        response_bytes: int = RESPONSE_BYTES,
        prompt_bytes: int = DISPATCH_BYTES,
    ) -> None:
        self.in_flight = Places(in_flight)
        self.response_bytes = ByteBudget(response_bytes)
        self.prompt_bytes = ByteBudget(prompt_bytes)
        self._dispatches = Places(DISPATCHES)
        self._quiet_until = -CAREFUL_SECONDS
        self._lock = threading.Lock()

    def adopt(self, limits: Limits) -> None:
        """Bound by these limits from now on; the newest session of a process decides."""
        self.in_flight.size = limits.samples_in_flight
        self.response_bytes.resize(limits.response_bytes)
        self.prompt_bytes.resize(limits.prompt_bytes)

    def try_dispatch(self, size: int, clock: Clock) -> Dispatch | None:
        """Take the leave to send a prompt of `size` estimated bytes, if there is room for it."""
        careful = clock.now() < self._quiet_until + CAREFUL_SECONDS
        counted = size * CAREFUL_FACTOR if careful else size
        if not self._dispatches.try_take(CAREFUL_DISPATCHES if careful else None):
            return None
        if self.prompt_bytes.try_take(counted):
            return Dispatch(counted)
        self._dispatches.give_back()
        return None

    def end_dispatch(self, dispatch: Dispatch) -> None:
        """Say that a prompt was sent, or that it will not be."""
        self.prompt_bytes.give_back(dispatch.counted_bytes)
        self._dispatches.give_back()

    def quiet_for(self, clock: Clock) -> float:
        """Return the seconds for which the server wants no new sample."""
        return max(0.0, self._quiet_until - clock.now())

    def be_quiet(self, seconds: float, clock: Clock) -> None:
        """Hold all samplers back for some seconds."""
        with self._lock:
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
