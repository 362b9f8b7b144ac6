"""The Hugging Face hub and its cache on this machine."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from tinkex.errors import MissingDependencyError, TokenizerError
from tinkex.tokenizer.files import (
    CHAT_TEMPLATE,
    CONFIG,
    SPECIAL_TOKENS,
    TIKTOKEN,
    TOKENIZER,
    check_size,
)
from tinkex.tokenizer.names import TokenizerId

_COMMIT = re.compile(r"[0-9a-f]{40}")
_TRUE = frozenset({"1", "ON", "YES", "TRUE"})
_TOKEN = re.compile(r"\bhf_\w+|(?<=://)[^/@\s]+(?=@)")
_BESIDE = (CONFIG, SPECIAL_TOKENS, CHAT_TEMPLATE)
TIMEOUT = 20.0


def is_off() -> bool:
    """Return whether Hugging Face's variables forbid requests to the hub."""
    names = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
    return any(os.environ.get(name, "").upper() in _TRUE for name in names)


def cache_dir() -> Path:
    """Return the folder in which Hugging Face's libraries cache files."""
    environ = os.environ
    if chosen := environ.get("HF_HUB_CACHE") or environ.get("HUGGINGFACE_HUB_CACHE"):
        return Path(os.path.expandvars(chosen)).expanduser()
    home = Path(environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    return Path(os.path.expandvars(environ.get("HF_HOME") or home)).expanduser() / "hub"


def endpoint() -> str:
    """Return the hub's URL."""
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or "https://huggingface.co"


def cached(wanted: TokenizerId, *, whole: bool = False) -> Path | None:
    """Return the folder of a tokenizer in the cache, or None.

    Args:
        wanted: The tokenizer.
        whole: Whether to skip a folder that may be incomplete because another part of the repository
            was fetched.
    """
    home = cache_dir() / f"models--{wanted.name.replace('/', '--')}"
    commit = wanted.revision
    if not _COMMIT.fullmatch(commit):
        try:
            commit = (home / "refs" / wanted.revision).read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            return None
        if not _COMMIT.fullmatch(commit):
            return None
    folder = home / "snapshots" / commit
    if not (folder / TOKENIZER).is_file() and not (folder / TIKTOKEN).is_file():
        return None
    if whole and not (folder / CONFIG).is_file():
        # The hub's libraries keep a marker for each file that does not exist.
        return folder if (home / ".no_exist" / commit / CONFIG).is_file() else None
    return folder


def fetch(wanted: TokenizerId) -> Path:
    """Fetch a tokenizer's files into the cache and return their folder.

    Only the files of `tinkex.tokenizer.files` are fetched, within their size limits. If the hub requires a
    token, huggingface_hub finds it in the standard places.

    Raises:
        TokenizerError: The hub does not provide them; the message says why and what to do.
        MissingDependencyError: The extra ``hub`` is not installed.
    """
    try:
        import huggingface_hub
    except ImportError as error:
        raise MissingDependencyError(
            "fetching a tokenizer from the Hugging Face hub", "hub"
        ) from error
    try:
        return _fetched(wanted, huggingface_hub)
    except TokenizerError:
        raise
    except Exception as error:  # noqa: BLE001 - converted below
        problem = _problem(error, wanted)
    # Without its cause, which holds the request and so the token.
    raise problem


def _fetched(wanted: TokenizerId, huggingface_hub: Any) -> Path:
    api = huggingface_hub.HfApi(endpoint=endpoint())
    info = api.model_info(
        wanted.name, revision=wanted.revision, files_metadata=True, timeout=TIMEOUT
    )
    sizes = {file.rfilename: file.size or 0 for file in info.siblings or []}
    main = next((name for name in (TOKENIZER, TIKTOKEN) if name in sizes), None)
    if main is None:
        raise TokenizerError(
            f"{wanted.name} on the hub has neither {TOKENIZER} nor {TIKTOKEN}. If its tokenizer has "
            "another format, save it as tokenizer.json with transformers and pass the path"
        )
    names = [main, *(name for name in _BESIDE if name in sizes)]
    for name in names:
        check_size(name, sizes[name], f"{wanted.name} on the hub")
    folders = {
        Path(
            huggingface_hub.hf_hub_download(
                wanted.name,
                name,
                revision=wanted.revision,
                cache_dir=cache_dir(),
                endpoint=endpoint(),
                etag_timeout=TIMEOUT,
            )
        ).parent
        for name in names
    }
    if len(folders) > 1:
        raise TokenizerError(
            f"{wanted.name} changed on the hub while it was fetched; call again", retryable=True
        )
    return folders.pop()


def _problem(error: Exception, wanted: TokenizerId) -> TokenizerError:
    from huggingface_hub import errors

    page = f"{_without_secrets(endpoint())}/{wanted.name}"
    login = "set HF_TOKEN to a token of yours (or run `hf auth login`)"
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    if isinstance(error, errors.GatedRepoError):
        return TokenizerError(
            f"{wanted.name} is gated on the Hugging Face hub: accept its terms at {page}, then {login}",
            status_code=status,
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return TokenizerError(
            f"{wanted.name} has no revision {wanted.revision!r} at {page}", status_code=status
        )
    if isinstance(error, errors.RepositoryNotFoundError):
        return TokenizerError(
            f"the Hugging Face hub has no {wanted.name}: is the name right? If it is private, {login}",
            status_code=status,
        )
    if status in (401, 403):
        return TokenizerError(
            f"the Hugging Face hub refused {wanted.name} (HTTP {status}): {login}, and check that it "
            f"may read {page}",
            status_code=status,
        )
    detail = _without_secrets((str(error).strip().splitlines() or [""])[0])[:200]
    why = f"{type(error).__name__}: {detail}" if detail else type(error).__name__
    return TokenizerError(
        f"the Hugging Face hub at {_without_secrets(endpoint())} did not provide {wanted.name} ({why})",
        category="unknown",
        status_code=status,
        retryable=status is None or status == 429 or status >= 500,
    )


def _without_secrets(text: str) -> str:
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        if secret := os.environ.get(name, "").strip():
            text = text.replace(secret, "[REDACTED]")
    return _TOKEN.sub("[REDACTED]", text)
