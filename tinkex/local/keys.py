"""Who is let in: API keys, and the short-lived tokens they can be exchanged for.

A token is a JWT (RFC 7519) signed with HMAC-SHA256. Of a key only a keyed digest is stored.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable
from typing import Any

import orjson

from tinkex.local.database import Database
from tinkex.local.problem import Problem

TOKEN_LIFETIME_S = 3600
TOKEN_START = "eyJ"  # noqa: S105 - how every JWT begins, base64 of '{"'
_HEADER = {"alg": "HS256", "typ": "JWT"}
NO_KEY = 0
_CHALLENGE = 'ApiKey realm="tinkex"'


class KeyRing:
    """The keys of a server: the one it was started with, or else any that was not deleted."""

    def __init__(
        self, database: Database, secret: bytes, now: Callable[[], float], only_key: str | None
    ) -> None:
        self._database = database
        self._secret = secret
        self._now = now
        self._only_key = only_key
        rows = database.rows("SELECT key_id, digest FROM api_keys WHERE deleted_at IS NOT NULL")
        self._deleted = {row["digest"]: int(row["key_id"]) for row in rows}

    def check(self, given: str) -> None:
        """Raise a 401 problem unless this credential is let in."""
        claims = self._claims(given)
        if claims is not None:
            if claims["exp"] <= self._now():
                raise _refusal("this token has expired", renew=True)
            if claims["key_id"] in self._deleted.values():
                raise _refusal("the key of this token was deleted")
            return
        if self._only_key is not None and not hmac.compare_digest(
            given.encode(), self._only_key.encode()
        ):
            got = "got another one" if given else "got none"
            # A token that is not ours any more (another data folder) can be had anew.
            raise _refusal(
                f"this server asks for its API key in X-API-Key, and {got}",
                renew=given.startswith(TOKEN_START),
            )
        if self._deleted and self._digest(given) in self._deleted:
            raise _refusal("this API key was deleted")

    def token(self, given: str) -> str:
        """Exchange a credential that was let in for a token."""
        now = int(self._now())
        claims = {
            "iss": "passport-tinkex-local",
            "sub": "tml:user:local",
            "org_id": "local",
            "iat": now,
            "exp": now + TOKEN_LIFETIME_S,
            "key_id": self.number(given),
        }
        signed = b".".join(_encode(orjson.dumps(part)) for part in (_HEADER, claims))
        return f"{signed.decode()}.{_encode(self._sign(signed)).decode()}"

    def number(self, given: str) -> int:
        """Return the number of a key, or of the key that a token was exchanged for.

        Where no key is needed, having none has the number 0.
        """
        claims = self._claims(given)
        if claims is not None:
            return int(claims["key_id"])
        if not given:
            return NO_KEY
        digest = self._digest(given)
        self._database.execute("INSERT OR IGNORE INTO api_keys (digest) VALUES (?)", (digest,))
        return self._database.count("SELECT key_id FROM api_keys WHERE digest = ?", (digest,))

    def delete(self, given: str) -> int:
        """Refuse a key from now on; return its number."""
        if self._claims(given) is not None:
            raise Problem(403, "a token cannot delete its key: present the key itself")
        if self._only_key is not None:
            raise Problem(
                403,
                "the key that this server was started with cannot be deleted: start the server"
                " with another one",
            )
        if not given:
            raise _refusal("no API key was presented in X-API-Key")
        number = self.number(given)
        self._database.execute(
            "UPDATE api_keys SET deleted_at = ? WHERE key_id = ?", (self._now(), number)
        )
        self._deleted[self._digest(given)] = number
        return number

    def _claims(self, given: str) -> dict[str, Any] | None:
        """Return the claims of a token that is ours, whether or not it has expired."""
        if not given.startswith(TOKEN_START) or given.count(".") != 2:
            return None
        signed, _, signature = given.rpartition(".")
        try:
            if not hmac.compare_digest(_decode(signature), self._sign(signed.encode())):
                return None
            claims: dict[str, Any] = orjson.loads(_decode(signed.partition(".")[2]))
        except (ValueError, binascii.Error):
            return None
        return claims

    def _digest(self, key: str) -> bytes:
        return hmac.new(self._secret, b"key\n" + key.encode(), hashlib.sha256).digest()

    def _sign(self, content: bytes) -> bytes:
        return hmac.new(self._secret, b"token\n" + content, hashlib.sha256).digest()


def _refusal(detail: str, *, renew: bool = False) -> Problem:
    challenge = f'{_CHALLENGE}, error="invalid_token"' if renew else _CHALLENGE
    return Problem(401, detail, headers={"www-authenticate": challenge})


def _encode(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
