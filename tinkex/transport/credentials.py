"""The secrets that go on requests, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator

from tinkex.config import Config
from tinkex.secret import Secret


class Credentials:
    """Hand out the secret headers at the last moment, so that no other object holds them."""

    def __init__(self, config: Config) -> None:
        secrets = {
            "X-API-Key": config.api_key,
            "CF-Access-Client-Secret": config.cf_access_client_secret,
        }
        self._secrets = {name: secret for name, secret in secrets.items() if secret}
        self._never_shown = [*self._secrets.values(), *filter(None, [config.proxy])]

    @property
    def header_names(self) -> tuple[str, ...]:
        """Return the names of the headers that are set."""
        return tuple(self._secrets)

    def revealed(self) -> Iterator[tuple[str, str]]:
        """Yield each secret header with its value."""
        for name, secret in self._secrets.items():
            yield name, secret.reveal()

    def hide(self, secret: Secret) -> None:
        """Mask one more secret in what servers say."""
        if secret not in self._never_shown:
            self._never_shown = [*self._never_shown, secret]

    def redact(self, text: str) -> str:
        """Return the text with the secrets masked, wherever a server may have echoed them."""
        for secret in self._never_shown:
            text = secret.redact(text)
        return text
