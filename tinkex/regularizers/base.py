"""The base class of regularizers: batches, references, and reductions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import attrs
import numpy as np
import numpy.typing as npt

from tinkex.errors import ValidationError
from tinkex.regularizers import tracing
from tinkex.types.tensor import TensorData, on_the_host

FloatArray = npt.NDArray[np.float64]
Value = float | FloatArray
ArrayLike = Any


def one_of(*allowed: str) -> Callable[[Any, Any, Any], None]:
    """Return a validator for an option with a few named values."""

    def check(regularizer: Any, attribute: Any, value: Any) -> None:
        if value not in allowed:
            raise ValidationError(
                f"must be {' or '.join(map(repr, allowed))}, not {value!r}: unsupported "
                f"{type(regularizer).__name__} {attribute.name}",
                path=attribute.name,
            )

    return check


def at_least(least: float, *, above: bool = False, most: float = np.inf) -> Any:
    """Return a validator for a finite number within bounds."""

    def check(_: Any, attribute: Any, value: Any) -> None:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not np.isfinite(value) or value < least or value > most:
            raise ValidationError(f"is out of range: {value!r}", path=attribute.name)
        if above and value == least:
            raise ValidationError(f"must be above {least:g}", path=attribute.name)

    return check


def to_arrays(logprobs: ArrayLike) -> tuple[list[FloatArray], bool]:
    """Return float64 arrays, one per datum, and whether the argument was a batch.

    An array, or a flat list of numbers, is a single datum; a list of arrays or of lists is a batch.
    """
    batch = is_batch(logprobs)
    items = list(logprobs) if batch else [logprobs]
    arrays = []
    for i, item in enumerate(items):
        try:
            arrays.append(np.asarray(on_the_host(item), np.float64))
        except (TypeError, ValueError):
            raise ValidationError(
                "is not a rectangular array of numbers",
                path=f"logprobs[{i}]" if batch else "logprobs",
            ) from None
    return arrays, batch


def is_batch(logprobs: ArrayLike) -> bool:
    """Return whether the log probabilities are a batch rather than one array."""
    if isinstance(logprobs, TensorData) or not isinstance(logprobs, Sequence):
        return False
    return len(logprobs) == 0 or not all(np.ndim(on_the_host(item)) == 0 for item in logprobs)


def field_arrays(data: Sequence[Any], key: str, count: int) -> list[FloatArray]:
    """Return a field of `loss_fn_inputs` of each of the first `count` data.

    Raises:
        ValidationError: There are too few data, or a datum lacks the field.
    """
    if len(data) < count:
        raise ValidationError(
            f"has {len(data)} data; field {key!r} is required for each of {count} arrays of log "
            "probabilities",
            path="data",
        )
    found = []
    for i, datum in enumerate(data[:count]):
        inputs = getattr(datum, "loss_fn_inputs", None)
        if not isinstance(inputs, Mapping):
            raise ValidationError("expected a Datum with loss_fn_inputs", path=f"data[{i}]")
        if key not in inputs:
            raise ValidationError(
                f"is missing; available: {sorted(inputs)}",
                path=f"data[{i}].loss_fn_inputs[{key!r}]",
            )
        found.append(np.asarray(on_the_host(inputs[key]), np.float64))
    return found


def check_same_shape(
    name: str, arrays: Sequence[FloatArray], references: Sequence[FloatArray]
) -> None:
    """Refuse references whose shapes differ from those of the log probabilities."""
    if len(references) != len(arrays):
        raise ValidationError(
            f"{len(references)} references for {len(arrays)} arrays in {name}", path="logprobs"
        )
    for i, (array, reference) in enumerate(zip(arrays, references, strict=True)):
        if array.shape != reference.shape:
            raise ValidationError(
                f"shape mismatch in {name}: {array.shape}, but its reference is {reference.shape}",
                path=f"logprobs[{i}]",
            )


@attrs.frozen
class Regularizer:
    """Base class of penalties on log probabilities, with their gradients.

    `logprobs` is one array, or a list with one array per datum. For a list, the reduction covers the
    elements (or rows) of all arrays, like one ragged array. Arrays of autograd, torch and jax are
    accepted; inside a loss function of these libraries, they use the analytic gradient.

    For a custom regularizer, subclass this class and define `name`, `_terms` and `_slope`; or use
    any object with `value(logprobs, data)` and optionally `gradient(logprobs, data)`; or a function
    of (data, logprobs).
    """

    name: ClassVar[str] = "regularizer"

    def value(self, logprobs: ArrayLike, data: Sequence[Any] = ()) -> Value:
        """Return the penalty.

        Args:
            logprobs: An array, or a list of one per datum.
            data: The data, for options that name a field of `loss_fn_inputs`.

        Raises:
            ValidationError: A reference is missing or has the wrong shape.
        """
        library = tracing.library_of(logprobs)
        if library is not None:
            traced: Value = tracing.value(self.value_and_gradient, logprobs, data, library)
            return traced
        arrays, _ = to_arrays(logprobs)
        return self._reduced(arrays, self._references(arrays, data))

    def gradient(
        self, logprobs: ArrayLike, data: Sequence[Any] = ()
    ) -> FloatArray | list[FloatArray]:
        """Return the derivative of `value` (summed, if it is not a scalar) by each log probability.

        Returns:
            float64, with the shape of the log probabilities; a list for a list.
        """
        arrays, batch = to_arrays(logprobs)
        gradients = self._gradients(arrays, self._references(arrays, data))
        return gradients if batch else gradients[0]

    def value_and_gradient(
        self, logprobs: ArrayLike, data: Sequence[Any] = ()
    ) -> tuple[Value, FloatArray | list[FloatArray]]:
        """Return both, at the same random point if the regularizer is random."""
        arrays, batch = to_arrays(logprobs)
        references = self._references(arrays, data)
        gradients = self._gradients(arrays, references)
        return self._reduced(arrays, references), gradients if batch else gradients[0]

    def metrics(self, logprobs: ArrayLike, data: Sequence[Any] = ()) -> dict[str, Any]:
        """Return further metrics, for `RegularizerOutput.custom`."""
        arrays, _ = to_arrays(logprobs)
        return self._metrics(arrays, self._references(arrays, data))

    def __call__(self, data: Sequence[Any], logprobs: ArrayLike) -> tuple[Value, dict[str, Any]]:
        """Return (value, metrics), like a loss function."""
        value = self.value(logprobs, data)
        traced = tracing.library_of(logprobs) is not None
        return value, {} if traced else self.metrics(logprobs, data)

    def _terms(self, x: FloatArray, reference: Any) -> FloatArray:
        """Return the terms to reduce: one per element, per row, or for the whole array."""
        raise NotImplementedError

    def _slope(self, x: FloatArray, reference: Any) -> FloatArray:
        """Return the derivative of the sum of the terms."""
        raise NotImplementedError

    def _references(self, arrays: Sequence[FloatArray], _data: Sequence[Any]) -> Sequence[Any]:
        """Return the reference of each array."""
        return [None] * len(arrays)

    def _metrics(self, _arrays: Sequence[FloatArray], _references: Sequence[Any]) -> dict[str, Any]:
        return {}

    @property
    def _reduction(self) -> str:
        return str(getattr(self, "reduction", "sum"))

    def _all_terms(self, arrays: Sequence[FloatArray], references: Sequence[Any]) -> FloatArray:
        parts = [
            np.asarray(self._terms(x, r)).reshape(-1)
            for x, r in zip(arrays, references, strict=True)
        ]
        return np.concatenate(parts) if parts else np.zeros(0)

    def _reduced(self, arrays: Sequence[FloatArray], references: Sequence[Any]) -> Value:
        terms = self._all_terms(arrays, references)
        if self._reduction == "none":
            return terms
        if self._reduction == "sum" or not terms.size:
            return float(terms.sum())
        return float(terms.mean())

    def _gradients(
        self, arrays: Sequence[FloatArray], references: Sequence[Any]
    ) -> list[FloatArray]:
        scale = 1.0
        if self._reduction == "mean":
            scale = 1.0 / max(self._all_terms(arrays, references).size, 1)
        return [
            scale * self._slope(x, r).reshape(x.shape)
            for x, r in zip(arrays, references, strict=True)
        ]
