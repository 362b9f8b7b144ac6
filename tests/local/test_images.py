"""The model that sees: images are trained on and sampled from, offline."""

from __future__ import annotations

import base64
import io
import sys
from random import Random
from typing import Any

import numpy as np
import pytest
from draw_shapes import COLOURS, SHAPES, draw, png
from local.wire import NANO, Wire, prompt, served
from PIL import Image
from support.messages import fill_map, message
from tokenizers import Tokenizer

from tinkex.local import bases

TINY_VISION = "tinkex/tiny-vision"
PATCHES = 64
TOKENIZER = Tokenizer.from_file(str(bases._SHIPPED / "tokenizer.json"))


def encode(text: str) -> list[int]:
    ids: list[int] = TOKENIZER.encode(text, add_special_tokens=False).ids
    return ids


def image(data: bytes, kind: str = "png", **more: Any) -> dict[str, Any]:
    return {"type": "image", "data": base64.b64encode(data).decode(), "format": kind, **more}


def text(words: str) -> dict[str, Any]:
    return {"type": "encoded_text", "tokens": encode(words)}


def drawn(colour: str, shape: str, seed: int = 0) -> bytes:
    return png(draw(colour, shape, Random(seed)))


def question(data: bytes, words: str = "What is this?") -> dict[str, Any]:
    start, end = "<|im_start|>user\n", f"{words}<|im_end|>\n<|im_start|>assistant\n"
    return {"chunks": [text(start), image(data, expected_tokens=PATCHES), text(end)]}


def reply(wire: Wire, asked: dict[str, Any], **more: Any) -> str:
    params = {"max_tokens": 12, "temperature": 0.0}
    answer = wire.result(
        wire.post("asample", base_model=TINY_VISION, prompt=asked, sampling_params=params, **more)
    )
    said: str = TOKENIZER.decode(answer["sequences"][0]["tokens"]).strip()
    return said


def test_the_shipped_model_names_shapes_and_colours(wire: Wire) -> None:
    """Of pictures that it has not seen in training, it tells nearly all."""
    asked = [(colour, shape) for colour in COLOURS for shape in SHAPES]
    right = [
        reply(wire, question(drawn(*one, seed=7000 + i))) == f"A {' '.join(one)}."
        for i, one in enumerate(asked)
    ]
    assert sum(right) >= 0.85 * len(asked), dict(zip(asked, right, strict=True))


def test_other_formats_and_sizes_are_seen_as_well(wire: Wire) -> None:
    """JPEG, a palette, transparency, another size: the picture is the same."""
    whole = Image.open(io.BytesIO(drawn("blue", "square", seed=3)))
    plain = reply(wire, question(drawn("blue", "square", seed=3)))
    assert plain == "A blue square."
    for changed, kind in (
        (whole.resize((256, 256)), "jpeg"),
        (whole.convert("P"), "png"),
        (whole.convert("RGBA"), "png"),
    ):
        buffer = io.BytesIO()
        changed.save(buffer, kind)
        asked = question(b"")
        asked["chunks"][1] = image(buffer.getvalue(), kind)
        assert reply(wire, asked) == plain


def test_images_are_trained_on_in_either_form(wire: Wire) -> None:
    """A new name for what it sees is learnt in some steps; JSON and protobuf give the same loss."""
    model = wire.model(base_model=TINY_VISION)
    data = drawn("red", "circle", seed=5)
    prompt_tokens, answer = encode("Look:"), encode(" zork<|im_end|>")
    length = len(prompt_tokens) + PATCHES + len(answer) - 1
    targets = [*prompt_tokens[1:], *[0] * PATCHES, *answer]
    weights = [0.0] * (length - len(answer)) + [1.0] * len(answer)
    chunks = [text("Look:"), image(data), {"type": "encoded_text", "tokens": answer[:-1]}]
    one = {
        "model_input": {"chunks": chunks},
        "loss_fn_inputs": {
            "target_tokens": {"data": targets, "dtype": "int64", "shape": [length]},
            "weights": {"data": weights, "dtype": "float32", "shape": [length]},
        },
    }
    before = model.loss([one])
    assert binary_loss(wire, model.model_id, next(model._numbers), one, data) == before
    for _ in range(15):
        model.step([one], 5e-3)
    assert model.loss([one]) < 0.2 * before


def binary_loss(wire: Wire, model_id: str, seq_id: int, one: dict[str, Any], data: bytes) -> float:
    """Return the loss of a forward pass that is asked for by protobuf."""
    made = message("Datum")
    for chunk in one["model_input"]["chunks"]:
        entry = made.model_input.add()
        if chunk["type"] == "image":
            entry.image.CopyFrom(message("ImageChunk", data=data, format="png"))
        else:
            tokens = np.array(chunk["tokens"], "<i4").tobytes()
            entry.encoded_text.CopyFrom(message("EncodedTextChunk", tokens=tokens))
    tensors = {
        name: message(
            "Tensor",
            dense=np.array(value["data"], "<i8" if value["dtype"] == "int64" else "<f4").tobytes(),
            dtype=2 if value["dtype"] == "int64" else 1,
            shape=value["shape"],
        )
        for name, value in one["loss_fn_inputs"].items()
    }
    fill_map(made.loss_fn_inputs, tensors)
    request = message(
        "ForwardBackwardRequest",
        model_id=model_id,
        seq_id=seq_id,
        loss_fn="cross_entropy",
        data=[made],
        forward_only=True,
    )
    sent = wire.http.post(
        "forward_backward",
        content=request.SerializeToString(),
        headers={"content-type": "application/x-protobuf"},
    )
    assert sent.is_success, sent.text
    return float(wire.result(sent.json())["metrics"]["loss:sum"])


def test_patches_have_no_logprob(wire: Wire) -> None:
    """The model predicts tokens of text alone; the tokens after an image are scored."""
    chunks = [text("Look:"), image(drawn("red", "circle")), text(" A red")]
    promise = wire.post(
        "asample",
        base_model=TINY_VISION,
        prompt={"chunks": chunks},
        sampling_params={"max_tokens": 1},
        prompt_logprobs=True,
    )
    logprobs = wire.result(promise)["prompt_logprobs"]
    before, after = len(encode("Look:")), len(encode(" A red"))
    assert len(logprobs) == before + PATCHES + after
    assert logprobs[before : before + PATCHES] == [None] * PATCHES
    assert None not in logprobs[1:before] + logprobs[-after:]


@pytest.mark.parametrize(
    ("chunk", "said"),
    [
        (
            image(drawn("red", "circle"), expected_tokens=3),
            "expected_tokens is 3, and an image takes 64",
        ),
        (image(b"no image"), "data cannot be read as PNG"),
        (image(drawn("red", "circle"), "jpeg"), "data cannot be read as JPEG"),
        (image(drawn("red", "circle")[:-40]), "data cannot be read as PNG"),
        ({"type": "image", "data": "?", "format": "png"}, "data is no base64"),
        ({"type": "image_asset_pointer", "location": "x", "format": "png"}, "lie elsewhere"),
        ({"type": "dmel", "dmel": "AQEB"}, "no audio"),
    ],
)
def test_what_cannot_be_seen_is_refused(wire: Wire, chunk: dict[str, Any], said: str) -> None:
    """Each is a 400 that names the place, in sampling and in training."""
    body = {"base_model": TINY_VISION, "sampling_params": {"max_tokens": 1}}
    refused = wire.send("asample", prompt={"chunks": [chunk]}, **body)
    assert refused.status_code == 400
    assert said in refused.json()["detail"]
    assert "chunks[0]" in refused.json()["detail"]


def test_an_image_of_too_many_pixels_is_refused(wire: Wire) -> None:
    """A small file may hold a huge picture; it is refused by its header."""
    buffer = io.BytesIO()
    Image.new("1", (5000, 5000)).save(buffer, "png")
    assert len(buffer.getvalue()) < 10_000
    body = {"base_model": TINY_VISION, "sampling_params": {"max_tokens": 1}}
    refused = wire.send("asample", prompt={"chunks": [image(buffer.getvalue())]}, **body)
    assert refused.status_code == 400
    assert "5000 x 5000 pixels" in refused.json()["detail"]


def test_a_model_without_eyes_says_so(wire: Wire) -> None:
    """The other models take text alone; the one that sees takes text alone as well."""
    body = {"prompt": {"chunks": [image(drawn("red", "circle"))]}, "sampling_params": {}}
    refused = wire.send("asample", base_model=NANO, **body)
    assert refused.status_code == 400
    assert "takes no images" in refused.json()["detail"]
    assert reply(wire, prompt(*encode("Hello")))


def test_without_pillow_images_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the extra that the server lacks."""
    asked = question(drawn("red", "circle"))
    monkeypatch.setitem(sys.modules, "PIL", None)
    with served() as (_, wire):
        body = {"prompt": asked, "sampling_params": {}}
        refused = wire.send("asample", base_model=TINY_VISION, **body)
        assert refused.status_code == 400
        assert "pip install 'tinkex[vision]'" in refused.json()["detail"]
