"""The numbers of protobuf fields, generated from the messages that the description lists."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
from tinkex_generated import protobuf

TEXT = """// Comments, and lines
// that describe no message.
Tensor   oneof: 1 dense bytes (int32[], or none), 2 sparse Csr; 3 dtype DType,
         4 optional scale double, 15 shape repeated int64
Settings 1 values map<string, double>
DType    0 UNSPECIFIED, 1 FLOAT32
"""


def described(*texts: str) -> dict[str, Any]:
    operations = ({"post": {"x-tinkex-protobuf": text}} for text in texts)
    return {"paths": {f"/{number}": item for number, item in enumerate(operations)}}


def numbers(source: str) -> dict[str, dict[str, int]]:
    found: dict[str, Any] = {}
    exec(source, found)
    return {
        name: {key: value for key, value in vars(kind).items() if not key.startswith("_")}
        for name, kind in found.items()
        if isinstance(kind, type)
    }


@pytest.fixture
def generated(generator: ModuleType) -> Any:
    return generator.protobuf.module


def test_each_message_is_a_class_with_the_numbers_of_its_fields(generated: Any) -> None:
    """Types, labels, oneofs and comments are left out; messages may be repeated if they agree."""
    assert numbers(generated(described(TEXT, "DType 0 UNSPECIFIED, 1 FLOAT32"))) == {
        "Tensor": {"dense": 1, "sparse": 2, "dtype": 3, "scale": 4, "shape": 15},
        "Settings": {"values": 1},
        "DType": {"UNSPECIFIED": 0, "FLOAT32": 1},
    }
    assert generated(described()) is None


@pytest.mark.parametrize(
    ("texts", "problem"),
    [
        (["A 1"], r"paths./0.post.x-tinkex-protobuf: cannot read '1' in the message 'A'"),
        (["A one x"], "cannot read 'one x'"),
        (["A 1 x int32, 2 x int32"], "cannot read '2 x int32'"),
        (["A 1 x repeated lists of int32"], "cannot read '1 x repeated lists of int32'"),
        (["A-B 1 x"], "in the message 'A-B'"),
        (["A 1 x", "A 2 x"], r"paths./1.*the message A is described twice, in different ways"),
    ],
)
def test_what_cannot_be_read_is_refused(generated: Any, texts: list[str], problem: str) -> None:
    """The error names the place in the description."""
    with pytest.raises(Exception, match=problem):
        generated(described(*texts))


def test_the_package_has_the_numbers_of_the_description() -> None:
    """A few that are known."""
    assert protobuf.ForwardBackwardRequest.loss_fn_config_v2 == 7
    assert protobuf.TopkLogprobs.length == 4
    assert protobuf.StopReason.STOP_REASON_LENGTH == 1
