"""Parsing of responses into the public types."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tinkex_generated.errors import ParseError

from tinkex._base.lazy import LazyModule
from tinkex._base.protobuf.arrays import dense_from_csr
from tinkex._core.wire import binary
from tinkex.types.outputs import (
    ForwardBackwardOutput,
    PromptAltTokens,
    SampledSequence,
    SampleResponse,
)
from tinkex.types.tensor import TensorData

if TYPE_CHECKING:
    import numpy as np
else:
    np = LazyModule("numpy")


def forward_backward_output(body: Any) -> ForwardBackwardOutput:
    """Parse the result of a forward or forward_backward call.

    Args:
        body: The decoded JSON, or the bytes of the binary format.

    Raises:
        ParseError: A required value is missing or of the wrong type.
    """
    if isinstance(body, bytes):
        return binary.forward_backward_output(body)
    body = _object(body, "")
    if "loss_fn_outputs" not in body and "metrics" not in body:
        raise ParseError("loss_fn_outputs", "is missing, and so are the metrics")
    return ForwardBackwardOutput(
        loss_fn_output_type=str(body.get("loss_fn_output_type", "")),
        loss_fn_outputs=[
            {
                str(name): _tensor(tensor, f"loss_fn_outputs[{i}].{name}")
                for name, tensor in _object(output, f"loss_fn_outputs[{i}]").items()
            }
            for i, output in enumerate(_list(body.get("loss_fn_outputs", []), "loss_fn_outputs"))
        ],
        metrics={
            str(key): _metric(value, f"metrics[{key!r}]")
            for key, value in _object(body.get("metrics") or {}, "metrics").items()
        },
    )


def sample_response(body: Any, sequence_ids: Any = None) -> SampleResponse:
    """Parse the result of a sample call.

    Args:
        body: The decoded JSON, or the bytes of the binary format.
        sequence_ids: The ids of the sequences, which are part of the promise and not of the result. A
            list of the wrong length is ignored.

    Raises:
        ParseError: A required value is missing or of the wrong type.
    """
    if isinstance(body, bytes):
        return binary.sample_response(body, sequence_ids)
    body = _object(body, "")
    sequences = _list(body.get("sequences"), "sequences")
    names = binary.sequence_names(sequence_ids, len(sequences))
    return SampleResponse(
        sequences=[
            _sequence(_object(sequence, f"sequences[{i}]"), f"sequences[{i}]", names[i])
            for i, sequence in enumerate(sequences)
        ],
        prompt_logprobs=_optional_numbers(body.get("prompt_logprobs"), "prompt_logprobs"),
        topk_prompt_logprobs=_topk(body.get("topk_prompt_logprobs"), "topk_prompt_logprobs"),
        prompt_cache_hit_tokens=int(body.get("prompt_cache_hit_tokens") or 0),
        target_prompt_logprobs=_optional_tensor(body, "target_prompt_logprobs", ""),
        prompt_alt_tokens=_alternatives(body.get("prompt_alt_tokens"), "prompt_alt_tokens"),
    )


def _sequence(sequence: Mapping[str, Any], path: str, name: str | None) -> SampledSequence:
    return SampledSequence(
        tokens=_only({int}, sequence.get("tokens"), f"{path}.tokens"),
        logprobs=_undefined_as_nan(_optional_numbers(sequence.get("logprobs"), f"{path}.logprobs")),
        stop_reason=str(sequence.get("stop_reason") or "length"),
        sequence_id=name,
        topk_logprobs=_topk(sequence.get("topk_logprobs"), f"{path}.topk_logprobs"),
    )


def _optional_tensor(body: Mapping[str, Any], name: str, path: str) -> TensorData | None:
    value = body.get(name)
    return None if value is None else _tensor(value, f"{path}{name}")


def _alternatives(value: Any, path: str) -> PromptAltTokens | None:
    if value is None:
        return None
    found = _object(value, path)
    tokens = _optional_tensor(found, "tokens", f"{path}.")
    logprobs = _optional_tensor(found, "logprobs", f"{path}.")
    if tokens is None or logprobs is None:
        raise ParseError(path, "lacks its tokens or their log probabilities")
    return PromptAltTokens(tokens, logprobs)


def _topk(rows: Any, path: str) -> list[list[tuple[int, float]] | None] | None:
    if rows is None:
        return None
    return [
        None
        if row is None
        else [_pair(item, f"{path}[{i}]") for item in _list(row, f"{path}[{i}]")]
        for i, row in enumerate(_list(rows, path))
    ]


def _pair(item: Any, path: str) -> tuple[int, float]:
    try:
        token, logprob = (item["token_id"], item["logprob"]) if isinstance(item, Mapping) else item
        if isinstance(token, bool) or not isinstance(token, int):
            raise TypeError
        return token, _number(logprob)
    except (KeyError, TypeError, ValueError):
        raise ParseError(path, f"holds {item!r}, not a token with its log probability") from None


def _metric(value: Any, path: str) -> float:
    try:
        return _number(value)
    except TypeError:
        raise ParseError(path, f"is {value!r}, not a number") from None


def _number(value: Any) -> float:
    """Return a number; JSON has no NaN, so servers write null."""
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError
    return value


def _tensor(value: Any, path: str) -> TensorData:
    if isinstance(value, list):
        value = {"data": value}
    if not isinstance(value, Mapping) or not isinstance(value.get("data"), list | np.ndarray):
        raise ParseError(path, "is not a tensor")
    dtype: type[np.int64 | np.float32] = (
        np.int64 if str(value.get("dtype")).startswith("int") else np.float32
    )
    data = value["data"]
    if dtype is np.int64 and isinstance(data, np.ndarray) and data.dtype == np.float64:
        # Element by element, mismatches are refused; as an array they would be converted.
        data = data.tolist()
    try:
        # Servers write an undefined number as null; with float64, numpy reads it as NaN.
        numbers = np.asarray(data, np.float64 if dtype is np.float32 else dtype)
        with np.errstate(over="ignore"):
            array = numbers.astype(dtype, copy=False)
        shape = value.get("shape")
        if value.get("sparse_crow_indices") is not None:
            return _sparse(array, value, path)
        return TensorData.from_response(array if shape is None else array.reshape(shape))
    except (TypeError, ValueError, OverflowError) as error:
        raise ParseError(path, str(error)) from None


def _sparse(values: np.ndarray[Any, Any], value: Mapping[str, Any], path: str) -> TensorData:
    crow = np.asarray(value["sparse_crow_indices"], np.int64)
    columns = np.asarray(value.get("sparse_col_indices") or [], np.int64)
    dense = dense_from_csr(values, crow, columns, value.get("shape"), path)
    return TensorData.from_response(dense, (values, crow, columns))


def _object(value: Any, path: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ParseError(path, "must be an object")
    return value


def _list(value: Any, path: str) -> list[Any]:
    if not isinstance(value, list):
        raise ParseError(path, "must be a list")
    return value


def _only(kinds: set[type], value: Any, path: str) -> list[Any]:
    """Return the list if all its elements have one of the given JSON types."""
    items = _list(value, path)
    if not set(map(type, items)) <= kinds:
        at, item = next((i, item) for i, item in enumerate(items) if type(item) not in kinds)
        names = " or ".join(sorted(_JSON_NAMES[kind] for kind in kinds))
        raise ParseError(f"{path}[{at}]", f"is {item!r}, not {names}")
    return items


_JSON_NAMES = {int: "integer", float: "number", type(None): "null"}


def _optional_numbers(value: Any, path: str) -> list[Any] | None:
    return None if value is None else _only({int, float, type(None)}, value, path)


def _undefined_as_nan(values: list[Any] | None) -> list[float] | None:
    return values and [math.nan if value is None else value for value in values]
