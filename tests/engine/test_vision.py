"""Images as patches: codes, embeddings, and what a model makes of them."""

from __future__ import annotations

import numpy as np
import pytest
from attrs import evolve
from engine.reference import toy_base
from hypothesis import given
from hypothesis.extra.numpy import arrays

from tinkex.local.engine import EngineError, Example, LoraSpec, SampleJob, Sampler, Trainer
from tinkex.local.engine.base import with_vision
from tinkex.local.engine.network import merged
from tinkex.local.engine.vision import FEATURES, VisionConfig

VISION = VisionConfig(image_size=8, patch_size=4, levels=3)
PROJECTION = np.random.default_rng(0).normal(size=(FEATURES, 12))
BASE = with_vision(toy_base(), VISION, PROJECTION, "sees")
VOCAB = BASE.config.vocab_size


@given(pixels=arrays(np.uint8, (8, 8, 3)))
def test_a_code_is_the_rounded_mean_colour_of_its_patch(pixels: np.ndarray) -> None:
    """Patches are read row by row, each by itself."""
    codes = VISION.codes_of(pixels)
    assert codes.shape == (VISION.patches,) == (4,)
    for index, code in enumerate(codes):
        y, x = divmod(index, 2)
        mean = pixels[4 * y : 4 * y + 4, 4 * x : 4 * x + 4].reshape(-1, 3).mean(axis=0)
        r, g, b = (round(float(channel) / 255 * 2) for channel in mean)
        assert code == 9 * r + 3 * g + b
    assert codes.max() < VISION.codes


def test_embeddings_are_projected_colours() -> None:
    """Black and white are the corners; the embeddings of tokens stay as they are."""
    table = VISION.embeddings(PROJECTION)
    assert table.shape == (27, 12)
    signs = np.array([1, -1, -1, -1, 1, 1, 1, -1])
    np.testing.assert_allclose(table[0], signs @ PROJECTION)
    np.testing.assert_allclose(table[26], np.ones(8) @ PROJECTION)
    np.testing.assert_array_equal(BASE.weights.embed[:VOCAB], toy_base().weights.embed)
    np.testing.assert_array_equal(BASE.weights.embed[VOCAB:], table)


def test_codes_are_input_alone() -> None:
    """They are read, never predicted: as a target a code is outside of the vocabulary."""
    trainer = Trainer(BASE, LoraSpec(rank=2, seed=0))
    tokens = np.array([1, VOCAB + 3, VOCAB + 26, 2])
    targets = {"target_tokens": np.array([2, 3, 4, 5])}
    changed = np.array([1, VOCAB + 4, VOCAB + 26, 2])
    found = [
        trainer.forward([Example(one, targets)], "cross_entropy").logprobs[0]
        for one in (tokens, changed)
    ]
    assert found[0][0] == pytest.approx(found[1][0])
    assert (found[0][1:] != found[1][1:]).all()
    for bad in (np.array([1, VOCAB + 27]), np.array([1, -1])):
        with pytest.raises(EngineError, match="outside the vocabulary"):
            trainer.forward([Example(bad, {"target_tokens": np.array([1, 2])})], "cross_entropy")
    wrong = {"target_tokens": np.array([2, VOCAB, 4, 5])}
    with pytest.raises(EngineError, match=f"outside the vocabulary of {VOCAB}"):
        trainer.forward([Example(tokens, wrong)], "cross_entropy")


def test_prompts_with_codes_are_sampled_and_scored() -> None:
    """A patch has no logprob; what follows it has that of a forward pass."""
    prompt = np.array([1, VOCAB + 3, 2, 5])
    job = SampleJob(prompt, max_tokens=4, seed=1, stop_tokens=(), prompt_logprobs=True)
    (result,) = Sampler(BASE, None).sample([job])
    assert max(result.sequences[0].tokens) < VOCAB
    logprobs = result.prompt.logprobs
    assert logprobs is not None
    assert logprobs[:2] == [None, None]
    targets = {"target_tokens": np.array([0, 2, 5, 0])}
    output = Trainer(BASE, LoraSpec(rank=2)).forward([Example(prompt, targets)], "cross_entropy")
    np.testing.assert_allclose(logprobs[2:], output.logprobs[0][1:3], atol=1e-6)


def test_an_adapter_worked_into_the_weights_is_the_same_model() -> None:
    """Merged, the base gives what base and adapter give together."""
    spec = LoraSpec(rank=2, seed=0, train_unembed=False)
    trainer = Trainer(BASE, spec)
    trainer._flat[...] = np.random.default_rng(1).normal(0, 0.2, trainer._flat.shape)
    trainer._stale = True
    example = Example(np.array([1, VOCAB + 3, 2]), {"target_tokens": np.array([2, 3, 4])})
    expected = trainer.forward([example], "cross_entropy").logprobs[0]
    whole = Trainer(merged(BASE, trainer.snapshot()), evolve(spec, seed=5))
    found = whole.forward([example], "cross_entropy").logprobs[0]
    np.testing.assert_allclose(found, expected, atol=1e-6)
