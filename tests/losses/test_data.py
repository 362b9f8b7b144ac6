"""Constructors of data: the one-token shift, the padding, and the checks."""

from __future__ import annotations

import numpy as np
import pytest
from support.nano import NANO, nano_service

from tinkex import Datum, ModelInput, ServiceClient, losses
from tinkex.errors import ValidationError
from tinkex.types import (
    EncodedTextChunk,
    ImageChunk,
    PromptProvenanceSpan,
    SampledProvenanceSpan,
    SampledSequence,
)

__all__ = ["nano_service"]

SAMPLED = {"sampled": [7, 8], "logprobs": [-0.1, -0.7], "advantages": 0.5}
REINFORCED = [
    losses.importance_sampling_datum,
    losses.ppo_datum,
    losses.cispo_datum,
    losses.gspo_datum,
]


def tensors(datum: Datum) -> dict[str, list[float]]:
    return {
        name: np.round(tensor.numpy().astype(float), 6).tolist()
        for name, tensor in datum.loss_fn_inputs.items()
    }


def test_a_datum_of_stable_reinforce_names_its_sequence() -> None:
    """Prompt and sampled tokens are told apart, in the input and one position on in the targets."""
    sequence = SampledSequence([7, 8], sequence_id="s")
    datum = losses.stable_reinforce_datum([5, 6], sequence, advantages=[1, -1])
    assert datum.model_input.to_ints() == [5, 6, 7]
    assert tensors(datum) == {"target_tokens": [6, 7, 8], "advantages": [0.0, 1.0, -1.0]}
    assert datum.model_input_spans == (
        PromptProvenanceSpan(sequence_id="s", length=2),
        SampledProvenanceSpan(sequence_id="s", length=1),
    )
    assert datum.loss_fn_input_spans == (
        PromptProvenanceSpan(sequence_id="s", offset=1, length=1),
        SampledProvenanceSpan(sequence_id="s", length=2),
    )
    with pytest.raises(ValidationError, match="sequence_id"):
        losses.stable_reinforce_datum([5], SampledSequence([7]), advantages=1.0)


def test_cross_entropy_shifts_targets_and_weights() -> None:
    """Position i is about token i + 1; without weights each token counts."""
    datum = losses.cross_entropy_datum([5, 6, 7], weights=[9, 0, 1])
    assert datum.model_input.to_ints() == [5, 6]
    assert tensors(datum) == {"target_tokens": [6, 7], "weights": [0.0, 1.0]}
    assert tensors(losses.cross_entropy_datum([5, 6]))["weights"] == [1.0]


def test_a_completion_alone_counts() -> None:
    """The prompt's tokens are read and have weight 0."""
    datum = losses.completion_datum([5, 6], [7, 8])
    assert datum.model_input.to_ints() == [5, 6, 7]
    assert tensors(datum) == {"target_tokens": [6, 7, 8], "weights": [0.0, 1.0, 1.0]}
    short = losses.completion_datum([5], [7])
    assert short.model_input.to_ints() == [5]
    assert tensors(short) == {"target_tokens": [7], "weights": [1.0]}


@pytest.mark.parametrize("make", REINFORCED)
def test_samples_are_padded_along_the_prompt(make) -> None:
    """Advantages and log probabilities are 0 there, and a number counts for every token."""
    datum = make([5, 6], **SAMPLED)
    found = tensors(datum)
    mask = found.pop("sequence_ratio_mask", None)
    assert (mask == [0.0, 1.0, 1.0]) == (make is losses.gspo_datum)
    assert found == {
        "target_tokens": [6, 7, 8],
        "logprobs": [0.0, -0.1, -0.7],
        "advantages": [0.0, 0.5, 0.5],
    }
    by_token = make([5, 6], [7, 8], [-0.1, -0.7], [1.0, -1.0])
    assert tensors(by_token)["advantages"] == [0.0, 1.0, -1.0]


def test_dro_needs_the_prompts_log_probabilities() -> None:
    """Its squared term counts along the prompt too."""
    with pytest.raises(ValidationError, match="include_prompt_logprobs"):
        losses.dro_datum([5, 6], **SAMPLED)
    datum = losses.dro_datum([5, 6], **SAMPLED, prompt_logprobs=[None, -2.0])
    assert tensors(datum)["logprobs"] == [-2.0, -0.1, -0.7]
    assert tensors(losses.dro_datum([5], **SAMPLED))["logprobs"] == [-0.1, -0.7]


def test_soft_targets_have_k_candidates_at_each_position() -> None:
    """Row i stands for token i, so the first is dropped."""
    candidates = np.array([[1, 2], [6, 3], [7, 4]])
    datum = losses.soft_target_datum([5, 6, 7], candidates, candidates / 10)
    assert tensors(datum) == {
        "target_tokens": [[6, 3], [7, 4]],
        "weights": [[0.6, 0.3], [0.7, 0.4]],
    }


def test_a_prompt_may_hold_an_image() -> None:
    """Targets along an image are 0 and count nothing."""
    image = ImageChunk(data=b"\x89PNG", format="png", expected_tokens=3)
    prompt = ModelInput((image, EncodedTextChunk([5])))
    datum = losses.completion_datum(prompt, [7, 8])
    assert datum.model_input.length == 5
    assert tensors(datum) == {
        "target_tokens": [0, 0, 0, 7, 8],
        "weights": [0.0, 0.0, 0.0, 1.0, 1.0],
    }


def test_inputs_of_a_custom_loss_are_shifted_alike() -> None:
    """Any array with a value or row for each token loses its first."""
    datum = losses.custom_datum([5, 6, 7], reward=np.array([0.0, 0.5, 1.0]))
    assert tensors(datum) == {"target_tokens": [6, 7], "reward": [0.5, 1.0]}


@pytest.mark.parametrize(
    ("make", "path"),
    [
        (lambda: losses.cross_entropy_datum([5]), "tokens"),
        (lambda: losses.cross_entropy_datum("text"), "tokens"),  # type: ignore[arg-type]
        (lambda: losses.cross_entropy_datum([5, 6], [1.0]), "weights"),
        (lambda: losses.completion_datum([], [7]), "prompt"),
        (lambda: losses.completion_datum([5], []), "completion"),
        (lambda: losses.ppo_datum([5], [7, 8], [-0.1], 1.0), "logprobs"),
        (lambda: losses.ppo_datum([5], [7], [0.3], 1.0), "logprobs[0]"),
        (lambda: losses.ppo_datum([5], [7], None, 1.0), "logprobs"),  # type: ignore[arg-type]
        (lambda: losses.ppo_datum([5], [7], [-0.1], [1.0, 2.0]), "advantages"),
        (lambda: losses.soft_target_datum([5, 6], np.ones(2, int), np.ones(2)), "candidates"),
        (lambda: losses.custom_datum([5, 6], reward=np.ones(3)), "reward"),
    ],
)
def test_lengths_and_values_are_checked(make, path) -> None:
    """The error names the argument."""
    with pytest.raises(ValidationError) as caught:
        make()
    assert caught.value.path == path


def test_the_service_takes_each_of_them(nano_service: ServiceClient) -> None:
    """The local server computes a loss of every kind from them."""
    training = nano_service.create_lora_training_client(NANO, rank=4)
    for make in REINFORCED:
        name = make.__name__.removesuffix("_datum")
        assert np.isfinite(training.forward([make([5, 6], **SAMPLED)], name).result().loss)
    dro = losses.dro_datum([5, 6], **SAMPLED, prompt_logprobs=[None, -2.0])
    assert np.isfinite(training.forward([dro], "dro", {"beta": 0.05}).result().loss)
    soft = losses.soft_target_datum([5, 6], np.array([[0, 0], [6, 9]]), np.full((2, 2), 0.5))
    plain = [losses.completion_datum([5], [token]) for token in (6, 9)]
    mean = training.forward(plain, "cross_entropy").result().loss / 2
    assert training.forward([soft], "cross_entropy").result().loss == pytest.approx(mean, rel=1e-5)
