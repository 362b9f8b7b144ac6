"""One training step with a loss of the user's own: what is sent, and what comes of it.

The service knows nothing of the loss. A forward pass gives the log probabilities l; here the loss
L(l) and g = ∂L/∂l are found; and a backward pass of cross_entropy, Σ −w·l, is asked for with the
weights w = −g. Since g is held fixed, its gradient is Σ g ∂l/∂θ = ∂L/∂θ: that of L itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
import numpy as np
from attrs import frozen

from tinkex._core.checks import checked_data
from tinkex._core.polling import Promise, Work
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
    """Hold a batch, the loss, and its regularizers, checked.

    Attributes:
        data: What the user gave.
        loss_fn: The user's loss.
        pipeline: The regularizers.
        backend: Where the loss's gradient comes from; None looks.
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
        """Check everything that can be checked before the forward pass.

        Raises:
            ValidationError: A datum has no targets, or weights of another shape; the loss is no
                function; a regularizer is none.
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
        """Return the data with what the service needs alone: targets and weights.

        Weights that the user did not give are zeros. Their shapes are those that the backward data
        will have, so both are cut into the same requests.
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
            ValidationError: The loss or its gradient cannot be used.
            DecodeError: The answer has no log probabilities for a datum.
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
        data = [
            _with_weights(datum, -gradient.astype(np.float32))
            for datum, gradient in zip(self.data, gradients, strict=True)
        ]
        return Surrogate(data, {**metrics, **output.base_loss.custom})


@frozen
class Surrogate:
    """Hold the backward pass that stands for a custom loss.

    Attributes:
        data: The data to send, with weights −∂loss/∂logprob.
        metrics: What to say in place of the server's own metrics.
    """

    data: list[Datum]
    metrics: Mapping[str, float]

    def merged(self, output: ForwardBackwardOutput) -> ForwardBackwardOutput:
        """Return the backward's result with the metrics of the loss that was meant."""
        metrics = dict(output.metrics)
        if "loss:sum" in metrics:
            metrics["surrogate_loss:sum"] = metrics.pop("loss:sum")
        return attrs.evolve(output, metrics={**metrics, **self.metrics})


class SurrogateWork:
    """A backward pass on its way, whose result is merged with the loss's."""

    def __init__(self, work: Work[ForwardBackwardOutput], surrogate: Surrogate) -> None:
        self._work = work
        self._surrogate = surrogate

    @property
    def promise(self) -> Promise[Any] | None:
        """Return what is being polled now."""
        return self._work.promise

    def on_queue_state(self, observer: Callable[[str, str | None], object]) -> None:
        """Call a function whenever the server names another queue state."""
        self._work.on_queue_state(observer)

    async def result(self) -> ForwardBackwardOutput:
        """Do the exchanges of the backward pass, and merge."""
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
            f"has shape {inputs['weights'].shape}, and target_tokens have {shape}",
            path=f"{path}['weights']",
        )


def _with_weights(datum: Datum, weights: Any) -> Datum:
    return Datum(
        datum.model_input,
        {"target_tokens": datum.loss_fn_inputs["target_tokens"], "weights": weights},
        model_input_spans=datum.model_input_spans,
        loss_fn_input_spans=datum.loss_fn_input_spans,
    )


def _logprobs(
    output: ForwardBackwardOutput, index: int, shape: tuple[int, ...], count: int
) -> FloatArray:
    if len(output.loss_fn_outputs) != count:
        raise DecodeError(
            f"the forward pass of {count} data gave {len(output.loss_fn_outputs)} outputs"
        )
    tensor = output.loss_fn_outputs[index].get("logprobs")
    if tensor is None or tensor.numpy().size != int(np.prod(shape)):
        found = "none" if tensor is None else f"some of shape {tensor.shape}"
        raise DecodeError(
            f"data[{index}]: the forward pass should give log probabilities of shape {shape}, and "
            f"gave {found}"
        )
    return np.asarray(tensor.numpy(), np.float64).reshape(shape)
