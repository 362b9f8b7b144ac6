"""Decide whose certificates are trusted."""

from __future__ import annotations

import os
import ssl

from tinkex.config import Config
from tinkex.errors import ConfigurationError


def tls_context(config: Config) -> ssl.SSLContext:
    """Return how the certificates of servers, proxies and archives' hosts are checked.

    `verify` is asked first; where it says no more than True, SSL_CERT_FILE and SSL_CERT_DIR are;
    then the authorities that browsers trust.

    Raises:
        ConfigurationError: `verify` or a variable names what are no certificates.
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
                f"verify names {config.verify!r}, which is no usable CA bundle ({error}); it must "
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
