"""How a browser gets in where the server asks for a key, which it cannot send when it opens a page.

A page that is opened without a key is only a frame. Its script exchanges a code that can be used
once, or the key itself, for a token, keeps the token where only pages of this origin read it, and
loads the contents with it. The code stands behind the # of a link, which a browser never sends. So no
URL that is sent, logged or stored has anything in it that lets others in, and there is no cookie that
other servers of the machine would receive.
"""

import secrets
import threading
from collections import OrderedDict

from tinkex.local.keys import KeyRing
from tinkex.local.problem import Problem
from tinkex.local.signing import UrlSigner

TOKEN_HEADER = "x-page-token"  # noqa: S105 - the name of a header
TOKEN_LIFETIME_S = 30 * 86_400
MOST_CODES = 100


class PageAccess:
    """The codes that were given out and not used, and the tokens that they are exchanged for.

    A token is good for the pages alone, as long as the key is that it stands for.
    """

    def __init__(self, keys: KeyRing, signer: UrlSigner) -> None:
        self._keys = keys
        self._signer = signer
        self._lock = threading.Lock()
        self._codes: OrderedDict[str, None] = OrderedDict()

    def new_code(self) -> str:
        """Return a code that can be exchanged once."""
        code = secrets.token_urlsafe(18)
        with self._lock:
            self._codes[code] = None
            if len(self._codes) > MOST_CODES:
                self._codes.popitem(last=False)
        return code

    def token_for_code(self, code: str) -> str:
        """Exchange a code for a token, or raise a 401 problem."""
        with self._lock:
            if code not in self._codes:
                raise Problem(401, "this link was used before, or is not from this server")
            del self._codes[code]
        return self._token()

    def token_for_key(self, key: str) -> str:
        """Exchange the key for a token, or raise a 401 problem."""
        try:
            self._keys.check(key)
        except Problem as problem:
            raise Problem(401, "this is not the key of this server") from problem
        return self._token()

    def admits(self, token: str) -> bool:
        """Return whether a token is valid."""
        expires, _, signature = token.partition(".")
        if not (signature and expires.isascii() and expires.isdigit() and len(expires) < 20):
            return False
        try:
            self._signer.verify(self._keys.page_subject, int(expires), signature)
        except Problem:
            return False
        return True

    def _token(self) -> str:
        return self._signer.token(self._keys.page_subject, TOKEN_LIFETIME_S)
