"""Accumulation, independence of batching and workers, steps, checkpoints, validation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engine.reference import examples, gradients, toy_base, toy_trainer
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file
from support.alone import call_alone
from threadpoolctl import threadpool_info, threadpool_limits

from tinkex.local.engine import (
    AdamSpec,
    Adapter,
    Base,
    EngineError,
    Example,
    LoraSpec,
    Trainer,
    nano_config,
    pool,
)

LENGTHS = (30, 3, 17, 60, 1, 44, 9, 9, 60, 25)


def nano_trainer(**options: Any) -> Trainer:
    return Trainer(Base.random(nano_config()), LoraSpec(rank=4, seed=0), **options)


def nano_data(lengths: tuple[int, ...] = LENGTHS, seed: int = 0) -> list[Example]:
    return examples(lengths, vocab=1024, seed=seed)


def blas_threads() -> list[int]:
    return [found["num_threads"] for found in threadpool_info() if found["user_api"] == "blas"]


def test_new_adapter_is_the_base_model() -> None:
    """B is zero at the start, so logprobs do not depend on the seed."""
    base = Base.random(nano_config())
    found = [
        Trainer(base, LoraSpec(rank=4, seed=seed)).forward(nano_data(), "cross_entropy").logprobs
        for seed in (1, 2)
    ]
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)


def test_seed_fixes_the_adapter() -> None:
    """The same seed gives the same A, another seed or none another."""
    base = Base.random(nano_config())
    flats = [Trainer(base, LoraSpec(rank=4, seed=s))._flat for s in (1, 1, 2, None, None)]
    assert (flats[0] == flats[1]).all()
    assert not any((flats[0] == other).all() for other in flats[2:])
    assert not (flats[3] == flats[4]).all()


def test_accumulated_calls_equal_one_big_batch() -> None:
    """Gradients are plain sums: splitting a batch over calls changes nothing but rounding."""
    data = examples((5, 9, 3, 12))
    whole, split = toy_trainer(toy_base()), toy_trainer(toy_base())
    whole.forward_backward(data, "cross_entropy")
    split.forward_backward(data[:1], "cross_entropy")
    split.forward(data, "cross_entropy")
    split.forward_backward(data[1:], "cross_entropy")
    for name, expected in gradients(whole).items():
        np.testing.assert_allclose(gradients(split)[name], expected, rtol=1e-9, atol=1e-11)


def test_an_example_does_not_depend_on_its_neighbours() -> None:
    """Alone or in a ragged batch, an example has the same logprobs up to rounding."""
    trainer, data = nano_trainer(), nano_data()
    together = trainer.forward(data, "cross_entropy").logprobs
    for example, found in zip(data, together, strict=True):
        alone = trainer.forward([example], "cross_entropy").logprobs[0]
        np.testing.assert_allclose(found, alone, atol=1e-5)


def test_forward_and_forward_backward_agree() -> None:
    """Keeping activations does not change what is computed."""
    trainer, data = nano_trainer(), nano_data()
    one = trainer.forward(data, "cross_entropy")
    other = trainer.forward_backward(data, "cross_entropy")
    for a, b in zip(one.logprobs, other.logprobs, strict=True):
        np.testing.assert_array_equal(a, b)


def test_number_of_workers_does_not_matter() -> None:
    """Micro-batches and the order of sums depend on the data alone: any worker count, same bits."""
    trained = [nano_trainer(workers=workers) for workers in (1, 2, 3)]
    for trainer in trained:
        for seed in range(3):
            trainer.forward_backward(nano_data(seed=seed), "cross_entropy")
            trainer.optim_step(AdamSpec(learning_rate=1e-2))
    for other in trained[1:]:
        np.testing.assert_array_equal(trained[0]._flat, other._flat)


@given(lengths=st.lists(st.integers(1, 700), min_size=1, max_size=60))
def test_plan_takes_every_sequence_once_within_the_budget(lengths: list[int]) -> None:
    """Micro-batches cover all, and exceed the budget only with a single long sequence."""
    batches = pool.plan(lengths)
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    for batch in batches:
        padded = max(lengths[i] for i in batch) * len(batch)
        assert padded <= pool.MAX_TOKENS or len(batch) == 1


def blas_threads_are_as_before_after_a_call() -> None:
    trainer = nano_trainer()

    def fail(i: int, arena: object) -> None:
        assert set(blas_threads()) == {1}
        raise EngineError(f"piece {i}")

    with threadpool_limits(2, user_api="blas"):
        trainer.forward_backward(nano_data(), "cross_entropy")
        assert set(blas_threads()) == {2}
        with pytest.raises(EngineError, match="piece 0"):
            pool.run_in_order(1, fail, lambda i, done: None, 2)
        assert set(blas_threads()) == {2}


def test_blas_threads_are_as_before_after_a_call() -> None:
    """The process-wide BLAS setting is restored, also when a call fails."""
    call_alone(blas_threads_are_as_before_after_a_call)


def test_a_bad_example_adds_nothing() -> None:
    """A call that is refused leaves the accumulated gradient as it was."""
    trainer = nano_trainer()
    trainer.forward_backward(nano_data(), "cross_entropy")
    assert trainer._accumulated is not None
    before = trainer._accumulated.copy()
    bad = nano_data()
    bad[3].loss_inputs["weights"][2] = np.inf
    with pytest.raises(EngineError, match=r"data\[3\].loss_fn_inputs\['weights'\]\[2\] is inf"):
        trainer.forward_backward(bad, "cross_entropy")
    np.testing.assert_array_equal(trainer._accumulated, before)


def test_training_learns() -> None:
    """A few steps on one batch lower its loss a lot."""
    trainer, data = nano_trainer(), nano_data((20, 20, 20))
    for example in data:
        example.loss_inputs["weights"][:] = 1
    first = trainer.forward(data, "cross_entropy").metrics["loss:sum"]
    for _ in range(30):
        trainer.forward_backward(data, "cross_entropy")
        metrics = trainer.optim_step(AdamSpec(learning_rate=2e-2))
    assert trainer.forward(data, "cross_entropy").metrics["loss:sum"] < 0.2 * first
    assert set(metrics) == {"unclipped_grad_l2:mean", "learning_rate:mean"}
    assert trainer.step == 30


def test_step_without_gradients_uses_zeros() -> None:
    """As in PyTorch: at first nothing moves, later the moments carry on."""
    trainer = nano_trainer()
    before = trainer._flat.copy()
    assert trainer.optim_step(AdamSpec())["unclipped_grad_l2:mean"] == 0
    np.testing.assert_array_equal(trainer._flat, before)
    trainer.forward_backward(nano_data(), "cross_entropy")
    trainer.optim_step(AdamSpec())
    moved = trainer._flat.copy()
    trainer.optim_step(AdamSpec())
    assert (trainer._flat != moved).any()
    assert trainer.step == 3


def test_step_clears_the_gradient() -> None:
    """What was applied is not applied again."""
    trainer = nano_trainer()
    trainer.forward_backward(nano_data(), "cross_entropy")
    trainer.optim_step(AdamSpec(beta1=0.0, beta2=0.0))
    assert trainer.optim_step(AdamSpec())["unclipped_grad_l2:mean"] == 0


def test_snapshot_does_not_see_later_steps() -> None:
    """A sampler's weights stay as they were taken."""
    trainer = nano_trainer()
    adapter = trainer.snapshot()
    before = adapter.flat.copy()
    trainer.forward_backward(nano_data(), "cross_entropy")
    trainer.optim_step(AdamSpec(learning_rate=1e-2))
    np.testing.assert_array_equal(adapter.flat, before)
    with pytest.raises(ValueError, match="read-only"):
        adapter.flat[0] = 1


def train_on(trainer: Trainer, steps: range) -> list[float]:
    losses = []
    for i in steps:
        losses.append(
            trainer.forward_backward(nano_data(seed=i), "cross_entropy").metrics["loss:sum"]
        )
        trainer.optim_step(AdamSpec(learning_rate=1e-2, weight_decay=0.01, grad_clip_norm=1.0))
    return losses


def test_training_resumes_exactly(tmp_path: Path) -> None:
    """Saved with its optimizer and loaded elsewhere, a run goes on bit for bit."""
    first = nano_trainer()
    train_on(first, range(3))
    first.save(tmp_path, optimizer=True)
    expected = train_on(first, range(3, 6))
    second = Trainer(Base.random(nano_config()), LoraSpec(rank=4, seed=99))
    second.forward_backward(nano_data(seed=50), "cross_entropy")
    second.load(tmp_path, optimizer=True)
    assert second.step == 3
    assert train_on(second, range(3, 6)) == expected
    np.testing.assert_array_equal(first._flat, second._flat)


def test_loading_without_optimizer_starts_afresh(tmp_path: Path) -> None:
    """Weights come back; moments, step count and pending gradients do not."""
    first = nano_trainer()
    train_on(first, range(2))
    first.save(tmp_path, optimizer=False)
    assert not (tmp_path / "optimizer.safetensors").exists()
    second = nano_trainer()
    second.forward_backward(nano_data(), "cross_entropy")
    second.load(tmp_path, optimizer=False)
    np.testing.assert_array_equal(first._flat, second._flat)
    assert second.step == 0
    assert second.optim_step(AdamSpec())["unclipped_grad_l2:mean"] == 0
    np.testing.assert_array_equal(first._flat, second._flat)
    with pytest.raises(EngineError, match="holds no optimizer state"):
        second.load(tmp_path, optimizer=True)


def test_saved_adapter_has_the_layout_of_peft(tmp_path: Path) -> None:
    """Tensor names, shapes and configuration are those the PEFT library writes."""
    trainer = nano_trainer()
    trainer.save(tmp_path, optimizer=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
        "optimizer.safetensors",
    ]
    tensors = load_file(tmp_path / "adapter_model.safetensors")
    shapes = {"q": (64, 48), "k": (32, 48), "v": (32, 48), "o": (48, 64)}
    expected = {}
    for i in (0, 1):
        prefix = f"base_model.model.model.layers.{i}"
        for letter, (rows, columns) in shapes.items():
            name = f"{prefix}.self_attn.{letter}_proj"
            expected |= {f"{name}.lora_A.weight": (4, columns), f"{name}.lora_B.weight": (rows, 4)}
        for part, (rows, columns) in {
            "gate": (112, 48),
            "up": (112, 48),
            "down": (48, 112),
        }.items():
            name = f"{prefix}.mlp.{part}_proj"
            expected |= {f"{name}.lora_A.weight": (4, columns), f"{name}.lora_B.weight": (rows, 4)}
    head = "base_model.model.lm_head"
    expected |= {f"{head}.lora_A.weight": (4, 48), f"{head}.lora_B.weight": (1024, 4)}
    assert {name: tensor.shape for name, tensor in tensors.items()} == expected
    state = load_file(tmp_path / "optimizer.safetensors")
    assert set(state) == {"t"} | {f"{moment}.{name}" for moment in "mv" for name in expected}
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    assert config["peft_type"] == "LORA"
    assert (config["r"], config["lora_alpha"], config["bias"]) == (4, 32, "none")
    assert config["task_type"] == "CAUSAL_LM"
    assert config["base_model_name_or_path"] == "tinkex/nano"
    names = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "lm_head"}
    assert set(config["target_modules"]) == names


@pytest.mark.parametrize("groups", [("attn",), ("mlp",), ("unembed",), ("attn", "unembed")])
def test_partial_adapters_round_trip(groups: tuple[str, ...], tmp_path: Path) -> None:
    """Which groups are trained is read back from the target modules."""
    flags = {f"train_{g}": g in groups for g in ("attn", "mlp", "unembed")}
    trainer = toy_trainer(toy_base(), **flags)
    trainer.snapshot().save(tmp_path)
    adapter = Adapter.load(tmp_path, trainer.base)
    assert {name: getattr(adapter.lora, name) for name in flags} == flags
    np.testing.assert_array_equal(adapter.flat, trainer._flat)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (LoraSpec(rank=8), "rank is 4 there and 8 here"),
        (LoraSpec(rank=4, alpha=16), "alpha is 32.0 there and 16 here"),
        (LoraSpec(rank=4, train_mlp=False), "train_mlp is True there and False here"),
    ],
)
def test_loading_another_shape_is_refused(spec: LoraSpec, message: str, tmp_path: Path) -> None:
    """The difference is told and the trainer is left as it was."""
    nano_trainer().save(tmp_path, optimizer=True)
    trainer = Trainer(Base.random(nano_config()), spec)
    before = trainer._flat.copy()
    with pytest.raises(EngineError, match=message):
        trainer.load(tmp_path, optimizer=True)
    np.testing.assert_array_equal(trainer._flat, before)


def test_adapter_of_another_base_is_refused(tmp_path: Path) -> None:
    """Shapes that do not fit the base are named."""
    nano_trainer().save(tmp_path, optimizer=False)
    with pytest.raises(EngineError, match=r"lora_A.weight has shape \(4, 48\), expected"):
        Adapter.load(tmp_path, toy_base())


def test_folders_that_are_no_adapters_are_refused(tmp_path: Path) -> None:
    """A missing or damaged file is named."""
    base = toy_base()
    with pytest.raises(EngineError, match=r"cannot read .*adapter_config\.json"):
        Adapter.load(tmp_path, base)
    toy_trainer(base).save(tmp_path, optimizer=False)
    (tmp_path / "adapter_model.safetensors").write_bytes(b"not tensors")
    with pytest.raises(EngineError, match="not a valid safetensors file"):
        Adapter.load(tmp_path, base)
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    config["target_modules"] = ["q_proj"]
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(EngineError, match="target_modules"):
        Adapter.load(tmp_path, base)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rank": 0}, "rank is 0"),
        ({"rank": 1, "alpha": -1.0}, "alpha is -1.0"),
        (
            {"rank": 1, "train_attn": False, "train_mlp": False, "train_unembed": False},
            "at least one of train_attn",
        ),
    ],
)
def test_senseless_adapters_are_refused(options: dict[str, Any], message: str) -> None:
    """A LoRA specification is checked when it is made."""
    with pytest.raises(EngineError, match=message):
        LoraSpec(**options)
