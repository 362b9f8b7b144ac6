"""Combination of the results of a batch's chunks into one."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from attrs import evolve

from tinkex._base.lazy import LazyModule
from tinkex.errors import DecodeError
from tinkex.types.datum import Datum
from tinkex.types.outputs import ForwardBackwardOutput
from tinkex.types.tensor import TensorData

if TYPE_CHECKING:
    import numpy as np
else:
    np = LazyModule("numpy")

Shape = tuple[int, ...]


def target_shapes(data: Sequence[Datum]) -> list[Shape | None]:
    """Return the shape of each datum's targets, which is also that of its log probabilities."""
    targets = [datum.loss_fn_inputs.get("target_tokens") for datum in data]
    return [None if one is None else one.shape for one in targets]


def total_weight(data: Sequence[Datum]) -> float:
    """Return the sum of the weights of all data; a target without a weight counts 1.

    >>> total_weight([])
    0.0
    """
    total = 0.0
    for datum in data:
        inputs = datum.loss_fn_inputs
        if "weights" in inputs:
            total += float(inputs["weights"].numpy().sum(dtype="float64"))
        elif "target_tokens" in inputs:
            total += math.prod(inputs["target_tokens"].shape)
    return total


def fitted(output: ForwardBackwardOutput, shapes: Sequence[Shape | None]) -> ForwardBackwardOutput:
    """Return a batch's result with each datum's log probabilities in the shape of its targets.

    Servers may flatten them, or omit all outputs.

    Args:
        output: The result of the whole batch.
        shapes: The shape of each datum's targets; None for one without.

    Raises:
        DecodeError: The number of log probabilities is wrong. The message names the datum.
    """
    outputs = output.loss_fn_outputs
    if not outputs:
        return output
    if len(outputs) != len(shapes):
        raise DecodeError(
            f"the result of {len(shapes)} data has {len(outputs)} outputs; one per datum is expected"
        )
    reshaped = False
    found: list[dict[str, TensorData]] = []
    for index, (one, shape) in enumerate(zip(outputs, shapes, strict=True)):
        logprobs = one.get("logprobs")
        if shape is not None and logprobs is not None and logprobs.shape != shape:
            if math.prod(shape) != math.prod(logprobs.shape):
                raise DecodeError(
                    f"data[{index}]: the targets have shape {shape}, but the server returned log "
                    f"probabilities of shape {logprobs.shape}"
                    + (". This server may take only one target for each token" * (len(shape) > 1))
                )
            array = logprobs.numpy().reshape(shape)
            one = {**one, "logprobs": TensorData.from_response(array)}  # noqa: PLW2901
            reshaped = True
        found.append(one)
    return evolve(output, loss_fn_outputs=found) if reshaped else output


def with_loss(
    output: ForwardBackwardOutput, data: Sequence[Datum], loss_fn: str
) -> ForwardBackwardOutput:
    """Return a batch's result with its loss, computed here if the server returned only its terms.

    Args:
        output: The result of the whole batch.
        data: The batch.
        loss_fn: Its loss.
    """
    if output.has_loss or not output.loss_fn_outputs:
        return output
    pairs = list(zip(output.loss_fn_outputs, data, strict=True))
    losses = [_loss_of(one, datum, loss_fn) for one, datum in pairs]
    known = [loss for loss in losses if loss is not None]
    if len(known) < len(losses):
        return output
    metrics = {**output.metrics, "loss:sum": math.fsum(known)}
    return evolve(output, metrics=metrics, computes_loss=True)


def _loss_of(output: Mapping[str, TensorData], datum: Datum, loss_fn: str) -> float | None:
    """Return the loss of one datum, or None if it is unknown.

    The formulas are those of the Tinker API's documentation of its losses.
    """
    if "elementwise_loss" in output:
        return float(output["elementwise_loss"].numpy().sum(dtype="float64"))
    inputs = datum.loss_fn_inputs
    needed = {"cross_entropy": (), "importance_sampling": ("logprobs", "advantages")}.get(loss_fn)
    if needed is None or "logprobs" not in output or not all(name in inputs for name in needed):
        return None
    gains = output["logprobs"].numpy().astype("float64")
    if needed:
        sampled, advantages = (inputs[name].numpy() for name in needed)
        gains = np.exp(gains - sampled) * advantages
    if "weights" in inputs:
        gains = gains * inputs["weights"].numpy()
    return -float(gains.sum())


def combine(results: Sequence[ForwardBackwardOutput]) -> ForwardBackwardOutput:
    """Join the outputs in order and reduce each metric by the rule after its colon.

    A metric is kept if every chunk has it. A chunk's weight is the number of its outputs.

    Args:
        results: At least one result, in the order of the chunks.
    """
    if len(results) == 1:
        return results[0]
    return ForwardBackwardOutput(
        loss_fn_output_type=results[0].loss_fn_output_type,
        loss_fn_outputs=[output for result in results for output in result.loss_fn_outputs],
        metrics=reduce_metrics(
            [result.metrics for result in results],
            [len(result.loss_fn_outputs) for result in results],
        ),
    )


def reduce_metrics(
    metrics: Sequence[Mapping[str, float]], weights: Sequence[float]
) -> dict[str, float]:
    """Reduce the metrics of several chunks to one dict.

    >>> reduce_metrics([{"loss:sum": 1.0}, {"loss:sum": 3.0}], [1, 1])
    {'loss:sum': 4.0}
    """
    reduced: dict[str, float] = {}
    for key in metrics[0]:
        if not all(key in chunk for chunk in metrics):
            continue
        values = [chunk[key] for chunk in metrics]
        name, _, reduction = key.rpartition(":")
        if reduction == "unique" and name:
            reduced.update(_unique(key, values))
        else:
            # Unknown reductions default to the mean, the only one that stays within the range of
            # its values.
            reduce = _REDUCTIONS.get(reduction, _mean) if name else _mean
            reduced[key] = reduce(values, weights)
    return reduced


def _mean(values: Sequence[float], weights: Sequence[float]) -> float:
    total = sum(weights)
    if total <= 0:
        return 0.0
    return sum(value * weight for value, weight in zip(values, weights, strict=True)) / total


def _slack(values: Sequence[float], weights: Sequence[float]) -> float:
    return max(values) - _mean(values, weights) if sum(weights) > 0 else 0.0


def _hash2(values: Sequence[float], _: Sequence[float]) -> float:
    if not all(map(math.isfinite, values)):
        return math.nan
    return sum(int(value) % 2**64 for value in values) % 2**64


def _hash_unordered(values: Sequence[float], _: Sequence[float]) -> float:
    if not all(map(math.isfinite, values)):
        return math.nan
    return hash(tuple(sorted(int(value) for value in values)))


def _unique(key: str, values: Sequence[float]) -> dict[str, float]:
    return {key if i == 0 else f"{key}_{i}": value for i, value in enumerate(values)}


_REDUCTIONS: dict[str, Callable[[Sequence[float], Sequence[float]], float]] = {
    "sum": lambda values, _: sum(values),
    "min": lambda values, _: min(values),
    "max": lambda values, _: max(values),
    "mean": _mean,
    "slack": _slack,
    "hash2": _hash2,
    "hash_unordered": _hash_unordered,
}
