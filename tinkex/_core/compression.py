"""Compress what goes out, for servers that ask for it."""

from __future__ import annotations

import functools
import importlib.util
import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tinkex._core.session import Session

log = logging.getLogger("tinkex.training")

# Numbers hardly shrink further at higher levels, which cost several times as much.
_LEVEL = 1


def wants_compression(session: Session) -> bool:
    """Tell whether the server asked for compressed batches and the package for it is there."""
    return session.server_config.config.proto_compress_fwdbwd and _has_zstandard()


def compressed(content: bytes) -> bytes:
    """Return a zstd frame of the content."""
    import zstandard

    return zstandard.ZstdCompressor(level=_LEVEL).compress(content)


@functools.cache
def _has_zstandard() -> bool:
    if importlib.util.find_spec("zstandard") is not None:
        return True
    log.info("the server asks for compressed batches; for that, pip install 'tinkex[zstd]'")
    return False
