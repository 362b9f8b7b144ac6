"""Tar archives made in memory, good ones and bad ones."""

from __future__ import annotations

import gzip
import io
import tarfile

FILES = {
    "adapter_config.json": b'{"r": 4}',
    "adapter_model.safetensors": bytes(range(256)) * 300,
    "checkpoint_complete": b"",
}


def tar(*members: tuple[tarfile.TarInfo, bytes], format: int = tarfile.PAX_FORMAT) -> bytes:  # noqa: A002
    """Return a plain tar archive of members and their contents."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format) as archive:
        for member, content in members:
            archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


def file(name: str, content: bytes = b"x") -> tuple[tarfile.TarInfo, bytes]:
    """Return a regular member."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    return info, content


def special(name: str, kind: bytes, linkname: str = "") -> tuple[tarfile.TarInfo, bytes]:
    """Return a member of another kind."""
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = linkname
    return info, b""


def checkpoint(files: dict[str, bytes] = FILES, *, packed: bool = False) -> bytes:
    """Return the archive of a checkpoint."""
    plain = tar(*(file(name, content) for name, content in files.items()))
    return gzip.compress(plain, mtime=0) if packed else plain
