"""The user's token for the Hugging Face Hub."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from tinkex._base.redaction import hide
from tinkex._base.secret import Secret
from tinkex.errors import MissingCredentialsError

VARIABLES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
_LONGEST = 4096


def find_token(given: str | Secret | None, environ: Mapping[str, str] | None = None) -> Secret:
    """Return the first token of: the argument, the environment, the file of ``hf auth login``.

    >>> find_token(None, {"HF_TOKEN": "hf_example"})
    Secret('****')

    Args:
        given: The argument; blank strings are ignored.
        environ: The environment; the process's own by default.

    Raises:
        MissingCredentialsError: No token was found; the message lists the places.
    """
    environ = os.environ if environ is None else environ
    file = token_file(environ)
    passed = given.reveal() if isinstance(given, Secret) else given or ""
    for text in (passed, *(environ.get(name, "") for name in VARIABLES)):
        if text.strip():
            return _in_use(text.strip())
    stored = _stored(file)
    if stored:
        return _in_use(stored)
    raise MissingCredentialsError(
        "no token for the Hugging Face Hub: pass token=, set HF_TOKEN (or HUGGING_FACE_HUB_TOKEN), "
        f"or run `hf auth login`, which writes {file}"
    )


def _in_use(token: str) -> Secret:
    hide(token)
    return Secret(token)


def token_file(environ: Mapping[str, str]) -> Path:
    """Return the file in which Hugging Face's tools store the token."""
    cache = Path(environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    home = Path(environ.get("HF_HOME") or cache)
    return Path(os.path.expandvars(environ.get("HF_TOKEN_PATH") or home / "token")).expanduser()


def _stored(file: Path) -> str:
    try:
        with file.open(encoding="utf-8") as stream:
            return stream.read(_LONGEST).strip()
    except (OSError, ValueError):
        return ""
