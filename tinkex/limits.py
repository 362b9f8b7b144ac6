"""What many calls share: bytes being fetched, samples in flight, and a server's wish for quiet."""

from __future__ import annotations

import threading
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

from tinkex.clock import Clock
from tinkex.config import Config
from tinkex.secret import Secret

RESPONSE_BYTES = 50 * 1024 * 1024
SAMPLES_IN_FLIGHT = 1000
LARGE_PROMPT_BYTES = 131_072


class ByteBudget:
    """Bound the bytes that are being fetched at once.

    One taker may overshoot, so that nothing is ever too large to fetch.
    """

    def __init__(self, size: int = RESPONSE_BYTES) -> None:
        self._left = size
        self._lock = threading.Lock()

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


class SampleLimiter:
    """Share one server's patience among all samplers of the process.

    Attributes:
        response_bytes: The bytes of large answers being fetched.
    """

    def __init__(self, in_flight: int = SAMPLES_IN_FLIGHT) -> None:
        self.response_bytes = ByteBudget()
        self._free = in_flight
        self._quiet_until = 0.0
        self._lock = threading.Lock()

    def try_start(self) -> bool:
        """Take a place in flight if there is one."""
        with self._lock:
            if self._free <= 0:
                return False
            self._free -= 1
            return True

    def finish(self) -> None:
        """Give the place back."""
        with self._lock:
            self._free += 1

    def quiet_for(self, clock: Clock) -> float:
        """Return the seconds for which the server wants no new sample."""
        return max(0.0, self._quiet_until - clock.now())

    def be_quiet(self, seconds: float, clock: Clock) -> None:
        """Hold all samplers back for some seconds."""
        with self._lock:
            self._quiet_until = max(self._quiet_until, clock.now() + seconds)


def _server(base_url: str) -> str:
    """Return one spelling for all ways to write a server's URL."""
    parts = urlsplit(base_url)
    default = {"http": 80, "https": 443}.get(parts.scheme)
    port = "" if parts.port in (None, default) else f":{parts.port}"
    return f"{parts.scheme}://{parts.hostname}{port}{parts.path.rstrip('/')}"


_limiters: WeakValueDictionary[tuple[str, Secret | None], SampleLimiter] = WeakValueDictionary()
_limiters_lock = threading.Lock()


def sample_limiter(config: Config) -> SampleLimiter:
    """Return the limiter of a server and key; the same for all clients that are alive."""
    key = (_server(config.base_url), config.api_key)
    with _limiters_lock:
        limiter = _limiters.get(key)
        if limiter is None:
            limiter = _limiters[key] = SampleLimiter()
        return limiter
