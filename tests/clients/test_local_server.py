"""The client against the local server: errors and results that scripted responses cannot prove."""

from __future__ import annotations

import numpy as np
import pytest
from support.nano import NANO

from tinkex import AdamParams, ModelInput, SamplingParams, ServiceClient, losses
from tinkex.errors import ConflictError
from tinkex.types import DimuonParams


def test_a_taken_checkpoint_name_is_a_conflict_that_names_it(nano_service: ServiceClient) -> None:
    """The error comes from the submission, at once, and the model takes further requests."""
    training = nano_service.create_lora_training_client(NANO, rank=4)
    path = training.save_state("a").result().path
    with pytest.raises(ConflictError, match=f"{path} already exists") as caught:
        training.save_state("a")
    assert caught.value.category == "user"
    assert training.save_state("b").result().path.endswith("/weights/b")


def test_stable_reinforce_trains_through_the_client(nano_service: ServiceClient) -> None:
    """Sampled, recorded, named by spans: what is rewarded becomes likelier."""
    training = nano_service.create_lora_training_client(NANO, rank=4)
    sampler = training.save_weights_and_get_sampling_client()
    prompt = ModelInput.from_ints([5, 6, 7])
    params = SamplingParams(max_tokens=4, seed=1, stop=[])
    response = sampler.sample(prompt, 2, params, record_stability_info=True).result()
    data = [
        losses.stable_reinforce_datum(prompt, sequence, advantages=advantage)
        for sequence, advantage in zip(response.sequences, (1.0, -1.0), strict=True)
    ]
    ratios = []
    for _ in range(4):
        output, step = training.train_step(
            data, "stable_reinforce", AdamParams(learning_rate=1e-2), {"kl_coeff": 0.01}
        )
        ratios.append(output.result().metrics["ratio:max"])
        step.result()
    assert ratios[0] == pytest.approx(1.0, abs=1e-3)
    assert ratios[-1] > 1.5


@pytest.mark.parametrize("form", ["json", "protobuf"])
def test_newer_results_of_samples_come_in_either_form(
    nano_service: ServiceClient, form: str
) -> None:
    """What the local server answers as JSON and as protobuf reads the same."""
    with ServiceClient(base_url=nano_service.base_url, wire_format=form) as service:
        sampler = service.create_sampling_client(base_model=NANO)
        targets = np.array([[6, -1], [7, 8]])
        response = sampler.sample(
            ModelInput.from_ints([5, 6, 7]),
            1,
            SamplingParams(max_tokens=3, seed=1, stop=[]),
            include_prompt_logprobs=True,
            topk_sample_logprobs=2,
            target_prompt_logprobs=targets,
            prompt_alt_tokens_k=3,
            prompt_logprobs_last_n=1,
        ).result()
    (sequence,) = response.sequences
    assert sequence.topk_logprobs is not None
    assert [len(row or ()) for row in sequence.topk_logprobs] == [2, 2, 2]
    assert response.prompt_logprobs is not None
    assert response.prompt_logprobs[:2] == [None, None]
    assert response.target_prompt_logprobs is not None
    found = response.target_prompt_logprobs.numpy()
    assert found.shape == (2, 2)
    assert found[1, 0] == pytest.approx(response.prompt_logprobs[2], rel=1e-5)
    assert found[0, 1] == 0
    assert response.prompt_alt_tokens is not None
    assert response.prompt_alt_tokens.tokens.shape == (2, 3)
    assert (response.prompt_alt_tokens.logprobs.numpy() < 0).all()


def test_dimuon_resumes_from_a_checkpoint(nano_service: ServiceClient) -> None:
    """A restored client has the checkpoint's optimizer, and its next step is the same."""
    training = nano_service.create_lora_training_client(NANO, rank=4, optimizer="dimuon")
    data = [losses.cross_entropy_datum([5, 6, 7, 8])]
    settings = DimuonParams(learning_rate=0.02)
    for future in training.train_step(data, "cross_entropy", settings):
        future.result()
    path = training.save_state("a").result().path
    restored = nano_service.create_training_client_from_state_with_optimizer(path)
    after = []
    for client in (training, restored):
        client.train_step(data, "cross_entropy", settings)[1].result()
        after.append(client.forward(data, "cross_entropy").result().loss)
    assert after[0] == after[1]
