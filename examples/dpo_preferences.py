"""Train on preferences: direct preference optimization (DPO) as a custom loss.

    python examples/dpo_preferences.py

Of each pair of answers one is preferred: here, the whole sentence over the bare word, both right. The
loss is -log sigmoid(beta x margin), where the margin is by how much more the model prefers the one than
it did before training (Rafailov et al. 2023). It is a few lines of numpy; forward_backward_custom does
the rest. Measured on pairs that are not trained on, and by what the model then says: with four times the
learning rate the margin grows tenfold and the answers fall apart, so the loss alone shows nothing. The
curves are drawn to dpo_preferences.svg. About 6 seconds on the local server.

Settings: TINKER_API_KEY, TINKER_BASE_URL, TINKER_BASE_MODEL, TINKER_STEPS (20), TINKER_PAIRS (12, a
step), TINKER_BETA (0.1), TINKER_LEARNING_RATE, TINKER_PLOT (dpo_preferences.svg).
"""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from connection import base_model, connect, learning_rate, setting
from conversation import Exchange, Format, batches
from drawing import Panel, draw

from tinkex import AdamParams, Datum, SamplingClient, TinkexError, TrainingClient

BETA = setting("TINKER_BETA", 0.1, float)
HELD_OUT = 16
EVALUATE_EVERY = 4

OPPOSITES = (
    "hot:cold big:small fast:slow old:young wet:dry light:dark high:low open:closed full:empty "
    "happy:sad rich:poor strong:weak early:late thick:thin near:far hard:soft clean:dirty long:short "
    "up:down left:right day:night black:white first:last wide:narrow"
)
CAPITALS = (
    "France:Paris Germany:Berlin Italy:Rome Spain:Madrid Norway:Oslo Japan:Tokyo Egypt:Cairo "
    "Russia:Moscow Poland:Warsaw Greece:Athens Austria:Vienna Portugal:Lisbon Sweden:Stockholm "
    "China:Beijing Peru:Lima Cuba:Havana"
)


@dataclass(frozen=True)
class Pair:
    """A question with the answer that is preferred, and the other one."""

    question: str
    chosen: str
    rejected: str


def make_pairs() -> list[Pair]:
    """Return pairs about opposites and capitals, in an order that mixes both."""
    pairs = []
    for facts, relation in ((OPPOSITES, "opposite"), (CAPITALS, "capital")):
        for fact in facts.split():
            of, value = fact.split(":")
            sentence = f"The {relation} of {of} is {value}."
            pairs.append(Pair(f"What is the {relation} of {of}?", sentence, value))
    random.Random(1).shuffle(pairs)
    return pairs


def answer_logprobs(data: Sequence[Datum], logprobs: Sequence[Any]) -> list[Any]:
    """Return the log probability of each answer as a whole."""
    # The weights of `Format.datum` are 1 along the answer and 0 along the question.
    marks = [datum.loss_fn_inputs["weights"].numpy() for datum in data]
    return [(lp * mark).sum() for lp, mark in zip(logprobs, marks, strict=True)]


class Preferences:
    """Pairs as data, chosen and rejected in turn, with how much the untrained model prefers each."""

    def __init__(self, form: Format, pairs: Sequence[Pair], training: TrainingClient) -> None:
        self.data = [
            form.datum(Exchange(pair.question, answer))
            for pair in pairs
            for answer in (pair.chosen, pair.rejected)
        ]
        self.reference = np.zeros(len(pairs))
        self.reference = self.margins(training)

    def margins(self, training: TrainingClient) -> Any:
        """Return by how much more the model prefers each pair's chosen answer than before training."""
        outputs = training.forward(self.data, "cross_entropy").result().loss_fn_outputs
        each = answer_logprobs(self.data, [output["logprobs"].numpy() for output in outputs])
        return np.array(each[::2]) - np.array(each[1::2]) - self.reference

    def step(self, training: TrainingClient, chosen: Sequence[int], adam: AdamParams) -> float:
        """Take one step on some of the pairs, and return its loss."""
        data = [self.data[2 * pair + side] for pair in chosen for side in (0, 1)]

        def dpo(data: Sequence[Datum], logprobs: Sequence[Any]) -> tuple[Any, dict[str, Any]]:
            each = answer_logprobs(data, logprobs)
            loss = 0.0
            for place, pair in enumerate(chosen):
                margin = each[2 * place] - each[2 * place + 1] - self.reference[pair]
                loss = loss + np.log1p(np.exp(-BETA * margin)) / len(chosen)
            return loss, {}

        output = training.forward_backward_custom(data, dpo)
        update = training.optim_step(adam)
        update.result()
        return output.result().loss


def habits(form: Format, sampler: SamplingClient, pairs: Sequence[Pair]) -> tuple[float, float]:
    """Print some answers; return the shares that are whole sentences, and that are right."""
    answers = form.answers(sampler, [pair.question for pair in pairs])
    for answer, pair in list(zip(answers, pairs, strict=True))[:3]:
        print(f"  {pair.question} {answer!r}")
    sentences = sum(answer.endswith(".") and " is " in answer for answer in answers)
    right = sum(pair.rejected in answer for answer, pair in zip(answers, pairs, strict=True))
    return sentences / len(pairs), right / len(pairs)


def main() -> None:
    """Train on the preferences, and measure what they did."""
    steps = max(1, setting("TINKER_STEPS", 20, int))
    plot = Path(setting("TINKER_PLOT", "dpo_preferences.svg", str))
    pairs = make_pairs()
    with connect() as service:
        model = base_model(service)
        rate = learning_rate(model, small=5e-4, large=1e-5)
        print(f"{model}: {len(pairs) - HELD_OUT} pairs, and {HELD_OUT} held out; beta {BETA}")
        training = service.create_lora_training_client(model, rank=16, seed=0)
        form = Format(training.get_tokenizer())
        test = Preferences(form, pairs[:HELD_OUT], training)
        seen = Preferences(form, pairs[HELD_OUT:], training)
        before = habits(form, training.save_weights_and_get_sampling_client(), pairs[:HELD_OUT])

        losses: list[float] = []
        margins: list[tuple[float, float]] = [(0, 0.0)]
        order = list(range(len(pairs) - HELD_OUT))
        size = max(1, setting("TINKER_PAIRS", 12, int))
        for step, chosen in enumerate(batches(order, size, steps), 1):
            adam = AdamParams(learning_rate=rate * (1 - (step - 1) / steps))
            losses.append(seen.step(training, chosen, adam))
            if step % EVALUATE_EVERY == 0 or step == steps:
                margins.append((step, float(test.margins(training).mean())))
            print(f"  step {step:3}/{steps}  loss {losses[-1]:.4f}", flush=True)
        won = float((test.margins(training) > 0).mean())
        after = habits(form, training.save_weights_and_get_sampling_client(), pairs[:HELD_OUT])
    print(f"Measured: held-out pairs whose margin grew: {won:.0%}, by {margins[-1][1]:.2f} nats")
    print(f"Measured: held-out answers in whole sentences {before[0]:.0%} -> {after[0]:.0%}")
    print(f"Measured: held-out answers that hold the right word {before[1]:.0%} -> {after[1]:.0%}")
    panels = [
        Panel("loss of the pairs trained on", "step", curves={"loss": losses}),
        Panel("margin on held-out pairs, in nats", "step", curves={"margin": margins}, dots=True),
    ]
    draw(plot, f"DPO with {model}: whole sentences preferred", panels)
    print(f"Picture: {plot}")


if __name__ == "__main__":
    try:
        main()
    except TinkexError as error:
        sys.exit(f"error: {error}")
