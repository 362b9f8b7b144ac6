"""Compression of requests, for servers that ask for it."""

from __future__ import annotations

import functools
import importlib.util
import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tinkex._core.session import Session

log = logging.getLogger("tinkex.training")

# Higher levels cost several times as much and hardly shrink numbers further.
_LEVEL = 1


def wants_compression(session: Session) -> bool:
    """Return whether the server asked for compressed batches and zstandard is installed."""
    return session.server_config.config.proto_compress_fwdbwd and _has_zstandard()


def compressed(content: bytes) -> bytes:
    """Return the content as a zstd frame."""
    import zstandard

    return zstandard.ZstdCompressor(level=_LEVEL).compress(content)


@functools.cache
def _has_zstandard() -> bool:
    if importlib.util.find_spec("zstandard") is not None:
        return True
    log.info("the server asks for compressed batches: pip install 'tinkex[zstd]' to send them")
    return False
