"""The secrets that go on requests, and nowhere else."""

from __future__ import annotations

import base64
import json
import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from tinkex.config import Config
from tinkex.errors import AuthenticationError, TinkexError
from tinkex.secret import Secret

if TYPE_CHECKING:
    from tinkex.credentials import KeySource

log = logging.getLogger("tinkex.transport")

# Renewed so long before it expires, or halfway through a life that is shorter than twice that.
EARLY_SECONDS = 60.0
# At least so long between two looks that nobody asked for: a source may be a slow command.
LEAST_SECONDS = 5.0


def key_source(config: Config) -> KeySource | None:
    """Return where the key is to be had anew, or None if it was given outright."""
    if (config.key_function, config.credential_cmd, config.credentials_file) == (None, None, None):
        return None
    # It loads what runs commands, which most programs never need.
    from tinkex.credentials import CredentialsFile, KeyCommand, KeyFunction

    if config.key_function is not None:
        return KeyFunction(config.key_function)
    if config.credential_cmd is not None:
        return KeyCommand(config.credential_cmd.reveal())
    return CredentialsFile(config.credentials_file or "")


def expiry_of(key: Secret) -> float | None:
    """Return when a key expires, in seconds since 1970, if it is a JWT that says so.

    The signature is the server's to check; see RFC 7519, section 4.1.4.
    """
    parts = key.reveal().split(".")
    if len(parts) != 3 or not parts[0].startswith("eyJ"):
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        return None
    expires = claims.get("exp") if isinstance(claims, dict) else None
    return float(expires) if isinstance(expires, int | float) and math.isfinite(expires) else None


class Credentials:
    """Hand out the secret headers at the last moment, so that no other object holds them.

    A key that comes from a source is read at the first request, again shortly before it expires,
    and again when the server refuses it. Where the server wants tokens, the key is exchanged for
    one, which is renewed in the same way.

    Args:
        config: Where the key comes from.
        wall_clock: Seconds since 1970, by which keys expire.
    """

    def __init__(self, config: Config, wall_clock: Callable[[], float] = time.time) -> None:
        self._source = key_source(config)
        self._wall_clock = wall_clock
        self._key = config.api_key
        self._token: Secret | None = None
        self._exchange: Callable[[], str] | None = None
        self._renew_at: float | None = None
        self._lock = threading.RLock()
        self._exchanging = threading.local()
        cf_secret = config.cf_access_client_secret
        self._others = {"CF-Access-Client-Secret": cf_secret} if cf_secret else {}
        self._never_shown = [
            secret for secret in (self._key, *self._others.values(), config.proxy) if secret
        ]
        self.generation = 0

    @property
    def is_fixed(self) -> bool:
        """Tell whether the key was given outright and is sent as it is."""
        return self._source is None and self._exchange is None

    @property
    def header_names(self) -> tuple[str, ...]:
        """Return the names of the headers that are set."""
        has_key = self._key is not None or self._source is not None
        return (*(("X-API-Key",) if has_key else ()), *self._others)

    def revealed(self) -> Iterator[tuple[str, str]]:
        """Yield each secret header with its value."""
        raw = getattr(self._exchanging, "now", False)
        key = self._key if raw or self._token is None else self._token
        if key is not None:
            yield "X-API-Key", key.reveal()
        for name, secret in self._others.items():
            yield name, secret.reveal()

    def use_tokens(self, exchange: Callable[[], str]) -> None:
        """Exchange the key for a token, now and whenever it expires; a JWT is one already.

        Args:
            exchange: Asks the server for a token; while it runs, requests carry the key itself.

        Raises:
            TinkexError: The server gives none.
        """
        self.prepare()
        if self._key is not None and not self._key.reveal().startswith("eyJ"):
            self._exchange = exchange
            self.prepare()

    def prepare(self) -> None:
        """Have a key, or a token, that is good for the next request.

        Raises:
            TinkexError: There is none to be had.
        """
        if self.is_fixed or getattr(self._exchanging, "now", False):
            return
        with self._lock:
            current = self._key if self._exchange is None else self._token
            if current is not None and not self._is_due():
                return
            try:
                self._renew()
            except AuthenticationError:
                raise
            except TinkexError as error:
                expires = expiry_of(current) if current is not None else None
                if expires is None or expires <= self._wall_clock():
                    raise
                self._renew_at = min(expires, self._wall_clock() + EARLY_SECONDS)
                log.warning("The API key could not be renewed, and is used as long as it is good: %s",
                            error)  # fmt: skip

    def renewed(self, generation: int) -> bool:
        """Get another key after the server refused one; return whether there is another.

        Args:
            generation: What `generation` was before the request that was refused. If another
                thread has renewed it since, that is enough.
        """
        if self.is_fixed or getattr(self._exchanging, "now", False):
            return False
        with self._lock:
            if generation != self.generation:
                return True
            before = self._key if self._exchange is None else self._token
            try:
                self._renew()
            except TinkexError as error:
                log.warning("The server refused the API key, and there is no other: %s", error)
                return False
            now = self._key if self._exchange is None else self._token
            return now != before

    def _is_due(self) -> bool:
        return self._renew_at is not None and self._wall_clock() >= self._renew_at

    def _renew(self) -> None:
        if self._exchange is None:
            self._read()
        else:
            self._take_token()
        self.generation += 1

    def _read(self) -> None:
        if self._source is not None:
            self._key = self._source.read()
            self.hide(self._key)
            self._plan(self._key)

    def _take_token(self) -> None:
        if self._key is None:
            self._read()
        try:
            self._token = self._asked_for_token()
        except AuthenticationError:
            if self._source is None:
                raise
            refused = self._key
            self._read()
            if self._key == refused:
                raise
            self._token = self._asked_for_token()
        self._plan(self._token)

    def _asked_for_token(self) -> Secret:
        assert self._exchange is not None  # noqa: S101 - only asked for where there is one
        self._exchanging.now = True
        try:
            token = Secret(self._exchange())
        finally:
            self._exchanging.now = False
        self.hide(token)
        return token

    def _plan(self, key: Secret) -> None:
        expires, now = expiry_of(key), self._wall_clock()
        if expires is None:
            self._renew_at = None
            return
        early = min(EARLY_SECONDS, max(0.0, expires - now) / 2)
        self._renew_at = max(expires - early, now + LEAST_SECONDS)

    def hide(self, secret: Secret) -> None:
        """Mask one more secret in what servers say."""
        if secret not in self._never_shown:
            self._never_shown = [*self._never_shown, secret]

    def redact(self, text: str) -> str:
        """Return the text with the secrets masked, wherever a server may have echoed them."""
        for secret in self._never_shown:
            text = secret.redact(text)
        return text
