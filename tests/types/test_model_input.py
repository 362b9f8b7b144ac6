"""What a model reads: token chunks, images, and the input made of them."""

from __future__ import annotations

import base64
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinkex.errors import ValidationError
from tinkex.types import (
    Datum,
    DmelChunk,
    EncodedTextChunk,
    ImageAssetPointerChunk,
    ImageChunk,
    ModelInput,
)

PNG = b"\x89PNG rest of the file"


def test_an_input_grows_by_tokens_and_chunks() -> None:
    """append and append_int return new inputs; an int joins the last text chunk."""
    empty = ModelInput.empty()
    one = empty.append_int(5)
    two = one.append_int(6)
    mixed = two.append(ImageChunk(PNG, "png", expected_tokens=4)).append_int(7)
    assert (empty.length, one.to_ints(), two.to_ints()) == (0, [5], [5, 6])
    assert [type(chunk).__name__ for chunk in two.chunks] == ["EncodedTextChunk"]
    assert [chunk.length for chunk in mixed.chunks] == [2, 4, 1]
    assert len(mixed) == mixed.known_length() == 7


@given(st.lists(st.integers(0, 2**40)))
def test_token_ids_come_back(tokens: list[int]) -> None:
    """from_ints and to_ints are inverse, from lists, tuples and arrays."""
    value = ModelInput.from_ints(tokens)
    assert value.to_ints() == tokens
    assert value.length == len(tokens)
    assert (
        value == ModelInput.from_ints(tuple(tokens)) == ModelInput.from_ints(np.array(tokens, int))
    )


def test_tokens_are_taken_by_value() -> None:
    """An input keeps its tokens when the array it was made of is used for something else."""
    tokens = np.array([1, 2, 3])
    value = ModelInput.from_ints(tokens)
    tokens[0] = 9
    assert value.to_ints() == [1, 2, 3]
    with pytest.raises(ValueError, match="read-only"):
        value.chunks[0].numpy()[0] = 9


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ([1, -2], r"tokens\[1\]: has a negative id"),
        ([1.0], "flat list of integers"),
        ([[1, 2]], "flat list of integers"),
        ([[1], [1, 2]], "flat list of integers"),
        ([True], "flat list of integers"),
        ([2**64], "flat list of integers"),
        (np.array([2**63], np.uint64), r"tokens\[0\]: is not a token id"),
        ("text", "tokenizer"),
        (None, "flat list of integers"),
        (7, "flat list of integers"),
    ],
    ids=repr,
)
def test_what_is_no_token_id_is_refused(tokens: object, message: str) -> None:
    """Text, floats, nests, negative and huge numbers are no token ids."""
    with pytest.raises(ValidationError, match=message):
        ModelInput.from_ints(tokens)


def test_chunks_are_checked_by_place() -> None:
    """Something that is no chunk is refused by its index."""
    with pytest.raises(ValidationError, match=r"chunks\[1\]: is a int; .*from_ints"):
        ModelInput([EncodedTextChunk([1]), 2])


def test_images_are_bytes_or_base64() -> None:
    """The file's bytes, any bytes-like object and base64 text are the same image."""
    image = ImageChunk(data=PNG, format="png", expected_tokens=3)
    assert image == ImageChunk(base64.b64encode(PNG).decode(), "png", 3)
    assert image == ImageChunk(bytearray(PNG), "png", 3) == ImageChunk(memoryview(PNG), "png", 3)
    assert (image.length, image.type) == (3, "image")
    pointer = ImageAssetPointerChunk(location="gs://b/i.png", format="png", expected_tokens=2)
    assert (pointer.length, pointer.type) == (2, "image_asset_pointer")


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        ({"data": "not base64!", "format": "png"}, "data"),
        ({"data": "abc", "format": "png"}, "data"),
        ({"data": b"", "format": "png"}, "data"),
        ({"data": 5, "format": "png"}, "data"),
        ({"data": PNG, "format": "gif"}, "format"),
        ({"data": PNG, "format": "png", "expected_tokens": -1}, "expected_tokens"),
        ({"data": PNG, "format": "png", "expected_tokens": "3"}, "expected_tokens"),
        ({"data": PNG, "format": "png", "type": "dmel"}, "type"),
    ],
    ids=repr,
)
def test_a_bad_image_is_refused_by_its_field(arguments: dict[str, object], path: str) -> None:
    """Each field of an image is checked when it is made."""
    with pytest.raises(ValidationError) as caught:
        ImageChunk(**arguments)
    assert caught.value.path == path


@pytest.mark.parametrize("location", ["", None])
def test_an_asset_pointer_needs_a_place(location: object) -> None:
    """A pointer to nowhere is refused."""
    with pytest.raises(ValidationError) as caught:
        ImageAssetPointerChunk(location, "png")
    assert caught.value.path == "location"


def test_an_image_without_expected_tokens_has_no_length() -> None:
    """The length is unknown, so asking for it says why, and a datum is not checked against it."""
    value = ModelInput([EncodedTextChunk([1]), ImageChunk(PNG, "png")])
    assert value.known_length() is None
    with pytest.raises(ValidationError, match="only known to the server"):
        _ = value.length
    with pytest.raises(ValidationError, match=r"chunks\[1\]: is a chunk of type image"):
        value.to_ints()
    assert Datum(value, {"weights": [1.0] * 50}).loss_fn_inputs["weights"].shape == (50,)


def test_chunk_tags_are_checked() -> None:
    """A chunk cannot be given another chunk's tag."""
    assert EncodedTextChunk([1], type="encoded_text").type == "encoded_text"
    with pytest.raises(ValidationError, match="encoded_text"):
        EncodedTextChunk([1], type="image")


def test_inputs_are_values() -> None:
    """Inputs are frozen, compare and hash by content, pickle, and print in a line."""
    value = ModelInput.from_ints(range(10_000)).append(ImageChunk(PNG * 1000, "jpeg", 5))
    same = pickle.loads(pickle.dumps(value))
    assert same == value
    assert hash(same) == hash(value)
    assert value != ModelInput.from_ints([1])
    assert len(repr(value)) < 250
    with pytest.raises(AttributeError):
        value.chunks = ()


# Audio


def container(*dimensions: int, dtype: int = 1, constant: bool = False) -> bytes:
    """Write the header of a serialized tensor, and some payload."""

    def leb128(value: int) -> bytes:
        out = bytearray()
        while True:
            value, low = value >> 7, value & 0x7F
            out.append(low | (0x80 if value else 0))
            if not value:
                return bytes(out)

    marker = b"\xfe" if constant else b""
    parts = [marker, bytes([dtype]), leb128(len(dimensions)), *map(leb128, dimensions)]
    return b"".join(parts) + b"payload"


@pytest.mark.parametrize("dimensions", [(3, 80), (300, 80), (0,), (1_000_000,)])
@pytest.mark.parametrize("constant", [False, True])
def test_audio_is_as_long_as_its_first_dimension(
    dimensions: tuple[int, ...], constant: bool
) -> None:
    """The length is read from the container's header, bytes and base64 alike."""
    data = container(*dimensions, constant=constant)
    chunk = DmelChunk(data)
    assert chunk.length == dimensions[0]
    assert DmelChunk(base64.b64encode(data).decode()) == chunk
    assert ModelInput((chunk, EncodedTextChunk([1]))).known_length() == dimensions[0] + 1
    assert repr(chunk) == f"DmelChunk({len(data)} bytes, {dimensions[0]} tokens)"


@pytest.mark.parametrize("data", [b"", b"\xfe", b"\x09\x01\x03", b"\x01\x00", b"\x01\x01\x80", "?"])
def test_what_is_no_tensor_is_no_audio(data: bytes | str) -> None:
    """A header that ends early or says nothing is refused by the name of the field."""
    with pytest.raises(ValidationError, match=r"^dmel: "):
        DmelChunk(data)  # type: ignore[arg-type]


def test_audio_has_no_token_ids() -> None:
    """Asking for them names the chunk."""
    with pytest.raises(ValidationError, match=r"chunks\[0\]: is a chunk of type dmel"):
        ModelInput((DmelChunk(container(2, 80)),)).to_ints()
