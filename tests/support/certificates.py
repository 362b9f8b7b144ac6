"""Certificates for tests, made by openssl: an authority of our own and what it signs."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path

import pytest


class Authority:
    """A certificate authority in a folder; `bundle` is what a client would trust."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = folder / "ca.key"
        self.bundle = folder / "ca.pem"
        _openssl(
            "req", "-x509", *_NEW_KEY, "-days", "2", "-subj", "/CN=an authority of the tests",
            *_SIGNS, "-keyout", self._key, "-out", self.bundle,
        )  # fmt: skip

    def sign(self, name: str, *, host: str = "localhost", days: int = 2) -> Path:
        """Return a file with a key and a certificate for a host; negative days have passed."""
        key, request, signed = (self._folder / f"{name}{end}" for end in (".key", ".csr", ".crt"))
        extension = self._folder / f"{name}.ext"
        extension.write_text(
            f"subjectAltName=DNS:{host}\nauthorityKeyIdentifier=keyid\n", encoding="utf-8"
        )
        _openssl("req", "-new", *_NEW_KEY, "-subj", f"/CN={host}", "-keyout", key, "-out", request)
        sign = (
            "x509", "-req", "-in", request, "-CA", self.bundle, "-CAkey", self._key,
            "-CAcreateserial", "-extfile", extension, "-out", signed,
        )  # fmt: skip
        try:
            _openssl(*sign, "-days", str(days))
        except subprocess.CalledProcessError:
            if days > 0:
                raise
            # Newer versions of OpenSSL take no negative days, and older ones no dates.
            _openssl(*sign, "-not_before", "20200101000000Z", "-not_after", "20200102000000Z")
        return self._joined(name, key, signed)

    def self_signed(self, name: str, *, host: str = "localhost") -> tuple[Path, Path]:
        """Return a file with key and certificate, and one with the certificate, its own authority."""
        key, made = (self._folder / f"{name}{end}" for end in (".key", ".crt"))
        _openssl(
            "req", "-x509", *_NEW_KEY, "-days", "2", "-subj", f"/CN={host}",
            *_SIGNS, "-addext", f"subjectAltName=DNS:{host}", "-keyout", key, "-out", made,
        )  # fmt: skip
        return self._joined(name, key, made), made

    def _joined(self, name: str, key: Path, signed: Path) -> Path:
        both = self._folder / f"{name}.pem"
        both.write_bytes(key.read_bytes() + signed.read_bytes())
        return both

    def as_folder(self) -> Path:
        """Return a folder of authorities as openssl looks them up, by the hash of their name."""
        folder = self._folder / "certs"
        folder.mkdir(exist_ok=True)
        digest = _openssl("x509", "-hash", "-noout", "-in", self.bundle).strip()
        (folder / f"{digest}.0").write_bytes(self.bundle.read_bytes())
        return folder


# Python 3.13 and later check certificates strictly: an authority has to say that it signs others.
_SIGNS = ("-addext", "keyUsage=critical,digitalSignature,keyCertSign")
_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def server_context(certificate: Path, *, clients_of: Path | None = None) -> ssl.SSLContext:
    """Return the server's side of TLS with a certificate of `Authority.sign`.

    With `clients_of` clients must show a certificate of that authority.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    if clients_of is not None:
        context.load_verify_locations(clients_of)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _openssl(*arguments: str | Path) -> str:
    need_openssl()
    done = subprocess.run(
        ["openssl", *map(str, arguments)], capture_output=True, text=True, check=True
    )
    return done.stdout


def need_openssl() -> None:
    """Skip what needs certificates on a machine that has no program to make them."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
