"""A partially downloaded file: its size, version and checksum."""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path

from attrs import define, field

_BLOCK = 1024 * 1024
# RFC 9530 (Repr-Digest), and the headers of Amazon's and Google's stores. A checksum of checksums
# (Amazon's for multipart uploads) ends in "-<parts>" and cannot be verified here.
_REPR_DIGEST = re.compile(r"(?:^|,)\s*(sha-256|sha-512)=:([A-Za-z0-9+/=]+):")
_GOOGLE_MD5 = re.compile(r"(?:^|,)\s*md5=([A-Za-z0-9+/=]+)")
_ALGORITHMS = {"sha-256": "sha256", "sha-512": "sha512"}


@define
class Partial:
    """The bytes of a file so far, and the version they belong to.

    Attributes:
        file: The file with the bytes.
        expands: Whether extraction needs the same space again.
        etag: The version; only a strong tag guarantees identical bytes.
        digest: Algorithm and hexadecimal value of the announced checksum.
    """

    file: Path
    expands: bool = False
    etag: str | None = field(init=False, default=None)
    digest: tuple[str, str] | None = field(init=False, default=None)

    def __attrs_post_init__(self) -> None:
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            kept = json.loads(self._notes.read_text(encoding="utf-8"))
            etag, digest = kept["etag"], kept["digest"]
            self.digest = (str(digest[0]), str(digest[1])) if digest else None
            self.etag = str(etag) if etag else None

    @property
    def _notes(self) -> Path:
        return self.file.with_name(self.file.name + ".json")

    def size(self) -> int:
        """Return the number of bytes that can be resumed from."""
        known = self.etag is not None and not self.etag.startswith("W/")
        return self.file.stat().st_size if known and self.file.exists() else 0

    def note(self, headers: Mapping[str, str], *, fresh: bool) -> None:
        """Store a response's version, before its first byte is written."""
        digest = announced_digest(headers)
        self.digest = digest if fresh or digest else self.digest
        self.etag = headers.get("etag") or (None if fresh else self.etag)
        if fresh:
            # The old bytes must not be attributed to the new version.
            self.file.unlink(missing_ok=True)
        self._notes.write_text(
            json.dumps({"etag": self.etag, "digest": self.digest}), encoding="utf-8"
        )

    def forget(self) -> None:
        """Discard the bytes."""
        self.etag = self.digest = None
        self._notes.unlink(missing_ok=True)

    def matches(self) -> bool:
        """Return whether the file matches the announced checksum, if there is one."""
        if self.digest is None:
            return True
        name, expected = self.digest
        hasher = hashlib.new(name, usedforsecurity=False)
        with self.file.open("rb") as file:
            while block := file.read(_BLOCK):
                hasher.update(block)
        return hasher.hexdigest() == expected

    def finish(self, target: Path) -> None:
        """Rename the complete file to the target."""
        self.file.rename(target)
        self._notes.unlink(missing_ok=True)


def announced_digest(headers: Mapping[str, str]) -> tuple[str, str] | None:
    """Return algorithm and hexadecimal value of the checksum in a response's headers."""
    found = _REPR_DIGEST.search(headers.get("repr-digest", ""))
    if found:
        return _read(_ALGORITHMS[found[1]], found[2])
    amazon = headers.get("x-amz-checksum-sha256", "")
    if amazon and headers.get("x-amz-checksum-type", "FULL_OBJECT") == "FULL_OBJECT":
        return _read("sha256", amazon)
    google = _GOOGLE_MD5.search(headers.get("x-goog-hash", ""))
    return _read("md5", google[1]) if google else None


def _read(name: str, value: str) -> tuple[str, str] | None:
    try:
        raw = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return None
    size = hashlib.new(name, usedforsecurity=False).digest_size
    return (name, raw.hex()) if len(raw) == size else None
