"""What an exchange brings back: an answer, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from attrs import field, frozen

from tinkex.errors import TransportError


class Headers(Mapping[str, str]):
    """Hold an answer's headers; names in any case find them, and repeated ones are joined."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        found: dict[str, str] = {}
        for name, value in pairs:
            key = name.lower()
            found[key] = f"{found[key]}, {value}" if key in found else value
        self._found = found

    def __getitem__(self, name: str) -> str:
        return self._found[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def __repr__(self) -> str:
        return f"<Headers {', '.join(self._found)}>"


class UnshownHeaders(dict[str, str]):
    """Hold a request's headers, and show their names alone: a traceback may show its locals."""

    def __repr__(self) -> str:
        return f"<headers {', '.join(self)}>"


@frozen
class Reply:
    """Hold what a server answered to one attempt.

    Attributes:
        status_code: The HTTP status.
        headers: The headers.
        content: The body, unpacked.
        reason_phrase: The words beside the status; often empty.
    """

    status_code: int
    headers: Mapping[str, str] = field(repr=False)
    content: bytes = field(repr=False)
    reason_phrase: str = ""

    @property
    def is_success(self) -> bool:
        """Tell whether the status is one of 2xx."""
        return 200 <= self.status_code < 300


@frozen
class Answer:
    """Hold a finished answer: status, headers and the whole body.

    Attributes:
        status_code: The HTTP status.
        headers: The headers.
        content: The body.
        elapsed: Seconds from the first attempt to the answer.
        retries: Attempts before the one that was answered.
    """

    status_code: int
    headers: Mapping[str, str] = field(repr=False)
    content: bytes = field(repr=False)
    elapsed: float = 0.0
    retries: int = 0


@frozen
class Broken:
    """Hold what came of an attempt without an answer.

    What the network said is not kept: its text may repeat a header that was sent.
    """

    error: TransportError
    was_sent: bool


class Stream(Protocol):
    """Hand out an answer's body while it is still coming."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Return the headers."""
        ...

    def iter_bytes(self) -> Iterator[bytes]:
        """Yield the body, unpacked, as it comes."""
        ...

    def read(self) -> bytes:
        """Return all of the body that is still to come."""
        ...
