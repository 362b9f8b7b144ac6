"""API keys, and the short-lived tokens they can be exchanged for.

A token is a JWT (RFC 7519) signed with HMAC-SHA256. It holds the digest of the key that it was
exchanged for, and is good only as long as that key is. Of a key only this keyed digest is stored.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable
from typing import Any

import orjson

from tinkex._base.secret import Secret
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
        self, database: Database, secret: bytes, now: Callable[[], float], only_key: Secret | None
    ) -> None:
        self._database = database
        self._secret = secret
        self._now = now
        self._only = None if only_key is None else self._digest(only_key.reveal())
        rows = database.rows("SELECT digest FROM api_keys WHERE deleted_at IS NOT NULL")
        self._deleted = {bytes(row["digest"]) for row in rows}

    @property
    def page_subject(self) -> str:
        """What a link to the pages is signed for; it ends with the key of the server."""
        return "page" if self._only is None else f"page {self._only.hex()}"

    def check(self, given: str) -> None:
        """Raise a 401 problem unless this credential is let in."""
        claims = self._claims(given)
        if claims is None:
            digest = self._digest(given)
            if self._only is not None and not hmac.compare_digest(digest, self._only):
                got = "got another one" if given else "got none"
                # A token that is not ours any more (another data folder) can be exchanged again.
                raise _refusal(
                    f"this server asks for its API key in X-API-Key, and {got}",
                    renew=given.startswith(TOKEN_START),
                )
            if digest in self._deleted:
                raise _refusal("this API key was deleted")
            return
        if claims["exp"] <= self._now():
            raise _refusal("this token has expired", renew=True)
        digest = _decode(claims["key"])
        if self._only is not None and not hmac.compare_digest(digest, self._only):
            raise _refusal("this token was exchanged for a key that this server does not take")
        if digest in self._deleted:
            raise _refusal("the key of this token was deleted")

    def token(self, given: str) -> str:
        """Exchange a key that was let in for a token.

        A token is not exchanged for another: it would outlive its hour without end.
        """
        if self._claims(given) is not None:
            raise Problem(403, "a token cannot be exchanged for another: present the key itself")
        now = int(self._now())
        claims = {
            "iss": "passport-tinkex-local",
            "sub": "tml:user:local",
            "org_id": "local",
            "iat": now,
            "exp": now + TOKEN_LIFETIME_S,
            "key_id": self.number(given),
            "key": _encode(self._digest(given)).decode(),
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
        if self._only is not None:
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
        self._deleted.add(self._digest(given))
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
        # An earlier build left out which key a token is for: such a token is none of ours.
        return claims if "key" in claims else None

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
