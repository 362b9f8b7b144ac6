"""Responses of HTTP exchanges."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from attrs import field, frozen

from tinkex.errors import DecodeError

REDIRECTS = frozenset({301, 302, 303, 307, 308})


class Headers(Mapping[str, str]):
    """A response's headers; look-up ignores case, and repeated headers are joined."""

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


class RequestHeaders(dict[str, str]):
    """A request's headers, with a repr that hides their values."""

    def __repr__(self) -> str:
        return f"<headers {', '.join(self)}>"


@frozen
class Response:
    """A complete response.

    Attributes:
        status_code: The HTTP status.
        headers: The headers.
        content: The decompressed body.
        reason_phrase: The reason phrase, if the HTTP library provides it.
        elapsed: Seconds from the first attempt to the response.
        retries: Attempts before the one with the response.
    """

    status_code: int
    headers: Mapping[str, str] = field(repr=False)
    content: bytes = field(repr=False)
    reason_phrase: str = ""
    elapsed: float = 0.0
    retries: int = 0

    @property
    def is_success(self) -> bool:
        """Return whether the status is 2xx."""
        return 200 <= self.status_code < 300


class OpenResponse:
    """A response with its head received and its body still unread."""

    def __init__(self, status_code: int, headers: Headers, reason_phrase: str = "") -> None:
        self.status_code = status_code
        self.headers = headers
        self.reason_phrase = reason_phrase

    async def next_chunk(self) -> bytes | None:
        """Return the next part of the decompressed body, or None at its end."""
        raise NotImplementedError

    async def aclose(self) -> None:
        """Close the exchange, even if the body was not read completely."""
        raise NotImplementedError

    async def read(self, most: int) -> Response:
        """Read the complete response.

        Raises:
            DecodeError: The decompressed body is larger than `most` bytes.
        """
        pieces: list[bytes] = []
        size = 0
        while (chunk := await self.next_chunk()) is not None:
            size += len(chunk)
            if size > most:
                await self.aclose()
                raise DecodeError(
                    f"the response is larger than {most // 1024**2} MiB decompressed, more than any response "
                    "of this API; send less in one request, or check base_url",
                    status_code=self.status_code,
                )
            pieces.append(chunk)
        content = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        return Response(self.status_code, self.headers, content, self.reason_phrase)
