"""One forward or forward_backward of a model: the engine's losses, and the clients' own."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from attrs import evolve, frozen

from tinkex.local.app_state import AppState
from tinkex.local.custom_loss import Allowance, CustomLoss
from tinkex.local.engine import Example, LossOutput, Trainer
from tinkex.local.live import LiveModel
from tinkex.local.meter import VALIDATION_LOSS
from tinkex.local.problem import Problem

CUSTOM = "custom"
_CARRIER = "cross_entropy"


@frozen(eq=False)
class LossPass:
    """The data of a request, with the recording of its usage and metrics."""

    state: AppState
    model: LiveModel
    examples: Sequence[Example]
    loss_fn: str
    config: Mapping[str, Any] | None

    def forward(self, trainer: Trainer) -> LossOutput:
        """Compute logprobs and loss."""
        output = self._run(trainer, backward=False)
        self._count()
        if self.model.meter.evaluated(self.examples, self.loss_fn, output):
            write_validation_loss(self.state, self.model)
        return output

    def forward_backward(self, trainer: Trainer) -> LossOutput:
        """Compute logprobs and loss, and accumulate the gradient."""
        output = self._run(trainer, backward=True)
        self._count()
        if self.model.meter.trained(self.examples, self.loss_fn, self.config, output):
            write_validation_loss(self.state, self.model)
        return output

    def _count(self) -> None:
        tokens = sum(len(example.tokens) for example in self.examples)
        self.state.usage.add("training", self.model.base_model, self.model.session_id, tokens)

    def _run(self, trainer: Trainer, *, backward: bool) -> LossOutput:
        if self.loss_fn == CUSTOM:
            return self._run_custom(trainer, self._custom_loss(), backward=backward)
        run = trainer.forward_backward if backward else trainer.forward
        return run(self.examples, self.loss_fn, self.config)

    def _custom_loss(self) -> CustomLoss:
        loss_id = (self.config or {}).get("loss_id")
        if not isinstance(loss_id, str):
            raise Problem(400, "loss_fn_config['loss_id'] is missing: the id of a custom loss")
        if not loss_id.startswith(f"{self.model.session_id}:"):
            raise Problem(400, f"custom loss {loss_id!r} does not belong to this model's session")
        return self.state.custom_losses.get(loss_id)

    def _run_custom(self, trainer: Trainer, loss: CustomLoss, *, backward: bool) -> LossOutput:
        """Run a custom loss C: its gradient by the logprobs p goes in as weights.

        cross_entropy is the sum of -w p, so with w = -dC/dp it has C's gradient.
        """
        ones = [self._carried(one, np.ones(_shape(one), np.float32)) for one in self.examples]
        output = trainer.forward(ones, _CARRIER, None)
        total, weights, metrics = 0.0, [], dict[str, float]()
        allowance = Allowance()
        for index, (example, logprobs) in enumerate(
            zip(self.examples, output.logprobs, strict=True)
        ):
            arrays = [logprobs, *_inputs(loss, example, logprobs, f"data[{index}]")]
            try:
                value, gradient, found = loss.value_and_gradient(arrays, allowance)
            except (ValueError, TypeError, NotImplementedError) as error:
                raise Problem(400, f"data[{index}]: custom loss: {error}") from error
            total += value
            weights.append(-gradient)
            for key, metric in found.items():
                share = len(self.examples) if key.endswith(":mean") else 1
                metrics[key] = metrics.get(key, 0.0) + metric / share
        if backward:
            carried = [self._carried(*pair) for pair in zip(self.examples, weights, strict=True)]
            trainer.forward_backward(carried, _CARRIER, None)
        return evolve(output, metrics={**output.metrics, "loss:sum": total, **metrics})

    def _carried(self, example: Example, weights: np.ndarray[Any, Any]) -> Example:
        inputs = {"weights": weights}
        if "target_tokens" in example.loss_inputs:
            inputs["target_tokens"] = example.loss_inputs["target_tokens"]
        return Example(example.tokens, inputs)


def write_validation_loss(state: AppState, model: LiveModel) -> None:
    """Write what a model was evaluated at since its last step, or take back what was written."""
    meter = model.meter
    if meter.validation_loss is None:
        state.metrics.remove(model.model_id, VALIDATION_LOSS, meter.step)
    else:
        state.metrics.write(model.model_id, meter.step, {VALIDATION_LOSS: meter.validation_loss})


def _shape(example: Example) -> tuple[int, ...]:
    return np.shape(example.loss_inputs.get("target_tokens", example.tokens))


def _inputs(
    loss: CustomLoss, example: Example, logprobs: np.ndarray[Any, Any], path: str
) -> list[np.ndarray[Any, Any]]:
    """Return the inputs after the logprobs, or raise a 400 problem that names the one at fault."""
    (name, rank), *others = loss.inputs
    if logprobs.ndim != rank:
        raise Problem(400, f"{path}: {name} has rank {logprobs.ndim}, the custom loss takes {rank}")
    found = []
    for name, rank in others:
        array = example.loss_inputs.get(name)
        where = f"{path}.loss_fn_inputs[{name!r}]"
        if array is None:
            raise Problem(400, f"{where} is missing: the custom loss takes it")
        if array.ndim != rank:
            raise Problem(400, f"{where} has rank {array.ndim}, the custom loss takes {rank}")
        found.append(array)
    return found
