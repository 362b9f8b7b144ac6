"""Signed URLs, which replace the key for a limited time."""

import hashlib
import hmac
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import urlencode

from attrs import define, field

from tinkex.local.problem import Problem

URL_LIFETIME_S = 3600


@define(eq=False)
class UrlSigner:
    """Sign what a URL is for, and check it when the URL comes back.

    Every subject begins with the kind of thing it is for, so that a signature for one thing is
    good for no other.
    """

    _key: bytes = field(repr=False)
    _now: Callable[[], float]

    def query(self, subject: str, lifetime_s: int = URL_LIFETIME_S) -> tuple[str, datetime]:
        """Return the query of a URL for `subject`, and when it ends."""
        expires = int(self._now()) + lifetime_s
        query = urlencode({"expires": expires, "signature": self._signature(subject, expires)})
        return query, datetime.fromtimestamp(expires, UTC)

    def token(self, subject: str, lifetime_s: int) -> str:
        """Return a signature for `subject` with its end, as one word."""
        expires = int(self._now()) + lifetime_s
        return f"{expires}.{self._signature(subject, expires)}"

    def verify(self, subject: str, expires: int, signature: str) -> None:
        """Raise a 403 problem unless the signature is ours and still valid."""
        if not hmac.compare_digest(self._signature(subject, expires).encode(), signature.encode()):
            raise Problem(403, "the signature of this download URL is wrong")
        if expires <= self._now():
            raise Problem(403, "this download URL has expired: ask for a new one")

    def _signature(self, subject: str, expires: int) -> str:
        return hmac.new(self._key, f"{subject}\n{expires}".encode(), hashlib.sha256).hexdigest()
