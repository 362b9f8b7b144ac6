"""Keep the signatures of URLs out of the HTTP library's own log lines."""

from __future__ import annotations

import contextlib
import logging
import re
import threading
from collections.abc import Iterator

# httpx logs each URL at INFO, and httpcore each Location at DEBUG; huggingface_hub may bring their
# successors, or urllib3 before them. A filter sees only what is logged on its own logger, not on those below.
_PARTS = ("connection", "http11", "http2", "proxy", "socks")
LOGGERS = (
    "httpx",
    "httpx2",
    *(f"{core}.{part}" for core in ("httpcore", "httpcore2") for part in _PARTS),
    "huggingface_hub.utils._http",
    "urllib3.connectionpool",
)
_QUERY = re.compile(r"\?[^\s\"'#]+")


class _WithoutQueries(logging.Filter):
    """Rewrite a line so that its URLs end before their queries."""

    def filter(self, record: logging.LogRecord) -> bool:
        said = record.getMessage()
        if "?" in said:
            record.msg, record.args = without_queries_of(said), ()
        return True


def without_queries_of(text: str) -> str:
    """Return a text in which each URL ends before its query."""
    return _QUERY.sub("?[REDACTED]", text)


_filter = _WithoutQueries()
_lock = threading.Lock()
_users = 0


@contextlib.contextmanager
def without_queries() -> Iterator[None]:
    """Strip the queries of URLs from what httpx and httpcore log, as long as the block runs.

    A signature is as good as a key while it lasts. Other threads' lines lose their queries as well.
    """
    global _users
    with _lock:
        _users += 1
        for name in LOGGERS:
            logging.getLogger(name).addFilter(_filter)
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if not _users:
                for name in LOGGERS:
                    logging.getLogger(name).removeFilter(_filter)
