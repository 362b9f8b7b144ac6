"""Training one adapter: forward, backward, accumulation, steps, checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from attrs import frozen

from tinkex.local.engine.adapter import Adapter, check_same, named_tensors, read_named, read_spec
from tinkex.local.engine.arena import Arena, Array
from tinkex.local.engine.base import LARGE_MODEL, Base
from tinkex.local.engine.errors import EngineError
from tinkex.local.engine.examples import Checked, Example, check_examples
from tinkex.local.engine.head import head_backward, target_logprobs
from tinkex.local.engine.lora import LoraSpec, ParameterLayout
from tinkex.local.engine.losses import Loss, TokenLoss, loss_metrics
from tinkex.local.engine.model import backward, forward
from tinkex.local.engine.network import Network, bind, refresh
from tinkex.local.engine.optimizer import AdamSpec, AdamW, Dimuon, DimuonSpec
from tinkex.local.engine.pool import default_workers, plan, run_in_order, single_threaded_blas
from tinkex.local.engine.tensors import TensorFile, write_tensors

OPTIMIZER_FILE = "optimizer.safetensors"
OPTIMIZERS = (AdamW.name, Dimuon.name)


def saved_optimizer(folder: Path) -> str | None:
    """Return the name of the optimizer whose state a checkpoint holds, or None if it holds none."""
    if not (folder / OPTIMIZER_FILE).exists():
        return None
    # Checkpoints from before there was a choice do not name it.
    return TensorFile(folder / OPTIMIZER_FILE).metadata.get("optimizer", AdamW.name)


@frozen(eq=False)
class LossOutput:
    """The result of `forward` and `forward_backward`.

    logprobs: per example, in the order given, the logprob of every target (float32, the shape of
    `target_tokens`). metrics: `loss:sum` and more; each name ends in how chunks combine it.
    """

    logprobs: list[Array]
    metrics: dict[str, float]


@frozen(eq=False)
class _Piece:
    """What one micro-batch yields."""

    logprobs: list[Array]
    losses: list[TokenLoss]
    gradient: Array | None


class Trainer:
    """Trains one adapter on a base model; used by one thread at a time.

    `optimizer` is adamw or dimuon. `workers` threads share a call (default: the cores, at most four); the outcome does not
    depend on their number. `merge` and `recompute` choose how adapters are applied and whether
    activations are computed twice to save memory; by default both follow the model's size.

    Example:
        >>> import numpy as np
        >>> from tinkex.local.engine import AdamSpec, Base, Example, LoraSpec, Trainer, nano_config
        >>> trainer = Trainer(Base.random(nano_config()), LoraSpec(rank=4, seed=0))
        >>> data = [Example(np.array([1, 2]), {"target_tokens": np.array([2, 3])})]
        >>> before = trainer.forward_backward(data, "cross_entropy", None).metrics["loss:sum"]
        >>> _ = trainer.optim_step(AdamSpec(learning_rate=1e-2))
        >>> trainer.forward(data, "cross_entropy", None).metrics["loss:sum"] < before
        True

    """

    def __init__(
        self,
        base: Base,
        lora: LoraSpec,
        *,
        optimizer: str = AdamW.name,
        workers: int | None = None,
        merge: bool | None = None,
        recompute: bool | None = None,
    ) -> None:
        self.base = base
        self.lora = lora
        self._workers = default_workers() if workers is None else workers
        large = base.config.parameter_count > LARGE_MODEL
        self._merge = not large if merge is None else merge
        self._recompute = large if recompute is None else recompute
        self._layout = ParameterLayout(base.config, lora)
        self._flat = self._layout.initial(base)
        self._optimizer = self._new_optimizer(optimizer)
        self._accumulated: Array | None = None
        self._network: Network | None = None
        self._stale = False

    def _new_optimizer(self, name: str) -> AdamW | Dimuon:
        if name == Dimuon.name:
            return Dimuon(self._layout, self.base.dtype)
        return AdamW(self._layout.size, self.base.dtype)

    @property
    def optimizer(self) -> str:
        """Name of the optimizer."""
        return self._optimizer.name

    @property
    def step(self) -> int:
        """Number of optimizer steps behind the current weights."""
        return self._optimizer.t

    def forward(
        self, examples: Sequence[Example], loss_fn: str, config: Mapping[str, Any] | None = None
    ) -> LossOutput:
        """Compute logprobs and loss without touching gradients.

        Raises:
            EngineError: for an input that is wrong, naming its path; nothing has changed then.

        """
        return self._run(examples, loss_fn, config, train=False)[0]

    def forward_backward(
        self, examples: Sequence[Example], loss_fn: str, config: Mapping[str, Any] | None = None
    ) -> LossOutput:
        """Compute logprobs and loss, and accumulate the gradient.

        Losses and gradients are plain sums, over tokens, examples and calls.

        Raises:
            EngineError: for an input that is wrong, naming its path; nothing is added then.

        """
        output, gradient = self._run(examples, loss_fn, config, train=True)
        if gradient is not None:
            if self._accumulated is None:
                self._accumulated = gradient
            else:
                self._accumulated += gradient
        return output

    def optim_step(self, spec: AdamSpec | DimuonSpec) -> dict[str, float]:
        """Clip and apply the accumulated gradient, and clear it.

        With nothing accumulated the gradient is zero, as in PyTorch: moments decay and, where
        they are not zero, weights move.

        Raises:
            EngineError: for settings of another optimizer than the trainer's; nothing has changed
                then.

        """
        apply = self._step_function(spec)
        gradient = self._accumulated
        if gradient is None:
            gradient = np.zeros(self._layout.size, self.base.dtype)
        self._accumulated = None
        norm = apply(self._flat, gradient)
        self._stale = True
        return {"unclipped_grad_l2:mean": norm, "learning_rate:mean": spec.learning_rate}

    def _step_function(self, spec: AdamSpec | DimuonSpec) -> Callable[[Array, Array], float]:
        optimizer = self._optimizer
        if isinstance(optimizer, AdamW) and isinstance(spec, AdamSpec):
            return lambda parameters, gradient: optimizer.step(parameters, gradient, spec)
        if isinstance(optimizer, Dimuon) and isinstance(spec, DimuonSpec):
            return lambda parameters, gradient: optimizer.step(parameters, gradient, spec)
        wanted = (
            "adam_params" if isinstance(optimizer, AdamW) else "optimizer_params of type 'dimuon'"
        )
        raise EngineError(
            f"this model was created with the optimizer {optimizer.name}: send {wanted}"
        )

    def snapshot(self) -> Adapter:
        """Return the current weights; later steps do not change it."""
        return Adapter(self.base, self._layout, self._flat.copy())

    def save(self, folder: Path | str, optimizer: bool) -> None:
        """Write the adapter in PEFT layout and, if asked, the optimizer's state beside it."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        if optimizer:
            tensors = {"t": np.array([self._optimizer.t], np.int64)}
            for name, vector in self._optimizer.state.items():
                tensors |= named_tensors(self._layout, vector, prefix=f"{name}.")
            metadata = {"optimizer": self._optimizer.name}
            write_tensors(folder / OPTIMIZER_FILE, tensors, metadata)
        self.snapshot().save(folder)

    def load(self, folder: Path | str, optimizer: bool) -> None:
        """Replace the weights by saved ones; pending gradients are dropped.

        With `optimizer` training resumes exactly where it stopped; without, moments and step count
        start at zero.

        Raises:
            EngineError: where the checkpoint does not fit, saying the difference; nothing has
                changed then.

        """
        folder = Path(folder)
        check_same(read_spec(folder), self.lora, folder)
        adapter = Adapter.load(folder, self.base)
        state = self._new_optimizer(self.optimizer)
        if optimizer:
            saved = saved_optimizer(folder)
            if saved != state.name:
                holds = "no optimizer state" if saved is None else f"the state of {saved}"
                raise EngineError(
                    f"cannot load {folder.name}: it holds {holds}, and this model's optimizer is "
                    f"{state.name}"
                )
            file = TensorFile(folder / OPTIMIZER_FILE)
            for name, vector in state.state.items():
                read_named(self._layout, vector, file, prefix=f"{name}.")
            state.t = int(file["t"][0])
        self._flat[...] = adapter.flat
        self._optimizer = state
        self._accumulated = None
        self._stale = True

    def _current_network(self) -> Network:
        """Return the base with the current adapter, merged at most once per step."""
        if self._network is None:
            self._network = bind(self.base, self._layout, self._flat, self._merge)
        elif self._stale:
            refresh(self._network)
        self._stale = False
        return self._network

    def _run(
        self,
        examples: Sequence[Example],
        loss_fn: str,
        config: Mapping[str, Any] | None,
        train: bool,
    ) -> tuple[LossOutput, Array | None]:
        loss = Loss.resolve(loss_fn, config)
        checked = check_examples(examples, loss.kind, self.base.config)
        with single_threaded_blas():
            return self._run_checked(loss, checked, train)

    def _run_checked(
        self, loss: Loss, checked: list[Checked], train: bool
    ) -> tuple[LossOutput, Array | None]:
        network = self._current_network()
        batches = plan([len(example.tokens) for example in checked])
        logprobs: list[Array | None] = [None] * len(checked)
        losses: list[TokenLoss | None] = [None] * len(checked)
        total: Array | None = None

        def work(i: int, arena: Arena) -> _Piece:
            return self._piece(network, [checked[j] for j in batches[i]], loss, arena, train)

        def take(i: int, piece: _Piece) -> None:
            nonlocal total
            for j, lp, result in zip(batches[i], piece.logprobs, piece.losses, strict=True):
                logprobs[j], losses[j] = lp, result
            if piece.gradient is not None:
                if total is None:
                    total = piece.gradient
                else:
                    total += piece.gradient

        run_in_order(len(batches), work, take, self._workers)
        if total is not None and not np.isfinite(total).all():
            raise EngineError("the gradient of this call is not finite; nothing was accumulated")
        metrics = loss_metrics([result for result in losses if result is not None])
        return LossOutput([lp for lp in logprobs if lp is not None], metrics), total

    def _piece(
        self, network: Network, batch: list[Checked], loss: Loss, arena: Arena, train: bool
    ) -> _Piece:
        """Run one micro-batch."""
        tokens, rows, targets = _pack(batch)
        trace = forward(network, tokens, arena, keep=train, recompute=self._recompute)
        found, state = target_logprobs(network, trace, rows, targets, arena, keep=train)
        d_logprobs = np.zeros_like(found)
        logprobs, losses, start = [], [], 0
        for example in batch:
            count, columns = example.targets.shape
            span = slice(start, start + count)
            start += count
            own = found[span, :columns].reshape(example.shape)
            result = loss(own, example.inputs, example.path)
            d_logprobs[span, :columns] = result.gradient.reshape(count, columns)
            logprobs.append(own.astype(np.float32))
            losses.append(result)
        if not train:
            return _Piece(logprobs, losses, None)
        gradient = np.empty(self._layout.size, self.base.dtype)
        grads = self._layout.views(gradient)
        dx = head_backward(network, trace, state, d_logprobs, grads.get("head"), arena)
        backward(network, trace, dx, grads, arena)
        return _Piece(logprobs, losses, gradient)


def _pack(batch: list[Checked]) -> tuple[Array, Array, Array]:
    """Right-pad a micro-batch.

    Returns tokens [B, L], the row of every real position in B·L, and targets [N, K] (examples
    with fewer columns are filled with token 0, whose gradient stays zero).
    """
    length = max(len(example.tokens) for example in batch)
    columns = max(example.targets.shape[1] for example in batch)
    tokens = np.zeros((len(batch), length), np.int64)
    rows, targets = [], []
    for i, example in enumerate(batch):
        count = len(example.tokens)
        tokens[i, :count] = example.tokens
        rows.append(np.arange(count) + i * length)
        missing = columns - example.targets.shape[1]
        targets.append(np.pad(example.targets, ((0, 0), (0, missing))))
    return tokens, np.concatenate(rows), np.concatenate(targets)
