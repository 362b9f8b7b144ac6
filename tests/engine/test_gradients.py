"""Forward values against a plain model, gradients against finite differences, in float64."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from engine.reference import (
    LOSS_DEFAULTS,
    SHAPES,
    PlainModel,
    adapter_tensors,
    base_tensors,
    examples,
    gradients,
    plain_loss,
    toy_base,
    toy_trainer,
)

from tinkex.local.engine import Example, Trainer, attention, head

RAGGED = (5, 1, 9, 3)


def check_gradient(
    trainer: Trainer, loss: str, lengths: tuple[int, ...] = RAGGED, k: int = 0
) -> None:
    """Compare every matrix's gradient with central differences along a random direction.

    All that the backward pass takes from a loss is c = dL/dl, so what is differentiated is
    Σ c·l with c held fixed: that is right for losses with a stop-gradient too.
    """
    data = examples(lengths, loss=loss, k=k, seed=3)
    trainer.forward_backward(data, loss)
    total = trainer._accumulated
    assert total is not None
    surrogate = []
    for example, lp in zip(data, trainer.forward(data, loss).logprobs, strict=True):
        slope = plain_loss(loss, lp, example.loss_inputs, LOSS_DEFAULTS[loss])[1]
        inputs = {"target_tokens": example.loss_inputs["target_tokens"], "weights": -slope}
        surrogate.append(Example(example.tokens, inputs))

    flat, rng, step = trainer._flat.copy(), np.random.default_rng(5), 1e-5

    def value(parameters: np.ndarray) -> float:
        trainer._flat[...] = parameters
        trainer._stale = True
        return trainer.forward(surrogate, "cross_entropy").metrics["loss:sum"]

    indices = trainer._layout.views(np.arange(flat.size))
    for key, lora in indices.items():
        for name, where in [
            ("A", lora.a.ravel()),
            *((f"B{i}", b.ravel()) for i, b in enumerate(lora.b)),
        ]:
            direction = np.zeros(flat.size)
            direction[where] = rng.normal(size=where.size)
            direction /= np.linalg.norm(direction)
            expected = (value(flat + step * direction) - value(flat - step * direction)) / (
                2 * step
            )
            size = np.linalg.norm(total[where])
            assert abs(total @ direction - expected) <= 1e-4 * size + 1e-9, (key, name)
    value(flat)


@pytest.mark.parametrize("shape", SHAPES)
def test_forward_equals_the_textbook_transformer(shape: str, tmp_path: Path) -> None:
    """Logprobs agree with a plain model that knows neither batches nor fused or permuted weights."""
    base = toy_base(**SHAPES[shape])
    trainer = toy_trainer(base)
    plain = PlainModel(
        base.config,
        base_tensors(base, tmp_path / "base"),
        adapter_tensors(trainer, tmp_path / "adapter"),
        trainer.lora.scale,
    )
    data = examples((40, 7, 1, 40))
    for example, found in zip(data, trainer.forward(data, "cross_entropy").logprobs, strict=True):
        table = plain.logprobs(example.tokens)
        expected = table[np.arange(len(table)), example.loss_inputs["target_tokens"]]
        np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("loss", LOSS_DEFAULTS)
@pytest.mark.parametrize("shape", SHAPES)
def test_gradients_equal_finite_differences(shape: str, loss: str) -> None:
    """Each LoRA matrix's gradient is the derivative of each loss, on ragged batches."""
    check_gradient(toy_trainer(toy_base(**SHAPES[shape])), loss)


def test_gradients_of_several_targets_per_position(tmp_path: Path) -> None:
    """Cross-entropy over [N, K] targets has the right gradient."""
    check_gradient(toy_trainer(toy_base()), "cross_entropy", k=4)


def test_gradients_where_attention_goes_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sequences longer than a block of attention have the right gradient."""
    monkeypatch.setattr(attention, "BLOCK", 4)
    monkeypatch.setattr(attention, "_GROUP_ELEMENTS", 100)
    check_gradient(toy_trainer(toy_base()), "ppo", lengths=(13, 9, 3, 4, 8))


def test_gradients_where_the_head_goes_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A vocabulary too large to keep its softmax has the right gradient."""
    monkeypatch.setattr(head, "CHUNK_ELEMENTS", 1)
    monkeypatch.setattr(head, "MIN_CHUNK_ROWS", 4)
    monkeypatch.setattr(head, "KEPT_ELEMENTS", 1)
    check_gradient(toy_trainer(toy_base()), "importance_sampling")


@pytest.mark.parametrize("merge", [True, False])
@pytest.mark.parametrize("recompute", [True, False])
def test_gradients_of_every_memory_plan(merge: bool, recompute: bool) -> None:
    """Adapters beside the weights and activations computed twice give the right gradient too."""
    trainer = toy_trainer(toy_base(), merge=merge, recompute=recompute)
    check_gradient(trainer, "cross_entropy")


@pytest.mark.parametrize(
    "groups", ["attn", "mlp", "unembed", "attn mlp", "mlp unembed", "attn unembed"]
)
def test_gradients_where_only_some_groups_are_trained(groups: str) -> None:
    """The backward pass stops early only where nothing below is trained."""
    flags = {f"train_{g}": g in groups.split() for g in ("attn", "mlp", "unembed")}
    check_gradient(toy_trainer(toy_base(), **flags), "cross_entropy")


def test_gradient_of_two_equal_targets_at_one_position_is_their_sum() -> None:
    """A row of [N, K] targets may name a token twice."""
    trainer = toy_trainer(toy_base())
    tokens = np.array([3, 4])
    twice = {"target_tokens": np.array([[5, 5], [6, 7]]), "weights": np.ones((2, 2), np.float32)}
    trainer.forward_backward([Example(tokens, twice)], "cross_entropy")
    found = gradients(trainer)
    other = toy_trainer(toy_base())
    for column in (0, 1):
        once = {key: np.ascontiguousarray(value[:, column]) for key, value in twice.items()}
        other.forward_backward([Example(tokens, once)], "cross_entropy")
    for name, expected in gradients(other).items():
        np.testing.assert_allclose(found[name], expected, atol=1e-12)
