"""The payloads of the stand-in server, made so that a client can check their completeness.

Uses the standard library alone: the stand-in has no venv, and both clients' venvs import this.
"""

from __future__ import annotations

import json
import random
import struct
from array import array
from collections.abc import Sequence
from functools import lru_cache

DATUMS = 128
TOKENS_PER_DATUM = 2048
SAMPLED_TOKENS = 64
PROMPT_TOKENS = 128
VOCABULARY = 128_000

# Protobuf enumerators.
_FLOAT32 = 1
_STOP_REASON_LENGTH = 1


@lru_cache(maxsize=1024)
def logprobs(key: int, length: int) -> tuple[float, ...]:
    """Return the log probabilities that belong to a key: seven decimals each."""
    draw = random.Random(key)
    return tuple(-round(draw.random() * 12 + 1e-4, 7) for _ in range(length))


@lru_cache(maxsize=1024)
def sampled(key: int) -> tuple[list[int], list[float]]:
    """Return the tokens, and their log probabilities, of the sample that belongs to a key."""
    draw = random.Random(~key)
    tokens = [draw.randrange(VOCABULARY) for _ in range(SAMPLED_TOKENS)]
    return tokens, list(logprobs(~key, SAMPLED_TOKENS))


def forward_backward_json(keys: Sequence[int], length: int) -> bytes:
    """Return the JSON form of a ForwardBackwardOutput with one row for each key."""
    rows = b",".join(_json_row(key, length) for key in keys)
    return (
        b'{"loss_fn_output_type":"TorchLossReturn","loss_fn_outputs":['
        + rows
        + b'],"metrics":{"loss:sum":%d.5}}' % len(keys)
    )


@lru_cache(maxsize=1024)
def _json_row(key: int, length: int) -> bytes:
    values = ",".join(f"{value:.7f}" for value in logprobs(key, length))
    return b'{"logprobs":{"data":[%s],"dtype":"float32","shape":[%d]}}' % (values.encode(), length)


def forward_backward_protobuf(keys: Sequence[int], length: int) -> bytes:
    """Return the protobuf form of the same output, its rows in one batched tensor."""
    data = b"".join(_float_row(key, length) for key in keys)
    offsets = struct.pack(f"<{len(keys) + 1}q", *(4 * length * i for i in range(len(keys) + 1)))
    tensor = _bytes(1, data) + _bytes(2, offsets) + _number(3, _FLOAT32)
    field = _bytes(1, b"logprobs") + _bytes(2, tensor)
    record = _bytes(1, b"TorchLossReturn") + _bytes(2, field) + _number(3, len(keys))
    metric = _bytes(1, b"loss:sum") + b"\x11" + struct.pack("<d", len(keys) + 0.5)
    return _bytes(1, b"TorchLossReturn") + _bytes(2, record) + _bytes(3, metric)


@lru_cache(maxsize=1024)
def _float_row(key: int, length: int) -> bytes:
    return _little_endian("f", logprobs(key, length))


@lru_cache(maxsize=1024)
def sample_json(key: int) -> bytes:
    """Return the JSON form of a SampleResponse with one sequence."""
    tokens, scores = sampled(key)
    sequence = {"tokens": tokens, "logprobs": scores, "stop_reason": "length"}
    return json.dumps({"type": "sample", "sequences": [sequence]}, separators=(",", ":")).encode()


@lru_cache(maxsize=1024)
def sample_protobuf(key: int) -> bytes:
    """Return the protobuf form of the same response."""
    tokens, scores = sampled(key)
    sequence = (
        _number(1, _STOP_REASON_LENGTH)
        + _bytes(2, _little_endian("i", tokens))
        + _bytes(3, _little_endian("f", scores))
    )
    return _bytes(1, sequence)


def _little_endian(code: str, values: Sequence[float]) -> bytes:
    return struct.pack(f"<{len(values)}{code}", *values)


def as_float32(values: Sequence[float]) -> array[float]:
    """Return the values as float32 rounds them."""
    return array("f", values)


def varint(value: int) -> bytes:
    """Return the protobuf encoding of a number that is not negative."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the number that begins at a place, and the place after it."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(value)) + value
