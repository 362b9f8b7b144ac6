"""A string that is never shown."""

from __future__ import annotations

from typing import NoReturn, Self

# Prefixes that name the type of a key and reveal nothing of it.
_PREFIXES = ("tml-", "eyJ")


class Secret:
    """A secret that no repr, log, comparison message or pickle shows.

    >>> key = Secret("tml-abcdef123456")
    >>> key
    Secret('tml-...3456')
    >>> key.reveal()
    'tml-abcdef123456'
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    @classmethod
    def of(cls, value: Secret | str | None) -> Secret | None:
        """Return a plain string as a secret; None stays None.

        Bind the result to the same name: a plain string would stay in the locals of the frame, and
        so in every traceback that shows them.
        """
        return cls(value) if isinstance(value, str) else value

    def reveal(self) -> str:
        """Return the secret itself; call it only where the value is sent."""
        return self._value

    def masked(self) -> str:
        """Return a printable form: prefix and last four characters of a key, otherwise nothing of it.

        The end of anything else, such as a proxy's URL, may be an entire password.
        """
        for prefix in _PREFIXES:
            if self._value.startswith(prefix) and len(self._value) >= len(prefix) + 8:
                return f"{prefix}...{self._value[-4:]}"
        return "****"

    def redact(self, text: str) -> str:
        """Return the text with every occurrence of the secret masked."""
        return text.replace(self._value, "[REDACTED]") if self._value else text

    def __repr__(self) -> str:
        return f"Secret({self.masked()!r})"

    def __str__(self) -> str:
        return self.masked()

    def __format__(self, spec: str) -> str:
        return format(self.masked(), spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __bool__(self) -> bool:
        return bool(self._value)

    # Copying uses pickling by default; a secret is immutable, so it is its own copy.
    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a Secret cannot be pickled: read it from the environment where it is needed"
        )
