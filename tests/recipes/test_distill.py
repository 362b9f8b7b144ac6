"""What a student is taught, and by whom its steps are sampled."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from support.nano import NANO, nano_service

from tinkex import Datum, SamplingClient, SamplingParams, ServiceClient, TrainingClient, recipes
from tinkex.recipes.distill import Distill
from tinkex.recipes.on_policy import Scored

__all__ = ["nano_service"]


def test_the_teachers_probabilities_are_learned_first_on_its_own_samples(
    nano_service: ServiceClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For `teacher_share` of the steps it samples; at each token its distribution is the target."""
    settings: dict[str, Any] = {"base_model": NANO, "batch_size": 2, "service": nano_service}
    taught = [{"prompt": f"{n} is", "completion": " 77 77"} for n in range(12)]
    teacher = recipes.sft(
        taught, steps=6, rank=8, learning_rate=2e-2, folder=tmp_path / "teacher", **settings
    )
    samplers: list[bool] = []
    sent: list[Datum] = []
    choose, make = Distill.sampler, Distill.data

    def sampler(self: Distill, training: TrainingClient, number: int) -> SamplingClient:
        chosen = choose(self, training, number)
        samplers.append(chosen is self._teacher)
        return chosen

    def data(self: Distill, batch: Scored) -> list[Datum]:
        made = make(self, batch)
        sent.extend(made)
        return made

    monkeypatch.setattr(Distill, "sampler", sampler)
    monkeypatch.setattr(Distill, "data", data)
    recipes.distill(
        [{"prompt": row["prompt"]} for row in taught],
        str(teacher.sampler_path),
        rank=2,
        steps=2,
        teacher_share=0.5,
        top_k=8,
        max_tokens=3,
        held_out=0,
        folder=tmp_path / "student",
        **settings,
    )
    assert samplers == [True, False]
    teachers = nano_service.create_sampling_client(model_path=teacher.sampler_path)
    compared = []
    for datum in sent:
        found = teachers.sample(
            datum.model_input,
            1,
            SamplingParams(max_tokens=1),
            include_prompt_logprobs=True,
            topk_prompt_logprobs=8,
        ).result()
        targets, weights = (
            datum.loss_fn_inputs[name].numpy() for name in ("target_tokens", "weights")
        )
        # The first row is about the second token.
        for place, likeliest in enumerate((found.topk_prompt_logprobs or [])[1:]):
            counts = weights[place] > 0
            learned = zip(targets[place][counts].tolist(), weights[place][counts], strict=True)
            chances = {token: math.exp(logprob) for token, logprob in likeliest or []}
            compared.append([(chances[token], chance) for token, chance in learned])
    assert max(map(len, compared)) > 1
    for theirs, learned in (pair for row in compared for pair in row):
        assert learned == pytest.approx(theirs, rel=1e-2, abs=1e-5)
