"""The clock by which silence is measured."""

import threading
from collections.abc import Callable

# The upkeep looks at the clock more often than this, so a longer step was no time awake.
MOST_STEP_S = 60.0


class AwakeClock:
    """Seconds in which the server ran.

    Neither a jump of the system's clock nor time in which the machine slept, or the process was
    stopped, counts: clients could not send a sign of life then.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._last = monotonic()
        self._awake = 0.0

    def __call__(self) -> float:
        """Return the seconds since the clock was made."""
        with self._lock:
            now = self._monotonic()
            self._awake += min(max(now - self._last, 0.0), MOST_STEP_S)
            self._last = now
            return self._awake
