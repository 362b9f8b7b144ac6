"""Training examples and the checks they pass before anything is computed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from attrs import field, frozen

from tinkex.local.engine.arena import Array
from tinkex.local.engine.config import ModelConfig
from tinkex.local.engine.errors import EngineError
from tinkex.local.engine.losses import LossKind


@frozen(eq=False)
class Example:
    """One example: the input tokens and the tensors the loss takes.

    Targets are already shifted: `loss_inputs["target_tokens"][i]` is what should follow
    `tokens[i]`; the engine never shifts. tokens: integers [N]; target_tokens: integers [N]
    (or [N, K] for cross_entropy and importance_sampling); the others floats of the targets' shape.
    """

    tokens: Array
    loss_inputs: dict[str, Array]


@frozen(eq=False)
class Checked:
    """An example that passed: int64 tokens, targets always [N, K]."""

    index: int
    tokens: Array
    targets: Array
    inputs: dict[str, Array]
    shape: tuple[int, ...] = field()
    """Shape of the targets as they were given."""

    @property
    def path(self) -> str:
        """The name of the example in messages."""
        return f"data[{self.index}]"


def check_tokens(tokens: Array, config: ModelConfig, path: str) -> Array:
    """Return token ids as int64 [N].

    Raises:
        EngineError: unless they are integers of the vocabulary, at least one and at most as many
            as the context takes.

    """
    array = np.asarray(tokens)
    if array.ndim != 1:
        raise EngineError(f"{path} has shape {array.shape}, expected one dimension")
    if array.size == 0:
        raise EngineError(f"{path} is empty")
    if array.dtype.kind not in "iu":
        raise EngineError(f"{path} has dtype {array.dtype}, expected integers")
    if array.size > config.max_context:
        raise EngineError(
            f"{path} has {array.size} tokens, more than the context of {config.max_context}"
        )
    _check_vocabulary(array, config.input_size, path)
    return array.astype(np.int64)


def _check_vocabulary(array: Array, size: int, path: str) -> None:
    outside = (array < 0) | (array >= size)
    if outside.any():
        position = tuple(int(i) for i in np.argwhere(outside)[0])
        where = ", ".join(map(str, position))
        raise EngineError(
            f"{path}[{where}] is {int(array[position])}, outside the vocabulary of {size} tokens"
        )


def check_examples(
    examples: Sequence[Example], kind: LossKind, config: ModelConfig
) -> list[Checked]:
    """Check all examples of a call.

    Raises:
        EngineError: for the first value that is wrong, naming its path.

    """
    if not examples:
        raise EngineError("data is empty")
    return [_check(i, example, kind, config) for i, example in enumerate(examples)]


def _check(index: int, example: Example, kind: LossKind, config: ModelConfig) -> Checked:
    path = f"data[{index}]"
    tokens = check_tokens(example.tokens, config, f"{path}.model_input")
    given = example.loss_inputs
    required = ("target_tokens", *kind.tensors)
    for name in required:
        if name not in given:
            raise EngineError(
                f"{path}.loss_fn_inputs[{name!r}] is missing; {kind.name} needs {', '.join(required)}"
            )
    for name in given:
        if name not in required and name not in kind.optional:
            takes = ", ".join((*required, *kind.optional))
            raise EngineError(
                f"{path}.loss_fn_inputs[{name!r}] is not an input of {kind.name} (it takes {takes})"
            )
    targets = _check_targets(given["target_tokens"], len(tokens), kind, config, path)
    inputs = {
        name: _check_floats(value, targets.shape, f"{path}.loss_fn_inputs[{name!r}]")
        for name, value in given.items()
        if name != "target_tokens"
    }
    return Checked(index, tokens, targets.reshape(len(tokens), -1), inputs, targets.shape)


def _check_targets(
    value: Array, length: int, kind: LossKind, config: ModelConfig, path: str
) -> Array:
    path = f"{path}.loss_fn_inputs['target_tokens']"
    targets = np.asarray(value)
    many = kind.multi_target and targets.ndim == 2 and targets.shape[1] > 0
    if not (targets.ndim == 1 or many) or targets.shape[0] != length:
        expected = f"({length},)" + (f" or ({length}, K)" if kind.multi_target else "")
        raise EngineError(f"{path} has shape {targets.shape}, expected {expected}")
    if targets.dtype.kind not in "iu":
        raise EngineError(f"{path} has dtype {targets.dtype}, expected integers")
    _check_vocabulary(targets, config.vocab_size, path)
    return targets.astype(np.int64)


def _check_floats(value: Array, shape: tuple[int, ...], path: str) -> Array:
    array = np.asarray(value)
    if array.shape != shape:
        raise EngineError(f"{path} has shape {array.shape}, expected {shape}")
    if array.dtype.kind != "f":
        raise EngineError(f"{path} has dtype {array.dtype}, expected floats")
    if not np.isfinite(array).all():
        position = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise EngineError(f"{path}{list(position)} is {array[position]}, expected finite numbers")
    return array.astype(np.float64)
