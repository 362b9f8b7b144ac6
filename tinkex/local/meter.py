"""Metrics of an optimizer step, combined from its passes."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import numpy as np
from attrs import define, field

from tinkex.local.engine import AdamSpec, DimuonSpec, Example, LossOutput

LOSS, VALIDATION_LOSS, LEARNING_RATE, GRAD_NORM = (
    "loss",
    "validation_loss",
    "learning_rate",
    "grad_norm",
)
# The engine's names of what the page has names of its own for.
_NAMES = {"learning_rate:mean": LEARNING_RATE, "unclipped_grad_l2:mean": GRAD_NORM}
# Uploaded losses name their metrics themselves.
_MOST_NAMES = 24
_LONGEST_NAME = 60
_EVALUATION_LOSS = "cross_entropy"
# Of a client that evaluates without end and never trains.
_MOST_EVALUATED = 50_000


@define(eq=False)
class Meter:
    """The step that a model is at, and what belongs to its next one; used by the engine alone.

    A pass without gradients counts for the validation loss of the step before it, unless its examples
    are trained on before the next step: a client that computes a loss of its own asks for their
    log probabilities first.
    """

    step: int = 0
    settings: dict[str, Any] = field(factory=dict)
    written_settings: dict[str, Any] = field(factory=dict)
    _loss: float = 0.0
    _tokens: float = 0.0
    _read: int = 0
    _examples: int = 0
    _metrics: dict[str, list[float]] = field(factory=dict)
    _names: set[str] = field(factory=set)
    _evaluated: dict[bytes, tuple[float, float]] = field(factory=dict)
    # Whether the client has asked for log probabilities of what it then trained on.
    asks_first: bool = False

    def trained(
        self, examples: Sequence[Example], loss_fn: str, config: Any, output: LossOutput
    ) -> bool:
        """Add a forward_backward pass; return whether it changed the validation loss."""
        read = sum(len(one.tokens) for one in examples)
        metrics = dict(output.metrics)
        self._loss += metrics.pop("loss:sum", 0.0)
        self._tokens += metrics.pop("tokens:sum", 0.0) or read
        self._read += read
        self._examples += len(examples)
        for name, value in metrics.items():
            if self._is_known(name):
                self._metrics.setdefault(name, []).append(float(value))
        self.settings |= {"loss function": loss_fn, "examples per step": self._examples}
        for name, value in (config or {}).items():
            if self._is_known(name):
                self.settings[f"loss setting {name}"] = str(value)[:_LONGEST_NAME]
        if not self._evaluated:
            return False
        known = [self._evaluated.pop(_key(one), None) for one in examples]
        if all(one is None for one in known):
            return False
        # What it asked for is shown from now on when the next step is taken, if at all.
        was_shown, self.asks_first = not self.asks_first, True
        return was_shown

    def evaluated(self, examples: Sequence[Example], loss_fn: str, output: LossOutput) -> bool:
        """Add a forward pass; return whether its validation loss can be shown at once."""
        if loss_fn != _EVALUATION_LOSS or len(self._evaluated) > _MOST_EVALUATED:
            return False
        for example, logprobs in zip(examples, output.logprobs, strict=True):
            weights = example.loss_inputs.get("weights", np.ones_like(logprobs))
            loss = -float(np.sum(weights * logprobs, dtype=np.float64))
            self._evaluated[_key(example)] = (loss, float(np.sum(weights, dtype=np.float64)))
        return not self.asks_first

    @property
    def validation_loss(self) -> float | None:
        """The mean loss of the evaluated tokens; None if there are none."""
        loss = math.fsum(loss for loss, _ in self._evaluated.values())
        weight = math.fsum(weight for _, weight in self._evaluated.values())
        return loss / weight if weight > 0 else None

    def stepped(
        self, spec: AdamSpec | DimuonSpec, metrics: Mapping[str, float]
    ) -> dict[str, float]:
        """Begin the next step and return the metrics of the one that was just taken."""
        self.step += 1
        found: dict[str, float] = {
            _NAMES.get(name, name): float(value) for name, value in metrics.items()
        }
        if self._tokens:
            found |= {LOSS: self._loss / self._tokens, "tokens": self._read}
        found |= {name: _combined(name, values) for name, values in self._metrics.items()}
        settings = attrs.asdict(spec)
        settings.pop("learning_rate", None)
        self.settings |= {name.replace("_", " "): value for name, value in settings.items()}
        self._forget()
        return found

    def moved(self, step: int) -> None:
        """Stand at a step whose weights were loaded."""
        self.step = step
        self._forget()

    def _is_known(self, name: str) -> bool:
        """Return whether a client's name is short and one of the first few."""
        if len(self._names) < _MOST_NAMES and len(name) <= _LONGEST_NAME:
            self._names.add(name)
        return name in self._names

    def _forget(self) -> None:
        self._loss, self._tokens, self._read, self._examples = 0.0, 0.0, 0, 0
        self._metrics.clear()
        self._evaluated.clear()


def _combined(name: str, values: Sequence[float]) -> float:
    """Combine a metric of several passes by the suffix of its name."""
    how = name.rpartition(":")[2]
    if how == "sum":
        return math.fsum(values)
    if how in ("min", "max"):
        return min(values) if how == "min" else max(values)
    return math.fsum(values) / len(values)


def _key(example: Example) -> bytes:
    """Return what tells an example from others: its tokens and targets."""
    digest = hashlib.blake2b(np.ascontiguousarray(example.tokens).tobytes(), digest_size=16)
    targets = example.loss_inputs.get("target_tokens")
    if targets is not None:
        digest.update(np.ascontiguousarray(targets).tobytes())
    return digest.digest()
