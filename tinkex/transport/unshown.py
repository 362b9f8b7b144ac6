"""Keep the query of a URL, which may be a signature, out of the log of httpx.

httpx writes the URL of each request to its own logger, and that logger is the program's. So what it
writes is a URL that does not show its query; on the wire nothing is different.
"""

from __future__ import annotations

import httpx


class _Unshown(httpx.URL):
    """A URL whose text leaves the query out."""

    def __str__(self) -> str:
        return super().__str__().partition("?")[0]

    def __repr__(self) -> str:
        return f"URL({str(self)!r})"


def hide_query(request: httpx.Request) -> None:
    """Let a request show its URL without the query; a hook for `httpx.Client(event_hooks=...)`."""
    request.url = _Unshown(request.url)


HIDE_QUERY = {"request": [hide_query]}
