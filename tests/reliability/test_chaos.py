"""A network that loses, delays, cuts, denies and repeats requests changes the time, never the result."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.chaos import FAULTS, Plan, chaos
from support.extent import ALL, extent
from support.stored_weights import assert_same_weights, stored_weights
from support.training import ADAM, NANO_RUN, batch, train

from tinkex import ModelInput, SamplingParams, ServiceClient, TrainingClient
from tinkex.local import LocalServer

THREADS = 4
STEPS = 50 if ALL else 16
# A retry of each would spend the budget twice.
BLIPS = 400 if ALL else 200
# More of them: TINKEX_CHAOS_SEEDS=100
SEEDS = range(1, 1 + extent("CHAOS_SEEDS", 1, 20))

Outcome = tuple[dict[str, np.ndarray], list[Any]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    with LocalServer(data_dir=tmp_path_factory.mktemp("chaos")) as server:
        yield server


def finished(server: LocalServer, training: TrainingClient, told: list[Any]) -> Outcome:
    """Save, and return the tensors with what the run was told on its way."""
    path = training.save_state("end").result().path
    assert path is not None
    return stored_weights(Path(server.data_dir), path), told


def alone(server: LocalServer, service: ServiceClient, number: int) -> Outcome:
    """Train a model with saves and samples in between."""
    training = service.create_lora_training_client(**{**NANO_RUN, "seed": number})
    told: list[Any] = []
    for step in range(STEPS):
        told.append(train(training, 100 * number + step))
        if step % 20 == 10:
            training.save_state(f"step-{step}").result()
            sampler = training.save_weights_and_get_sampling_client()
            params = SamplingParams(max_tokens=3, temperature=0.0)
            futures = [sampler.sample(ModelInput.from_ints([1, n]), 1, params) for n in range(2, 8)]
            told += [list(future.result().sequences[0].tokens) for future in futures]
    return finished(server, training, told)


def together(server: LocalServer, service: ServiceClient) -> Outcome:
    """Train a model from two threads, whose steps may come in any order as they are all alike."""
    training = service.create_lora_training_client(**NANO_RUN)

    def steps() -> list[float]:
        return [train(training, 0) for _ in range(STEPS // 2)]

    with ThreadPoolExecutor(2) as pool:
        losses = [pool.submit(steps) for _ in range(2)]
        told = sorted(loss for each in losses for loss in each.result())
    return finished(server, training, told)


def accumulated(server: LocalServer, service: ServiceClient) -> Outcome:
    """Train a model from two threads that bring half of each step's gradients."""
    training = service.create_lora_training_client(**NANO_RUN)
    both = threading.Barrier(2, timeout=60)

    def steps(half: int) -> list[float]:
        losses = []
        for step in range(STEPS // 2):
            losses.append(training.forward_backward(batch(2 * step + half), "cross_entropy"))
            if both.wait() == 0:
                training.optim_step(ADAM).result()
            both.wait()
        return [loss.result().loss for loss in losses]

    with ThreadPoolExecutor(2) as pool:
        told = [each.result() for each in [pool.submit(steps, half) for half in range(2)]]
    return finished(server, training, told)


def runs(server: LocalServer, url: str) -> list[Outcome]:
    """Do everything at once."""
    programs: list[Callable[[ServiceClient], Outcome]] = [
        *(lambda service, n=n: alone(server, service, n) for n in range(THREADS)),  # type: ignore[misc]
        lambda service: together(server, service),
        lambda service: accumulated(server, service),
    ]
    with ServiceClient(base_url=url) as service, ThreadPoolExecutor(len(programs)) as pool:
        return [each.result() for each in [pool.submit(one, service) for one in programs]]


@pytest.fixture(scope="module")
def undisturbed(server: LocalServer) -> list[Outcome]:
    return runs(server, server.base_url)


class Blip(Plan):
    """Everything that is submitted in one moment goes unanswered."""

    def fault(self, route: str, number: int) -> tuple[str, random.Random]:
        is_hit = route.endswith("/asample") and number <= BLIPS
        return "unanswered" if is_hit else "", random.Random(number)


@pytest.mark.holds("F44")
def test_one_blip_that_hits_hundreds_of_samples_fails_none(server: LocalServer) -> None:
    """They failed together, of one cause, so the retry budget is not spent by them."""
    with (
        chaos(server.base_url, Blip(0)) as network,
        ServiceClient(base_url=network.url) as service,
    ):
        sampler = service.create_sampling_client(base_model=NANO_RUN["base_model"])
        prompt, params = ModelInput.from_ints([1]), SamplingParams(max_tokens=1)
        futures = [sampler.sample(prompt, 1, params) for _ in range(BLIPS)]
        assert [future.exception(60) for future in futures] == [None] * BLIPS
        assert network.played["unanswered"] == BLIPS


@pytest.mark.holds("F45")
@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_threads_on_a_bad_network_train_the_weights_of_a_good_one(
    server: LocalServer, undisturbed: list[Outcome], seed: int
) -> None:
    """Six runs at once end in the same weights, losses and tokens, to the last bit."""
    with chaos(server.base_url, Plan(seed)) as network:
        disturbed = runs(server, network.url)
    for (ours, told), (theirs, told_undisturbed) in zip(disturbed, undisturbed, strict=True):
        assert told == told_undisturbed
        assert_same_weights(ours, theirs)
    assert set(network.played) == set(FAULTS)
    assert network.played.total() >= 2 * STEPS
