"""TLS: trusted authorities and the client's certificate."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from tinkex._base.lazy import LazyModule
from tinkex.config import Config
from tinkex.errors import ConfigurationError

if TYPE_CHECKING:
    import ssl
else:
    ssl = LazyModule("ssl")


_PEM = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)


def names_authorities(config: Config) -> bool:
    """Return whether the settings or the environment name the trusted authorities."""
    by_variable = os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR")
    return isinstance(config.verify, str) or (config.verify is True and bool(by_variable))


def authorities(config: Config) -> bytes:
    """Return the trusted authorities, as PEM.

    `verify` takes precedence. If it is just True, SSL_CERT_FILE and SSL_CERT_DIR are used, and
    without them the authorities that browsers trust.

    Raises:
        ConfigurationError: `verify` or a variable does not name certificates.
    """
    file, folders = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    try:
        if isinstance(config.verify, str):
            return _pem(Path(config.verify))
        if file:
            return _pem(Path(file))
    except OSError as error:
        why = str(error)
    else:
        if folders:
            return b"\n".join(_certificates_in(folders))
        import certifi

        return Path(certifi.where()).read_bytes()
    raise ConfigurationError(
        f"verify or SSL_CERT_FILE names no usable certificates ({why}); correct it, or "
        "pass verify='/path/to/ca.pem'"
    )


def client_pem(config: Config, kind: str) -> bytes | None:
    """Return the client's certificate with its chain, or its private key, as PEM.

    Args:
        config: The settings that name the files.
        kind: "CERTIFICATE" or "PRIVATE KEY".

    Raises:
        ConfigurationError: The file does not hold one, or the key is encrypted.
    """
    if config.client_cert is None:
        return None
    is_key = kind == "PRIVATE KEY"
    setting = "client_key" if is_key and config.client_key else "client_cert"
    file = getattr(config, setting)
    found: list[bytes] = []
    try:
        # No local variable holds the key after the block.
        found = [
            one[0]
            for one in _PEM.finditer(Path(file).read_bytes())
            if one[1].decode().endswith(kind)
        ]
        is_encrypted = is_key and any(b"ENCRYPTED" in one[:200] for one in found)
        if found and not is_encrypted:
            return b"\n".join([*found, b""])
    except OSError as error:
        why = f"cannot be read ({error})"
    else:
        what = "a certificate" if kind == "CERTIFICATE" else "a private key"
        why = "has an encrypted key; decrypt it" if is_encrypted else f"has no PEM block of {what}"
    finally:
        found.clear()
    raise ConfigurationError(f"{setting}: {file!r} {why}")


def client_context(config: Config) -> ssl.SSLContext:
    """Return the context of `tls_context`, with the client's certificate if there is one.

    Raises:
        ConfigurationError: A setting or a variable does not name certificates, or a key.
    """
    context = tls_context(config)
    if client_pem(config, "CERTIFICATE") and client_pem(config, "PRIVATE KEY"):
        try:
            context.load_cert_chain(config.client_cert or "", config.client_key)
        except ssl.SSLError as error:
            raise unusable_client_certificate(str(error)) from None
    return context


def unusable_client_certificate(why: str) -> ConfigurationError:
    """Return the error of a client certificate or key that cannot be used."""
    return ConfigurationError(
        f"client_cert and client_key must be a PEM certificate and its private key ({why})"
    )


def _certificates_in(folders: str) -> list[bytes]:
    """Return the certificates in the folders of a path list; as in OpenSSL, other files are ignored."""
    found = {}
    for folder in map(Path, folders.split(os.pathsep)):
        for file in sorted(folder.iterdir()) if folder.is_dir() else ():
            try:
                found[_pem(file)] = file
            except OSError:
                continue
    return list(found)


def _pem(file: Path) -> bytes:
    content = file.read_bytes()
    if b"-----BEGIN" not in content:
        raise OSError(f"{file} has no PEM certificates")
    return content


def tls_context(config: Config) -> ssl.SSLContext:
    """Return the context that verifies the certificates of servers, proxies and archive hosts.

    `verify` takes precedence. If it is just True, SSL_CERT_FILE and SSL_CERT_DIR are used, and
    without them the authorities that browsers trust.

    Raises:
        ConfigurationError: `verify` or a variable does not name certificates.
    """
    if config.verify is False:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    if isinstance(config.verify, str):
        try:
            return ssl.create_default_context(cafile=config.verify)
        except OSError as error:
            raise ConfigurationError(
                f"verify names {config.verify!r}, which is not a usable CA bundle ({error}); it must "
                "hold PEM certificates"
            ) from None
    bundle, folder = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    if not (bundle or folder):
        import certifi

        return ssl.create_default_context(cafile=certifi.where())
    try:
        return ssl.create_default_context(cafile=bundle or None, capath=None if bundle else folder)
    except OSError as error:
        raise ConfigurationError(
            f"SSL_CERT_FILE or SSL_CERT_DIR names no usable certificates ({error}); correct it, or "
            "pass verify='/path/to/ca.pem'"
        ) from None
