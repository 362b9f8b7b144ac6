"""Arrays read straight from JSON are the ones that a plain reading gives, and so are the errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.extent import examples
from tinkex_generated.errors import ParseError
from tinkex_generated.types import dumps, loads

from tinkex._core.wire import decode, json_arrays
from tinkex._core.wire.json_arrays import load_with_arrays

SLOW_TO_MAKE = settings(
    max_examples=examples(300),
)


@pytest.fixture(autouse=True)
def _every_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut the arrays out of short texts, too."""
    monkeypatch.setattr(json_arrays, "WORTH_IT", 0)


def plain(value: Any) -> Any:
    """Return the value with lists in place of arrays, and floats for integers among floats."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, list):
        if set(map(type, value)) == {int, float}:
            return [float(item) for item in value]
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


def outcome(read: Any, content: bytes) -> Any:
    """Return what a reader makes of a text, or that it refuses it."""
    try:
        return plain(read(content))
    except ValueError:
        return ValueError


def output(read: Any, content: bytes) -> Any:
    """Return dtype, shape and bytes of each tensor of an answer, or the place that is refused."""
    try:
        result = decode.forward_backward_output(read(content))
    except ParseError as error:
        return error.path
    except ValueError:
        return ValueError
    return [
        {
            name: (tensor.dtype, tensor.shape, tensor.numpy().tobytes())
            for name, tensor in out.items()
        }
        for out in result.loss_fn_outputs
    ]


numbers = st.one_of(
    st.sampled_from(
        [
            "0",
            "-0",
            "-0.0",
            "1e5",
            "1E-400",
            "1e400",
            "3.4028236e38",
            "18446744073709551616",
            "9223372036854775807",
            "9223372036854775808",
            "-9223372036854775809",
            "0.1",
            "-1.5e-3",
            "null",
            "true",
            "01",
            ".5",
            "1.",
            "+1",
            "NaN",
            "-",
            '"x"',
            '"]"',
            "[1]",
            "[",
            "]",
            "{}",
            "",
        ]
    ),
    st.integers(-(2**70), 2**70).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.floats(width=32, allow_nan=False, allow_infinity=False).map(repr),
)
ordinary = st.floats(-50, 0).map(repr) | st.integers(-9, 9).map(str)
blank = st.sampled_from(["", "", "", " ", "\n", "\t ", "\r\n", "\f"])


@st.composite
def arrays(draw: st.DrawFn) -> str:
    items = draw(st.lists(ordinary, max_size=6) | st.lists(ordinary | numbers, max_size=4))
    space = draw(blank)
    return "[" + space + f"{space},".join(items) + space + "]"


@st.composite
def tensors(draw: st.DrawFn) -> str:
    gap = draw(blank)
    value = draw(st.one_of(arrays(), arrays(), arrays(), numbers, st.just('{"data":[1.5]}')))
    key = draw(st.sampled_from(["data"] * 8 + ["d\\u0061ta", "da", 'x\\"data', "data "]))
    parts = [f'"{key}"{gap}:{gap}{value}']
    if draw(st.booleans()):
        parts.append(f'"dtype":"{draw(st.sampled_from(["float32", "int64", "bfloat16", "data"]))}"')
    if draw(st.booleans()):
        parts.append(f'"shape":[{draw(st.integers(0, 6))}]')
    if draw(st.integers(0, 9)) == 0:
        parts.append(f'"data":{draw(arrays())}')
    return "{" + ",".join(draw(st.permutations(parts))) + "}"


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    outputs = draw(
        st.lists(
            st.lists(tensors(), min_size=1, max_size=3).map(
                lambda several: "{" + ",".join(f'"t{i}":{t}' for i, t in enumerate(several)) + "}"
            ),
            max_size=3,
        )
    )
    note = draw(st.sampled_from(["x", '\\"data\\":[1]', "\\\\", "data", '"data":[1.5]', "]", "é"]))
    text = (
        f'{{"loss_fn_output_type":"{note}","loss_fn_outputs":[{",".join(outputs)}],"metrics":{{}}}}'
    )
    content = bytearray(text.encode())
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        place = draw(st.integers(0, max(len(content) - 1, 0)))
        content[place : place + draw(st.integers(0, 2))] = draw(
            st.sampled_from(
                [b"", b"]", b"[", b'"', b",", b"\\", b"1", b".", b" ", b"\xff", b"}", b"-"]
            )
        )
    return bytes(content)


@SLOW_TO_MAKE
@given(content=answers())
def test_whatever_comes_is_read_or_refused_as_plain_json_is(content: bytes) -> None:
    """Also texts with escapes, doubled keys, lists in lists, and bytes damaged at random places."""
    assert outcome(load_with_arrays, content) == outcome(loads, content)


@SLOW_TO_MAKE
@given(content=answers())
def test_tensors_of_an_answer_are_the_same_to_the_last_bit(content: bytes) -> None:
    """Rounding, overflow, undefined numbers and refusals do not depend on the way of reading."""
    with np.errstate(over="ignore"):
        assert output(load_with_arrays, content) == output(loads, content)


def test_numbers_become_arrays_without_a_list_between() -> None:
    """Fractions and exponents make float64, integers alone int64, and everything else stays a list."""
    read = load_with_arrays(
        b'{"a": {"data": [0.5, -1, 1e2]}, "b": [{"data" : [3,4]}], "c": {"data": [null, 1.5]}}'
    )
    assert read["a"]["data"].dtype == np.float64
    assert read["a"]["data"].tolist() == [0.5, -1.0, 100.0]
    assert read["b"][0]["data"].dtype == np.int64
    assert read["c"]["data"] == [None, 1.5]


def test_a_batch_of_logprobs_is_what_was_written() -> None:
    """A whole answer of float32 logprobs comes back bit for bit."""
    rng = np.random.default_rng(0)
    rows = [(-rng.exponential(size=257)).astype(np.float32) for _ in range(16)]
    content = dumps(
        {
            "loss_fn_output_type": "ArrayRecord",
            "loss_fn_outputs": [
                {"logprobs": {"data": row, "dtype": "float32", "shape": [257]}} for row in rows
            ],
            "metrics": {"loss:sum": 1.5},
        }
    )
    body = load_with_arrays(content)
    assert isinstance(body["loss_fn_outputs"][3]["logprobs"]["data"], np.ndarray)
    read = decode.forward_backward_output(body)
    for row, out in zip(rows, read.loss_fn_outputs, strict=True):
        assert np.array_equal(out["logprobs"].numpy(), row)


def test_deep_texts_do_not_overflow_the_stack() -> None:
    """A text may nest deeper than Python calls."""
    content = b'{"data":[1.5],"x":' + b"[" * 1000 + b"]" * 1000 + b"}"
    assert load_with_arrays(content)["data"].tolist() == [1.5]
