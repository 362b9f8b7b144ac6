"""The secret headers of requests."""

from __future__ import annotations

import base64
import json
import logging
import math
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any

from tinkex._base.lazy import LazyModule
from tinkex._base.redaction import hide
from tinkex._base.secret import Secret
from tinkex.config import Config
from tinkex.errors import AuthenticationError, TinkexError

if TYPE_CHECKING:
    import asyncio

    from tinkex.credentials import KeySource
else:
    asyncio = LazyModule("asyncio")

log = logging.getLogger("tinkex.transport")

# Keys are renewed this long before they expire, or halfway through a lifetime shorter than twice that.
EARLY_SECONDS = 60.0
# Shortest time between two proactive renewals: the source may be a slow command.
LEAST_SECONDS = 5.0


def key_source(config: Config) -> KeySource | None:
    """Return the source from which the key can be read again, or None for a fixed key."""
    if (config.key_function, config.credential_cmd, config.credentials_file) == (None, None, None):
        return None
    # Lazy: it loads subprocess, which most programs never need.
    from tinkex.credentials import CredentialsFile, KeyCommand, KeyFunction

    if config.key_function is not None:
        return KeyFunction(config.key_function)
    if config.credential_cmd is not None:
        return KeyCommand(config.credential_cmd.reveal())
    return CredentialsFile(config.credentials_file or "")


def claims_of(key: Secret) -> dict[str, Any]:
    """Return a key's claims, if it is a JWT; else an empty dict.

    The signature is for the server to verify; see RFC 7519.
    """
    parts = key.reveal().split(".")
    if len(parts) != 3 or not parts[0].startswith("eyJ"):
        return {}
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        return {}
    return claims if isinstance(claims, dict) else {}


def expiry_of(key: Secret) -> float | None:
    """Return when a key expires, in seconds since 1970, if it is a JWT that says so."""
    expires = claims_of(key).get("exp")
    return float(expires) if isinstance(expires, int | float) and math.isfinite(expires) else None


class Credentials:
    """The secret headers, added to requests at the last moment, so that no other object holds them.

    A key from a source is read before the first request, shortly before it expires, and after the server
    refuses it. If the server uses tokens, the key is exchanged for one, which is renewed in the same
    way.

    Args:
        config: The settings, with the key or its source.
        wall_clock: Returns seconds since 1970, to compare with expiry times.
    """

    def __init__(self, config: Config, wall_clock: Callable[[], float] = time.time) -> None:
        self._source = key_source(config)
        self._wall_clock = wall_clock
        self._key = config.api_key
        self._token: Secret | None = None
        self._exchange: Callable[[], Awaitable[str]] | None = None
        self._renew_at: float | None = None
        self._lock: asyncio.Lock | None = None
        self._is_exchanging = False
        cf_secret = config.cf_access_client_secret
        self._others = {"CF-Access-Client-Secret": cf_secret} if cf_secret else {}
        hide(self._key, *self._others.values())
        self.generation = 0

    @property
    def is_fixed(self) -> bool:
        """Return whether the key is fixed and sent as it is."""
        return self._source is None and self._exchange is None

    @property
    def header_names(self) -> tuple[str, ...]:
        """Return the names of the headers that are set."""
        has_key = self._key is not None or self._source is not None
        return (*(("X-API-Key",) if has_key else ()), *self._others)

    def revealed(self) -> Iterator[tuple[str, str]]:
        """Yield each secret header with its value."""
        # During an exchange only the exchange request is sent; all others wait.
        key = self._key if self._is_exchanging or self._token is None else self._token
        if key is not None:
            yield "X-API-Key", key.reveal()
        for name, secret in self._others.items():
            yield name, secret.reveal()

    @property
    def claims(self) -> dict[str, Any]:
        """Return what the token in use says of its owner; nothing if a plain key is in use."""
        key = self._token or self._key
        return {} if key is None else claims_of(key)

    async def use_tokens(self, exchange: Callable[[], Awaitable[str]]) -> None:
        """Exchange the key for a token, now and before each expiry; a JWT is used as it is.

        Args:
            exchange: Requests a token from the server; its request carries the key itself.

        Raises:
            TinkexError: The server returned no token.
        """
        await self.prepare()
        if self._key is not None and not self._key.reveal().startswith("eyJ"):
            self._exchange = exchange
            await self.prepare()

    async def prepare(self, *, for_exchange: bool = False) -> None:
        """Ensure that a valid key or token is available for the next request.

        Args:
            for_exchange: Whether the next request is the token exchange.

        Raises:
            TinkexError: No key or token is available.
        """
        if self.is_fixed or for_exchange:
            return
        async with self._turn():
            current = self._current
            if current is not None and not self._is_due():
                return
            try:
                await self._renew()
            except AuthenticationError:
                raise
            except TinkexError as error:
                expires = expiry_of(current) if current is not None else None
                if expires is None or expires <= self._wall_clock():
                    raise
                self._renew_at = min(expires, self._wall_clock() + EARLY_SECONDS)
                log.warning(
                    "The API key could not be renewed, and stays in use while it is valid: %s",
                    error,
                )

    async def renewed(self, generation: int, *, for_exchange: bool = False) -> bool:
        """Renew the key after the server refused it; return whether there is another key.

        Args:
            generation: The value of `generation` before the refused request. If another request has
                renewed the key since, nothing is done.
            for_exchange: Whether the refused request was the token exchange.
        """
        if self.is_fixed or for_exchange:
            return False
        async with self._turn():
            if generation != self.generation:
                return True
            before = self._current
            try:
                await self._renew()
            except TinkexError as error:
                log.warning(
                    "The server refused the API key, and no other key is available: %s", error
                )
                return False
            return self._current != before

    @property
    def _current(self) -> Secret | None:
        return self._key if self._exchange is None else self._token

    def _turn(self) -> asyncio.Lock:
        # Created on the loop that uses it.
        self._lock = self._lock or asyncio.Lock()
        return self._lock

    def _is_due(self) -> bool:
        return self._renew_at is not None and self._wall_clock() >= self._renew_at

    async def _renew(self) -> None:
        if self._exchange is None:
            await self._read()
        else:
            await self._take_token()
        self.generation += 1

    async def _read(self) -> None:
        if self._source is not None:
            # The source may be a slow command or a blocking function.
            self._key = await asyncio.to_thread(self._source.read)
            hide(self._key)
            self._plan(self._key)

    async def _take_token(self) -> None:
        if self._key is None:
            await self._read()
        try:
            self._token = await self._asked_for_token()
        except AuthenticationError:
            if self._source is None:
                raise
            refused = self._key
            await self._read()
            if self._key == refused:
                raise
            self._token = await self._asked_for_token()
        self._plan(self._token)

    async def _asked_for_token(self) -> Secret:
        assert self._exchange is not None  # noqa: S101 - only called with tokens in use
        self._is_exchanging = True
        try:
            token = Secret(await self._exchange())
        finally:
            self._is_exchanging = False
        hide(token)
        return token

    def _plan(self, key: Secret) -> None:
        expires, now = expiry_of(key), self._wall_clock()
        if expires is None:
            self._renew_at = None
            return
        early = min(EARLY_SECONDS, max(0.0, expires - now) / 2)
        self._renew_at = max(expires - early, now + LEAST_SECONDS)
