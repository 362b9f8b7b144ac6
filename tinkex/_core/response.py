"""What one exchange brings back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping

from attrs import field, frozen

from tinkex.errors import DecodeError

REDIRECTS = frozenset({301, 302, 303, 307, 308})


class Headers(Mapping[str, str]):
    """A response's headers; names in any case find them, and repeated ones are joined."""

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
    """A request's headers, whose values no traceback shows."""

    def __repr__(self) -> str:
        return f"<headers {', '.join(self)}>"


@frozen
class Response:
    """A whole response.

    Attributes:
        status_code: The HTTP status.
        headers: The headers.
        content: The body, unpacked.
        reason_phrase: The words beside the status, where the HTTP library passes them on.
        elapsed: Seconds from the first attempt to the response.
        retries: Attempts before the one that was answered.
    """

    status_code: int
    headers: Mapping[str, str] = field(repr=False)
    content: bytes = field(repr=False)
    reason_phrase: str = ""
    elapsed: float = 0.0
    retries: int = 0

    @property
    def is_success(self) -> bool:
        """Return whether the status is one of 2xx."""
        return 200 <= self.status_code < 300


class OpenResponse:
    """A response whose head is there, and whose body is still to come."""

    def __init__(self, status_code: int, headers: Headers, reason_phrase: str = "") -> None:
        self.status_code = status_code
        self.headers = headers
        self.reason_phrase = reason_phrase

    def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body, unpacked, as it comes."""
        raise NotImplementedError

    async def aclose(self) -> None:
        """Close the exchange, whether or not all of the body came."""
        raise NotImplementedError

    async def read(self, most: int) -> Response:
        """Return the whole response.

        Raises:
            DecodeError: The body has more than so many bytes, unpacked.
        """
        pieces: list[bytes] = []
        size = 0
        async for chunk in self.chunks():
            size += len(chunk)
            if size > most:
                await self.aclose()
                raise DecodeError(
                    f"the response is larger than {most // 1024**2} MiB, unpacked, which no response "
                    "of this API is; send less in one request, or check base_url",
                    status_code=self.status_code,
                )
            pieces.append(chunk)
        content = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        return Response(self.status_code, self.headers, content, self.reason_phrase)
