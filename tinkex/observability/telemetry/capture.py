"""Reporting of exceptions without handling them."""

from __future__ import annotations

from contextlib import ContextDecorator
from typing import Self

from tinkex.observability.telemetry.events import Severity
from tinkex.observability.telemetry.reporter import TelemetryReporter


class capture_exceptions(ContextDecorator):  # noqa: N801 - used like a function
    """A context manager and decorator that reports exceptions and re-raises them unchanged.

    >>> with capture_exceptions(service.telemetry):
    ...     train()
    >>> @capture_exceptions(service.telemetry, fatal=True)
    ... def main() -> None: ...

    Traceback, cause and notes are kept. An interrupt is reported; the end of a generator and an orderly
    `sys.exit()` are not.

    Args:
        reporter: The reporter; None, the value of `ServiceClient.telemetry` if it is off, reports nothing.
        fatal: Whether the exception ends the session: all events are then sent before it propagates.
        severity: The severity of non-fatal exceptions.
    """

    def __init__(
        self,
        reporter: TelemetryReporter | None,
        *,
        fatal: bool = False,
        severity: Severity = "ERROR",
    ) -> None:
        self._reporter = reporter
        self._fatal = fatal
        self._severity = severity

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if error is None or self._reporter is None or _is_orderly(error):
            return
        if self._fatal:
            self._reporter.log_fatal_exception(error)
        else:
            self._reporter.log_exception(error, self._severity)


def _is_orderly(error: BaseException) -> bool:
    is_exit = isinstance(error, SystemExit) and error.code in (None, 0)
    return is_exit or isinstance(error, GeneratorExit)
