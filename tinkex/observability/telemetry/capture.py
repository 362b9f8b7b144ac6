"""Report an exception on its way through, and let it go on."""

from __future__ import annotations

from contextlib import ContextDecorator
from types import TracebackType
from typing import Self

from tinkex.observability.telemetry.events import Severity
from tinkex.observability.telemetry.reporter import TelemetryReporter


class capture_exceptions(ContextDecorator):  # noqa: N801 - used like a function
    """Report what is raised inside, and raise it again as it was.

    >>> with capture_exceptions(service.telemetry):
    ...     train()
    >>> @capture_exceptions(service.telemetry, fatal=True)
    ... def main() -> None: ...

    The exception keeps its own traceback, its cause and its notes. An interrupt counts; the end of a
    generator and an orderly `sys.exit()` do not.

    Args:
        reporter: Where to; None, as `ServiceClient.telemetry` is where it is off, reports nothing.
        fatal: Whether it ends the session: the end is told, and everything sent before going on.
        severity: How bad it is, if it is not fatal.
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

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None or self._reporter is None or _is_orderly(error):
            return
        if self._fatal:
            self._reporter.log_fatal_exception(error)
        else:
            self._reporter.log_exception(error, self._severity)


def _is_orderly(error: BaseException) -> bool:
    is_exit = isinstance(error, SystemExit) and error.code in (None, 0)
    return is_exit or isinstance(error, GeneratorExit)
