"""Model inputs: chunks of token ids, images and audio."""

from __future__ import annotations

import base64
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

import attrs
from attrs import field, frozen

from tinkex._base.lazy import LazyModule
from tinkex.errors import ValidationError
from tinkex.types.flat import flat_ids
from tinkex.types.json_form import JsonForm, Readers, listed
from tinkex.types.tensor import check_mask, on_the_host

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from tinkex.tokenizer import TokenizerSource
else:
    np = LazyModule("numpy")

ImageFormat = Literal["png", "jpeg"]


def _file_bytes(value: bytes | bytearray | memoryview | str, path: str = "data") -> bytes:
    """Return the bytes of a file, given as bytes or as base64 text."""
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    if not isinstance(value, str):
        raise ValidationError(f"must be the bytes of a file, not {value!r:.50}", path=path)
    try:
        return base64.b64decode(value, validate=True)
    except ValueError:
        raise ValidationError("is text, but not base64", path=path) from None


def _audio_bytes(value: bytes | bytearray | memoryview | str) -> bytes:
    return _file_bytes(value, "dmel")


_same_ids = attrs.cmp_using(
    eq=lambda one, other: one.tobytes() == other.tobytes(), require_same_type=False
)


@frozen(repr=False, init=False, hash=False)
class EncodedTextChunk(JsonForm):
    """A chunk of token ids.

    >>> EncodedTextChunk(tokens=[1, 2, 3])
    EncodedTextChunk([1, 2, 3])

    Args:
        tokens: Token ids: a list, tuple or integer array.

    Raises:
        ValidationError: An id is not an integer, or is negative.
    """

    # Of int32, or of int64 if an id needs that.
    _ids: array[int] | npt.NDArray[np.int32 | np.int64] = field(eq=_same_ids)

    def __init__(
        self,
        tokens: Sequence[int] | npt.NDArray[Any],
        type: str = "encoded_text",  # noqa: A002 - the wire's name
    ) -> None:
        _check_type(type, "encoded_text")
        ids = flat_ids(tokens)
        self.__attrs_init__(_token_array(tokens) if ids is None else ids)

    @property
    def type(self) -> Literal["encoded_text"]:
        """Return the type tag in JSON."""
        return "encoded_text"

    @property
    def tokens(self) -> list[int]:
        """Return the token ids as a list."""
        return cast("list[int]", self._ids.tolist())

    @property
    def buffer(self) -> array[int] | npt.NDArray[np.int32 | np.int64]:
        """Return the token ids as stored, without loading numpy: int32, or int64 if an id needs that."""
        return self._ids

    def numpy(self) -> npt.NDArray[np.int64]:
        """Return the token ids as a read-only int64 array of shape [N]."""
        ids = np.array(self._ids, np.int64)
        ids.flags.writeable = False
        return ids

    @property
    def length(self) -> int:
        """Return the number of tokens."""
        return len(self._ids)

    def __len__(self) -> int:
        return len(self._ids)

    def __hash__(self) -> int:
        return hash(self._ids.tobytes())

    @classmethod
    def of_ids(cls, ids: array[int]) -> EncodedTextChunk:
        """Wrap an array such as `buffer` returns, without a check or a copy."""
        chunk = cls.__new__(cls)
        chunk.__attrs_init__(ids)
        return chunk

    def to_dict(self) -> dict[str, Any]:
        """Return the chunk as JSON has it."""
        return {"type": self.type, "tokens": self.tokens}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> EncodedTextChunk:
        """Read what `to_dict` returns."""
        return cls(data["tokens"])

    def __repr__(self) -> str:
        shown = ", ".join(str(token) for token in self._ids[:8].tolist())
        more = f", … {len(self._ids)} tokens" if len(self._ids) > 8 else ""
        return f"EncodedTextChunk([{shown}{more}])"


@frozen(repr=False)
class ImageChunk(JsonForm):
    """An encoded image.

    >>> ImageChunk(data=b"...", format="png", expected_tokens=64).length
    64

    Attributes:
        data: The encoded image file.
        format: "png" or "jpeg".
        expected_tokens: The number of tokens of the image; the server verifies it.
    """

    data: bytes = field(converter=_file_bytes)
    format: ImageFormat
    expected_tokens: int | None = None
    type: Literal["image"] = "image"

    def __attrs_post_init__(self) -> None:
        _check_type(self.type, "image")
        if not self.data:
            raise ValidationError("must not be empty", path="data")
        _check_image(self.format, self.expected_tokens)

    @property
    def length(self) -> int:
        """Return the number of tokens of the image."""
        return _expected(self.expected_tokens)

    def __repr__(self) -> str:
        return f"ImageChunk({self.format}, {len(self.data)} bytes, expected_tokens={self.expected_tokens})"


@frozen
class ImageAssetPointerChunk(JsonForm):
    """A reference to an image that the server can read.

    Attributes:
        location: Path or URL of the image.
        format: "png" or "jpeg".
        expected_tokens: The number of tokens of the image; the server verifies it.
    """

    location: str
    format: ImageFormat
    expected_tokens: int | None = None
    type: Literal["image_asset_pointer"] = "image_asset_pointer"

    def __attrs_post_init__(self) -> None:
        _check_type(self.type, "image_asset_pointer")
        if not isinstance(self.location, str) or not self.location:
            raise ValidationError("must be a path or URL", path="location")
        _check_image(self.format, self.expected_tokens)

    @property
    def length(self) -> int:
        """Return the number of tokens of the image."""
        return _expected(self.expected_tokens)


@frozen(repr=False)
class DmelChunk(JsonForm):
    """Audio as discretised mel frames.

    Attributes:
        dmel: A serialized tensor, raw or in base64; its first dimension is the number of tokens.
    """

    dmel: bytes = field(converter=_audio_bytes)
    type: Literal["dmel"] = "dmel"
    length: int = field(init=False, eq=False)

    def __attrs_post_init__(self) -> None:
        _check_type(self.type, "dmel")
        object.__setattr__(self, "length", _first_dimension(self.dmel))

    def __repr__(self) -> str:
        return f"DmelChunk({len(self.dmel)} bytes, {self.length} tokens)"


def _first_dimension(container: bytes) -> int:
    """Return the first dimension in a tensor container's header.

    The header has the byte 254, for constant tensors only; a dtype from 0 to 7; the number of
    dimensions and each dimension as LEB128 integers.
    """
    rest = iter(container[1:] if container[:1] == b"\xfe" else container)
    dtype = next(rest, 255)
    dimensions = _leb128(rest)
    length = _leb128(rest) if dimensions else None
    if dtype > 7 or length is None:
        raise ValidationError("is not a serialized tensor with at least one dimension", path="dmel")
    return length


def _leb128(rest: Iterator[int]) -> int | None:
    value = 0
    for shift, byte in zip(range(0, 63, 7), rest, strict=False):
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value
    return None


ModelInputChunk = EncodedTextChunk | ImageChunk | ImageAssetPointerChunk | DmelChunk


def _chunks(value: Iterable[ModelInputChunk]) -> tuple[ModelInputChunk, ...]:
    chunks = tuple(value)
    for index, chunk in enumerate(chunks):
        if not isinstance(chunk, ModelInputChunk):
            raise ValidationError(
                f"is a {type(chunk).__name__}; for token ids use ModelInput.from_ints",
                path=f"chunks[{index}]",
            )
    return chunks


def _chunk_from_dict(data: Mapping[str, Any]) -> ModelInputChunk:
    """Read a chunk; without a type it is what has its fields, as the first releases wrote it."""
    kinds: dict[str, type[ModelInputChunk]] = {
        "encoded_text": EncodedTextChunk,
        "image_asset_pointer": ImageAssetPointerChunk,
        "image": ImageChunk,
        "dmel": DmelChunk,
    }
    fields = {"tokens": "encoded_text", "location": "image_asset_pointer", "data": "image"}
    guessed = next((kind for name, kind in fields.items() if name in data), "dmel")
    named = data.get("type", guessed)
    if named not in kinds:
        raise ValidationError(f"must be one of {', '.join(kinds)}, not {named!r}", path="type")
    return kinds[named].from_dict(data)


@frozen
class ModelInput(JsonForm):
    """A model's input: chunks in order.

    >>> prompt = ModelInput.from_ints([1, 2, 3])
    >>> prompt.append_int(4).to_ints()
    [1, 2, 3, 4]

    Attributes:
        chunks: Chunks of token ids, images and audio.
    """

    chunks: tuple[ModelInputChunk, ...] = field(converter=_chunks, factory=tuple)

    _readers: ClassVar[Readers] = {"chunks": listed(_chunk_from_dict)}

    @classmethod
    def from_ints(cls, tokens: Sequence[int] | npt.NDArray[Any]) -> ModelInput:
        """Return an input of token ids.

        Raises:
            ValidationError: An id is not an integer, or is negative.
        """
        return cls((EncodedTextChunk(tokens),))

    @classmethod
    def from_text(
        cls, text: str, tokenizer: TokenizerSource, *, add_special_tokens: bool = True
    ) -> ModelInput:
        """Tokenize a text and return it as an input.

        >>> prompt = ModelInput.from_text("Hello", sampler)
        >>> prompt = ModelInput.from_text("Hello", "tinkex/tiny-chat")

        Args:
            text: The text.
            tokenizer: A tokenizer, a client, the name of a model, or a path.
            add_special_tokens: Whether to add the tokenizer's special tokens.

        Raises:
            TokenizerError: The tokenizer was not found.
            ValidationError: `text` is not a string.
        """
        from tinkex.tokenizer import get_tokenizer

        return cls.from_ints(get_tokenizer(tokenizer).encode(text, add_special_tokens))

    @classmethod
    def empty(cls) -> ModelInput:
        """Return an input without chunks."""
        return cls()

    def append(self, chunk: ModelInputChunk) -> ModelInput:
        """Return a new input with the chunk appended."""
        return ModelInput((*self.chunks, chunk))

    def append_int(self, token: int) -> ModelInput:
        """Return a new input with the token id appended."""
        last = self.chunks[-1] if self.chunks else None
        if isinstance(last, EncodedTextChunk):
            longer = EncodedTextChunk(np.append(last.numpy(), _token_array([token])))
            return ModelInput((*self.chunks[:-1], longer))
        return self.append(EncodedTextChunk([token]))

    def to_ints(self) -> list[int]:
        """Return all token ids.

        Raises:
            ValidationError: The input has an image or audio, which has no token ids.
        """
        return [token for chunk in self._text_chunks() for token in chunk.tokens]

    def numpy(self) -> npt.NDArray[np.int64]:
        """Return all token ids as an int64 array of shape [N].

        Raises:
            ValidationError: The input has an image or audio, which has no token ids.
        """
        arrays = [chunk.numpy() for chunk in self._text_chunks()]
        return np.concatenate(arrays) if arrays else np.empty(0, np.int64)

    def _text_chunks(self) -> Iterator[EncodedTextChunk]:
        for index, chunk in enumerate(self.chunks):
            if not isinstance(chunk, EncodedTextChunk):
                raise ValidationError(
                    f"is a chunk of type {chunk.type}, which has no token ids",
                    path=f"chunks[{index}]",
                )
            yield chunk

    @property
    def length(self) -> int:
        """Return the number of tokens.

        Raises:
            ValidationError: An image has no `expected_tokens`.
        """
        return sum(chunk.length for chunk in self.chunks)

    def known_length(self) -> int | None:
        """Return the number of tokens, or None if an image has no `expected_tokens`."""
        images = (
            chunk for chunk in self.chunks if isinstance(chunk, ImageChunk | ImageAssetPointerChunk)
        )
        return None if any(image.expected_tokens is None for image in images) else self.length

    def __len__(self) -> int:
        return self.length


def _token_array(tokens: Sequence[int] | npt.NDArray[Any]) -> npt.NDArray[np.int32 | np.int64]:
    """Return token ids as a new read-only array of int32, or of int64 if an id needs that.

    Samples are sent later, so the caller's array might change before that.
    """
    if isinstance(tokens, str | bytes):
        raise ValidationError(
            "must be token ids; encode text with a tokenizer first", path="tokens"
        )
    check_mask(tokens, "tokens")
    try:
        found = np.asarray(on_the_host(tokens))
    except (ValueError, TypeError, OverflowError) as error:
        raise ValidationError(f"must be a flat list of integers: {error}", path="tokens") from None
    if found.ndim != 1 or (found.size and found.dtype.kind not in "iu"):
        raise ValidationError(
            f"must be a flat list of integers, not {found.dtype} of shape {found.shape}",
            path="tokens",
        )
    if found.size and found.min() < 0:
        raise ValidationError("has a negative id", path=f"tokens[{int(found.argmin())}]")
    largest = found.max() if found.size else 0
    if largest > np.iinfo(np.int64).max:
        raise ValidationError("is not a token id", path=f"tokens[{int(found.argmax())}]")
    fits = largest <= np.iinfo(np.int32).max
    owned = found.astype(np.int32) if fits else found.astype(np.int64)
    owned.flags.writeable = False
    return owned


def _check_type(given: str, expected: str) -> None:
    if given != expected:
        raise ValidationError(f"must be {expected!r}, not {given!r}", path="type")


def _check_image(image_format: str, expected_tokens: int | None) -> None:
    if image_format not in ("png", "jpeg"):
        raise ValidationError(f"must be 'png' or 'jpeg', not {image_format!r}", path="format")
    if expected_tokens is None:
        return
    if isinstance(expected_tokens, bool) or not isinstance(expected_tokens, int):
        raise ValidationError(
            f"must be an integer, not {expected_tokens!r}", path="expected_tokens"
        )
    if expected_tokens < 0:
        raise ValidationError("must not be negative", path="expected_tokens")


def _expected(expected_tokens: int | None) -> int:
    if expected_tokens is None:
        raise ValidationError(
            "is not set, so the length of this input is only known to the server",
            path="expected_tokens",
        )
    return expected_tokens
