"""Log records as lines that what a client sends can neither split nor colour."""

import logging
from types import TracebackType
from typing import Any

_INDENT = "    "


def one_line(text: str) -> str:
    r"""Return a text with everything that is not printable escaped.

    >>> one_line("/api\n2027-01-01 INFO all is well\x1b[2K")
    '/api\\n2027-01-01 INFO all is well\\x1b[2K'
    """
    if text.isprintable():
        return text
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text
    )


class LineFormatter(logging.Formatter):
    """One line per record; the lines of a traceback are indented, so that none looks like a record."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Return the line of a record."""
        return one_line(super().formatMessage(record))

    def formatException(  # noqa: N802 - logging's name
        self,
        ei: tuple[type[BaseException], BaseException, TracebackType | None]
        | tuple[None, None, None],
    ) -> str:
        """Return a traceback, each of its lines indented."""
        return _indented(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:  # noqa: N802 - logging's name
        """Return a stack, each of its lines indented."""
        return _indented(super().formatStack(stack_info))


def configure(level: int) -> None:
    """Log to stderr in such lines."""
    handler: logging.Handler = logging.StreamHandler()
    handler.setFormatter(LineFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=level, handlers=[handler])


def _indented(text: Any) -> str:
    return "\n".join(_INDENT + one_line(line) for line in str(text).splitlines())
