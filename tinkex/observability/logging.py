"""Logging to stderr, for scripts without a logging configuration."""

from __future__ import annotations

import logging
import os

from tinkex.errors import ConfigurationError

_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


def enable_logging(level: str | None = None) -> None:
    """Write the records of the ``tinkex`` loggers to stderr; other loggers are unaffected.

    >>> enable_logging("info")

    Args:
        level: "debug", "info", "warning" or "error"; by default TINKER_LOG, else "info".

    Raises:
        ConfigurationError: The level is unknown.
    """
    name = (level or os.environ.get("TINKER_LOG") or "info").lower()
    if name not in _LEVELS:
        source = "level" if level else "TINKER_LOG"
        raise ConfigurationError(f"{source} must be debug, info, warning or error, not {name!r}")
    logger = logging.getLogger("tinkex")
    logger.setLevel(_LEVELS[name])
    if not any(isinstance(handler, _StderrHandler) for handler in logger.handlers):
        handler = _StderrHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        logger.addHandler(handler)


class _StderrHandler(logging.StreamHandler):  # type: ignore[type-arg]
    """A class that distinguishes our handler from the program's."""
