"""One training step with a custom loss.

The service does not know the loss. A forward pass returns the log probabilities l; the loss L(l) and
g = ∂L/∂l are computed here; then a backward pass of cross_entropy, Σ −w·l, is submitted with the weights
w = −g. With g constant, its gradient is Σ g ∂l/∂θ = ∂L/∂θ, that of L itself.

A server that leaves ``loss:sum`` to its clients may divide each sequence's loss by the sum of its weights,
which can be zero or negative here. There the backward pass is one of importance_sampling,
Σ −exp(l' − l)·A, with the advantages A = −g: with the model of the forward pass l' = l, and the gradient
is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
import numpy as np
from attrs import frozen

from tinkex._core.checks import checked_data
from tinkex._core.polling import Promise, Work
from tinkex._core.wire.combine import total_weight
from tinkex.errors import DecodeError, ValidationError
from tinkex.losses.gradients import backend_function
from tinkex.losses.loss_function import Backend, FloatArray, LossFunction
from tinkex.regularizers.events import Observer
from tinkex.regularizers.pipeline import Pipeline, metrics_of
from tinkex.regularizers.spec import RegularizerSpec
from tinkex.types.datum import Datum
from tinkex.types.outputs import ForwardBackwardOutput


@frozen
class CustomStep:
    """A validated batch with its loss and regularizers.

    Attributes:
        data: The user's data.
        loss_fn: The user's loss.
        pipeline: The regularizers.
        backend: The source of the loss's gradient; None infers it.
    """

    data: Sequence[Datum]
    loss_fn: LossFunction
    pipeline: Pipeline
    backend: Backend | None

    @classmethod
    def of(
        cls,
        data: Sequence[Datum],
        loss_fn: LossFunction,
        regularizers: Sequence[RegularizerSpec] = (),
        backend: Backend | None = None,
        observer: Observer | None = None,
    ) -> CustomStep:
        """Validate everything that can be validated before the forward pass.

        Raises:
            ValidationError: A datum has no targets, or weights of the wrong shape; the loss is not a
                function; or a regularizer is invalid.
        """
        data = checked_data(data)
        if not callable(loss_fn):
            raise ValidationError(
                f"must be a function of (data, logprobs), not {type(loss_fn).__name__}",
                path="loss_fn",
            )
        backend_function(backend, loss_fn)
        for index, datum in enumerate(data):
            _check_datum(datum, f"data[{index}].loss_fn_inputs")
        return cls(data, loss_fn, Pipeline(regularizers, observer=observer), backend)

    def forward_data(self) -> list[Datum]:
        """Return the data with only what the service needs: targets and weights.

        Missing weights are zeros. Their shapes equal those of the backward data, so both are chunked into
        the same requests.
        """
        return [
            _with_weights(
                datum,
                datum.loss_fn_inputs["weights"].numpy()
                if "weights" in datum.loss_fn_inputs
                else np.zeros(datum.loss_fn_inputs["target_tokens"].shape, np.float32),
            )
            for datum in self.data
        ]

    def backward(self, forward: ForwardBackwardOutput) -> Surrogate:
        """Evaluate the loss on the forward pass's result.

        Raises:
            ValidationError: The loss or its gradient is invalid.
            DecodeError: The response lacks the log probabilities of a datum.
        """
        logprobs = [
            _logprobs(forward, index, datum.loss_fn_inputs["target_tokens"].shape, len(self.data))
            for index, datum in enumerate(self.data)
        ]
        output, gradients = self.pipeline.compute_with_gradients(
            self.data, logprobs, self.loss_fn, backend=self.backend
        )
        metrics: dict[str, float] = {"loss:sum": output.loss_total}
        if self.pipeline.regularizers:
            metrics |= metrics_of(output)
        assert output.base_loss is not None  # noqa: S101 - a pipeline always has one
        carried = [-gradient.astype(np.float32) for gradient in gradients]
        metrics |= output.base_loss.custom
        weight = total_weight(self.data)
        if forward.computes_loss and all(
            one.ndim == 1 and np.isfinite(one).all() for one in logprobs
        ):
            return Surrogate(
                [
                    _with_advantages(datum, lps.astype(np.float32), one)
                    for datum, lps, one in zip(self.data, logprobs, carried, strict=True)
                ],
                metrics,
                weight,
                "importance_sampling",
            )
        return Surrogate(
            [_with_weights(datum, one) for datum, one in zip(self.data, carried, strict=True)],
            metrics,
            weight,
        )


@frozen
class Surrogate:
    """The backward pass that replaces a custom loss.

    Attributes:
        data: The data to send, with weights or advantages −∂loss/∂logprob.
        metrics: Replaces the server's metrics.
        weight: The sum of the weights of the user's data.
        loss_fn: The loss of the backward pass.
    """

    data: list[Datum]
    metrics: Mapping[str, float]
    weight: float
    loss_fn: str = "cross_entropy"

    def merged(self, output: ForwardBackwardOutput) -> ForwardBackwardOutput:
        """Return the result of the backward pass with the metrics of the custom loss."""
        metrics = dict(output.metrics)
        if "loss:sum" in metrics:
            metrics["surrogate_loss:sum"] = metrics.pop("loss:sum")
        return attrs.evolve(
            output,
            metrics={**metrics, **self.metrics},
            weight=self.weight,
            computes_loss=False,
        )


class SurrogateWork:
    """A backward pass in flight, whose result is merged with the custom loss's."""

    def __init__(self, work: Work[ForwardBackwardOutput], surrogate: Surrogate) -> None:
        self._work = work
        self._surrogate = surrogate

    @property
    def promise(self) -> Promise[Any] | None:
        """Return the promise that is being polled."""
        return self._work.promise

    def on_queue_state(self, observer: Callable[[str, str | None], object] | None) -> None:
        """Call a function whenever the queue state changes."""
        self._work.on_queue_state(observer)

    async def result(self) -> ForwardBackwardOutput:
        """Do the exchanges of the backward pass, and merge the results."""
        return self._surrogate.merged(await self._work.result())


def _check_datum(datum: Datum, path: str) -> None:
    inputs = datum.loss_fn_inputs
    if "target_tokens" not in inputs:
        raise ValidationError(
            "is missing: the log probabilities are those of the target tokens",
            path=f"{path}['target_tokens']",
        )
    if inputs["target_tokens"].dtype != "int64":
        raise ValidationError("must be int64", path=f"{path}['target_tokens']")
    shape = inputs["target_tokens"].shape
    if "weights" in inputs and inputs["weights"].shape != shape:
        raise ValidationError(
            f"has shape {inputs['weights'].shape}, but target_tokens have {shape}",
            path=f"{path}['weights']",
        )


def _with_weights(datum: Datum, weights: Any) -> Datum:
    return _with_inputs(datum, weights=weights)


def _with_advantages(datum: Datum, logprobs: Any, advantages: Any) -> Datum:
    return _with_inputs(datum, logprobs=logprobs, advantages=advantages)


def _with_inputs(datum: Datum, **inputs: Any) -> Datum:
    return Datum(
        datum.model_input,
        {"target_tokens": datum.loss_fn_inputs["target_tokens"], **inputs},
        model_input_spans=datum.model_input_spans,
        loss_fn_input_spans=datum.loss_fn_input_spans,
    )


def _logprobs(
    output: ForwardBackwardOutput, index: int, shape: tuple[int, ...], count: int
) -> FloatArray:
    if len(output.loss_fn_outputs) != count:
        raise DecodeError(
            f"the forward pass of {count} data returned {len(output.loss_fn_outputs)} outputs"
        )
    tensor = output.loss_fn_outputs[index].get("logprobs")
    if tensor is None or tensor.numpy().size != int(np.prod(shape)):
        found = "none" if tensor is None else f"some of shape {tensor.shape}"
        raise DecodeError(
            f"data[{index}]: the forward pass should return log probabilities of shape {shape}, and "
            f"returned {found}"
        )
    return np.asarray(tensor.numpy(), np.float64).reshape(shape)
