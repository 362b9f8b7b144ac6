"""Faults as data: what fails at which request, and a log of injected faults."""

import math
import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self

import attrs
from attrs import define, field, frozen

from tinkex._base.headers import is_header_name

ANY_OPERATION = "*"
_EFFECTS = ("status", "cut_after", "truncate", "reset", "duplicate")


class FaultError(ValueError):
    """An invalid fault; the message names the field."""


@frozen(kw_only=True, repr=False)
class Fault:
    """A failure of certain requests.

    Example:
        >>> from tinkex.testing import Fault
        >>> Fault(on="optim_step", reset=True)
        Fault(on='optim_step', reset=True)

    It applies to requests of the operation `on` (an operation id of openapi.yaml, such as
    `retrieve_future`; `"*"` for all), starting with the `nth` (counted from 1, since the fault was
    added), then every `every`-th one, `times` times in total (None: without limit).

    It has at most one of these effects:

    - `status`, with `headers` and `body` (text, or any JSON value): sent instead of the server's
      response. The request has no effect.
    - `cut_after`: the response announces its full length, and the connection is closed after this many
      bytes of its body. A response that is not longer is unchanged.
    - `truncate`: the response is complete for HTTP, but its body ends after this many bytes.
    - `reset`: the connection is reset (TCP RST) instead of a response.
    - `duplicate`: the request is processed twice, as if a proxy had repeated it; the second response is sent.

    `applied` says whether the request takes effect: by default not with `status`, otherwise yes.
    `latency` delays the request by seconds, `hold` delays its response. They can be used
    alone or with any of the above.

    Raises:
        FaultError: The fields contradict each other or are out of range.
    """

    on: str = ANY_OPERATION
    nth: int = 1
    every: int = 1
    times: int | None = 1
    status: int | None = None
    headers: Mapping[str, str] = field(factory=dict)
    body: Any = None
    cut_after: int | None = None
    truncate: int | None = None
    reset: bool = False
    duplicate: bool = False
    applied: bool | None = None
    latency: float = 0.0
    hold: float = 0.0

    def __attrs_post_init__(self) -> None:
        _check(self)

    def __repr__(self) -> str:
        """Show the fields that differ from their defaults."""
        shown = ", ".join(
            f"{entry.name}={getattr(self, entry.name)!r}"
            for entry in attrs.fields(Fault)
            if getattr(self, entry.name) != _default(entry)
        )
        return f"Fault({shown})"

    @property
    def takes_effect(self) -> bool:
        """Return whether the request reaches the server."""
        return self.status is None if self.applied is None else self.applied

    def falls_on(self, number: int, played: int) -> bool:
        """Return whether the fault is due at its `number`-th request, after `played` injections."""
        if self.times is not None and played >= self.times:
            return False
        return number >= self.nth and (number - self.nth) % self.every == 0


@frozen
class PlayedFault:
    """A log entry: the injected fault and its request."""

    fault: Fault
    operation: str
    number: int
    method: str
    path: str


@define(eq=False)
class _Armed:
    fault: Fault
    seen: int = 0
    played: int = 0


class FaultPlan:
    """The faults of a running server; thread-safe.

    If several faults are due at one request, the one that was added first is injected.
    """

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._lock = threading.Lock()
        self._armed: list[_Armed] = []
        self._played: list[PlayedFault] = []
        self.add(*faults)

    def add(self, *faults: Fault) -> Self:
        """Add faults; they count requests from now on."""
        for fault in faults:
            if not isinstance(fault, Fault):
                raise FaultError(f"{fault!r} is not a Fault")
        with self._lock:
            self._armed.extend(_Armed(fault) for fault in faults)
        return self

    def clear(self) -> None:
        """Remove all faults; the log is kept."""
        with self._lock:
            self._armed.clear()

    @property
    def played(self) -> list[PlayedFault]:
        """Return the faults injected so far, in order."""
        with self._lock:
            return list(self._played)

    @property
    def waiting(self) -> list[Fault]:
        """Return the faults that are not exhausted."""
        with self._lock:
            return [
                armed.fault
                for armed in self._armed
                if armed.fault.times is None or armed.played < armed.fault.times
            ]

    def __iter__(self) -> Iterator[Fault]:
        with self._lock:
            return iter([armed.fault for armed in self._armed])

    def __len__(self) -> int:
        return len(self._armed)

    def take(self, operation: str, method: str, path: str) -> Fault | None:
        """Count a request, and return and log the fault that is due."""
        with self._lock:
            due: _Armed | None = None
            for armed in self._armed:
                if armed.fault.on not in (ANY_OPERATION, operation):
                    continue
                armed.seen += 1
                if due is None and armed.fault.falls_on(armed.seen, armed.played):
                    due = armed
            if due is None:
                return None
            due.played += 1
            self._played.append(PlayedFault(due.fault, operation, due.seen, method, path))
            return due.fault


def _default(entry: Any) -> Any:
    return {} if isinstance(entry.default, attrs.Factory) else entry.default  # type: ignore[arg-type]


def _check(fault: Fault) -> None:
    if not isinstance(fault.on, str) or not fault.on:
        raise FaultError(f"on: expected the id of an operation, got {fault.on!r}")
    for name, least in (("nth", 1), ("every", 1), ("cut_after", 0), ("truncate", 0)):
        _check_count(name, getattr(fault, name), least, optional=least == 0)
    _check_count("times", fault.times, 1, optional=True)
    for name in ("latency", "hold"):
        seconds = getattr(fault, name)
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
            raise FaultError(f"{name}: expected seconds, got {seconds!r}")
        if not 0 <= seconds < math.inf:
            raise FaultError(f"{name}: must be finite and not negative, got {seconds!r}")
    for name in ("reset", "duplicate"):
        if not isinstance(getattr(fault, name), bool):
            raise FaultError(f"{name}: expected true or false, got {getattr(fault, name)!r}")
    if fault.applied is not None and not isinstance(fault.applied, bool):
        raise FaultError(f"applied: expected true or false, got {fault.applied!r}")
    _check_response(fault)
    _check_together(fault)


def _check_count(name: str, value: Any, least: int, *, optional: bool) -> None:
    if value is None and optional:
        return
    if isinstance(value, bool) or not isinstance(value, int):
        raise FaultError(f"{name}: expected a whole number, got {value!r}")
    if value < least:
        raise FaultError(f"{name}: must be at least {least}, got {value}")


def _check_response(fault: Fault) -> None:
    status = fault.status
    if status is not None:
        if isinstance(status, bool) or not isinstance(status, int):
            raise FaultError(f"status: expected a whole number, got {status!r}")
        if not 200 <= status <= 599:
            raise FaultError(f"status: must be from 200 to 599, got {status}")
    if not isinstance(fault.headers, Mapping):
        raise FaultError(f"headers: expected names and values, got {fault.headers!r}")
    for name, value in fault.headers.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise FaultError(f"headers: expected text, got {name!r}: {value!r}")
        if not (is_header_name(name) and value.isascii() and value.isprintable()):
            raise FaultError(f"headers: cannot be sent: {name!r}: {value!r}")
    if status is None and (fault.headers or fault.body is not None):
        raise FaultError("status: is required with headers or body")


def _check_together(fault: Fault) -> None:
    chosen = [name for name in _EFFECTS if getattr(fault, name) not in (None, False)]
    if len(chosen) > 1:
        raise FaultError(f"{chosen[1]}: cannot be combined with {chosen[0]}")
    if not chosen and not fault.latency and not fault.hold:
        raise FaultError(f"no effect: set one of {', '.join(_EFFECTS)}, latency or hold")
    if fault.applied is False and not (chosen and chosen[0] in ("status", "reset")):
        raise FaultError("applied: may be false only with status or reset")
