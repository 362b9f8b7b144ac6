"""Redaction of foreign text: secrets masked, control characters replaced, length limited.

Code that starts using a secret registers it here, so that errors can mask it without a reference to a
client. The order matters: text that is cut before it is masked may end in half a secret, which no mask
matches.
"""

from __future__ import annotations

import contextlib
import json
import logging
import re
import threading
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

from tinkex._base.secret import Secret

MASK = "[REDACTED]"
# Longest server text quoted in a message, in characters.
LONGEST_WORDS = 2_000

# Beyond this number the least recently registered secrets are dropped.
_MOST = 500
# Shorter strings are not secrets; masking them would garble ordinary text.
_SHORTEST = 4
# Shorter secrets may equal ordinary words: they are masked only as whole words.
_SHORTEST_INSIDE = 8

_USER_INFO = re.compile(r"(?<=://)[^/\s@]+(?=@)")
_QUERY = re.compile(r"\?[^\s\"'#]+")

_lock = threading.Lock()
_known: dict[str, None] = {}
_inside: tuple[str, ...] = ()
_alone: re.Pattern[str] | None = None


def hide(*secrets: Secret | str | None) -> None:
    """Mask secrets in all foreign text that this process shows from now on.

    >>> hide(Secret("tml-0123456789"))
    >>> redact("no such key: tml-0123456789")
    'no such key: [REDACTED]'

    Args:
        secrets: Keys, tokens and passwords in use; None and empty strings are ignored.
    """
    with _lock:
        is_new = False
        for secret in secrets:
            value = secret.reveal() if isinstance(secret, Secret) else secret
            if value is not None and len(value) >= _SHORTEST:
                is_new |= value not in _known
                _known.pop(value, None)
                _known[value] = None
        if is_new:
            for oldest in list(_known)[:-_MOST]:
                del _known[oldest]
            _remember(_known)


def _remember(values: Iterable[str]) -> None:
    """Replace the patterns of `redact`, which reads them without the lock."""
    global _inside, _alone
    forms = sorted({form for value in values for form in _forms(value)}, key=len, reverse=True)
    short = [re.escape(form) for form in forms if len(form) < _SHORTEST_INSIDE]
    _inside = tuple(form for form in forms if len(form) >= _SHORTEST_INSIDE)
    _alone = re.compile(rf"(?<!\w)(?:{'|'.join(short)})(?!\w)") if short else None


def _forms(value: str) -> set[str]:
    """Return a secret as it is, and as it is escaped in URLs and JSON."""
    quoted = {
        quote(value, safe="", errors="replace"),
        quote(value, errors="replace"),
        quote_plus(value, errors="replace"),
    }
    in_json = {json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
    lower_case = {re.sub("%..", lambda found: found[0].lower(), one) for one in quoted}
    return {value} | quoted | lower_case | in_json


def redact(text: str) -> str:
    """Return a text with every known secret, and the user part of every URL, masked."""
    for form in _inside:
        if form in text:
            text = text.replace(form, MASK)
    if _alone is not None:
        text = _alone.sub(MASK, text)
    return _USER_INFO.sub(MASK, text) if "@" in text else text


def clean(text: str) -> str:
    r"""Return a text without control characters that move a terminal's cursor; line ends stay.

    >>> clean("red: \x1b[31m")
    'red: �[31m'
    """
    if text.isprintable():
        return text
    text = text.replace("\r\n", "\n").replace("\t", " ")
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)


def cut(text: str, longest: int) -> str:
    """Return a text of at most `longest` characters; an ellipsis marks the cut."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def safe_text(text: str, longest: int = LONGEST_WORDS) -> str:
    """Return foreign text that is safe to show: masked, cleaned, cut."""
    return cut(clean(redact(text)), longest)


def without_queries_of(text: str) -> str:
    """Return a text whose URLs end before their queries, which may hold signatures."""
    return _QUERY.sub(f"?{MASK}", text)


# httpx logs each URL at INFO, and httpcore each Location at DEBUG; huggingface_hub may bring httpx2,
# or urllib3 before it. A filter applies only to its own logger, not to that logger's children.
_PARTS = ("connection", "http11", "http2", "proxy", "socks")
LOGGERS = (
    "httpx",
    "httpx2",
    *(f"{core}.{part}" for core in ("httpcore", "httpcore2") for part in _PARTS),
    "huggingface_hub.utils._http",
    "urllib3.connectionpool",
)


class _WithoutQueries(logging.Filter):
    """Log filter that strips the queries of URLs and masks known secrets."""

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        shown = redact(without_queries_of(message))
        if shown != message:
            record.msg, record.args = shown, ()
        return True


_filter = _WithoutQueries()


def strip_queries(*loggers: str) -> None:
    """Strip the queries of URLs from the records of these loggers from now on."""
    for name in loggers:
        logging.getLogger(name).addFilter(_filter)


_filter_lock = threading.Lock()
_users = 0


@contextlib.contextmanager
def without_queries() -> Iterator[None]:
    """Strip the queries of URLs from what httpx and httpcore log while the block runs.

    Signed URLs work like keys until they expire. Log records of other threads are stripped as well.
    """
    global _users
    with _filter_lock:
        _users += 1
        for name in LOGGERS:
            logging.getLogger(name).addFilter(_filter)
    try:
        yield
    finally:
        with _filter_lock:
            _users -= 1
            if not _users:
                for name in LOGGERS:
                    logging.getLogger(name).removeFilter(_filter)
