"""Distill one model into another: the student learns the teacher's whole distribution, not its samples.

    python examples/distillation.py

The teacher writes texts, and says for each of their positions which K tokens could stand there, and how
likely it finds each. The student is trained on all of them with cross_entropy and [N, K] soft targets:
but for the teacher's entropy, which is constant, that loss is the KL divergence from teacher to student
(Hinton et al. 2015). Measured: the divergence on texts that are not trained on. The K tokens are not
all there are; the rest is counted as one more, so the true divergence is a little higher. The curves
are drawn to distillation.svg. About 10 seconds on the local server, whose two models share a
tokenizer, as a teacher and its student have to.

Settings: TINKER_API_KEY, TINKER_BASE_URL, TINKER_TEACHER_MODEL, TINKER_STUDENT_MODEL, TINKER_TEXTS (480),
TINKER_TOKENS (64, of each text), TINKER_TOP_K (16), TINKER_STEPS (90), TINKER_RANK (32),
TINKER_LEARNING_RATE, TINKER_PLOT (distillation.svg).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from connection import base_model, connect, learning_rate, setting
from conversation import batches
from drawing import Panel, draw

from tinkex import (
    AdamParams,
    Datum,
    ModelInput,
    SampleResponse,
    SamplingClient,
    SamplingParams,
    ServiceClient,
    TinkexError,
    Tokenizer,
    TrainingClient,
)
from tinkex.losses import soft_target_datum

TOP_K = max(1, setting("TINKER_TOP_K", 16, int))
BATCH = 16
EVALUATE_EVERY = 10
OPENINGS = ["Once upon a time", "In the morning", "My friend", "When the rain came", "The old man"]


def choose_models(service: ServiceClient) -> tuple[str, str]:
    """Return the names of teacher and student."""
    small = base_model(service, "Qwen/Qwen3-8B").startswith("tinkex/")
    teacher = os.environ.get("TINKER_TEACHER_MODEL") or base_model(service, "Qwen/Qwen3-32B")
    fallback = "tinkex/nano" if small else "Qwen/Qwen3-8B"
    return teacher, os.environ.get("TINKER_STUDENT_MODEL") or fallback


def write_texts(teacher: SamplingClient, tokenizer: Tokenizer, count: int) -> list[list[int]]:
    """Sample texts from the teacher, and return their tokens."""
    params = SamplingParams(max_tokens=setting("TINKER_TOKENS", 64, int), temperature=1.0, seed=0)
    prompts = [tokenizer.encode(opening) for opening in OPENINGS]
    inputs = [ModelInput.from_ints(prompt) for prompt in prompts]
    each = -(-count // len(prompts))
    written = dict(teacher.sample_many(inputs, each, params))
    texts = [
        [*prompts[index], *written[index].sequences[number].tokens]
        for number in range(each)
        for index in range(len(prompts))
    ]
    return texts[:count]


def soft_targets(tokens: list[int], response: SampleResponse) -> Datum:
    """Return a datum with the teacher's K likeliest tokens at each position, and their probabilities."""
    rows = response.topk_prompt_logprobs
    if rows is None or len(rows) != len(tokens):
        sys.exit("error: the server does not return the teacher's most likely tokens of a prompt")
    candidates = np.zeros((len(tokens), TOP_K), np.int64)
    chances = np.zeros((len(tokens), TOP_K), np.float32)
    for place, row in enumerate(rows):
        for column, (token, logprob) in enumerate((row or [])[:TOP_K]):
            candidates[place, column] = token
            chances[place, column] = np.exp(logprob)
    return soft_target_datum(tokens, candidates, chances)


def ask_teacher(teacher: SamplingClient, texts: Sequence[list[int]]) -> list[Datum]:
    """Get the teacher's most likely tokens at each position of each text."""
    prompts = [ModelInput.from_ints(tokens) for tokens in texts]
    params = SamplingParams(max_tokens=1)
    # They come as they are done; the texts keep their order.
    answers = dict(teacher.sample_many(prompts, 1, params, topk_prompt_logprobs=TOP_K))
    return [soft_targets(tokens, answers[index]) for index, tokens in enumerate(texts)]


def divergence(student: TrainingClient, data: Sequence[Datum]) -> float:
    """Return the mean KL divergence from teacher to student at a position, in nats."""
    outputs = student.forward(data, "cross_entropy").result().loss_fn_outputs
    total, positions = 0.0, 0
    for datum, output in zip(data, outputs, strict=True):
        p = datum.loss_fn_inputs["weights"].numpy().astype(np.float64)
        q = np.exp(output["logprobs"].numpy().astype(np.float64))
        p, q = (with_rest(one) for one in (p, q))
        total += float(np.sum(p * np.log(p / q)))
        positions += len(p)
    return total / positions


def divergence_without_context(seen: Sequence[Datum], held_out: Sequence[Datum]) -> float:
    """Return the divergence of a student that knows only how frequent each token is."""
    counts: dict[int, float] = {}
    for datum in seen:
        pair = (datum.loss_fn_inputs[name].numpy() for name in ("target_tokens", "weights"))
        for token, chance in zip(*(one.ravel().tolist() for one in pair), strict=True):
            counts[token] = counts.get(token, 0.0) + chance
    total = sum(counts.values())
    terms = []
    for datum in held_out:
        tokens = datum.loss_fn_inputs["target_tokens"].numpy()
        p = with_rest(datum.loss_fn_inputs["weights"].numpy().astype(np.float64))
        frequency = np.vectorize(lambda token: counts.get(token, 0.5) / total)(tokens)
        terms.append(np.sum(p * np.log(p / with_rest(frequency)), axis=1))
    return float(np.concatenate(terms).mean())


def with_rest(chances: Any) -> Any:
    """Return rows that sum to 1, by one more column for all tokens that are not among the K."""
    rest = 1 - chances.sum(axis=1, keepdims=True)
    return np.maximum(np.concatenate([chances, rest], axis=1), 1e-9)


def main() -> None:
    """Write, ask, train, measure, and draw."""
    steps = max(1, setting("TINKER_STEPS", 90, int))
    plot = Path(setting("TINKER_PLOT", "distillation.svg", str))
    with connect() as service:
        teacher_name, student_name = choose_models(service)
        print(f"Teacher {teacher_name}, student {student_name}")
        teacher = service.create_sampling_client(base_model=teacher_name)
        tokenizer = teacher.get_tokenizer()
        texts = write_texts(teacher, tokenizer, max(20, setting("TINKER_TEXTS", 480, int)))
        print(f"The teacher wrote {len(texts)} texts: {tokenizer.decode(texts[0])!r}, ...")

        rank = setting("TINKER_RANK", 32, int)
        student = service.create_lora_training_client(student_name, rank=rank, seed=0)
        same = [one.encode("".join(OPENINGS)) for one in (tokenizer, student.get_tokenizer())]
        if same[0] != same[1]:
            sys.exit("error: teacher and student have different tokenizers")
        data = ask_teacher(teacher, texts)
        held_out, seen = data[: len(data) // 6], data[len(data) // 6 :]
        rate = learning_rate(student_name, small=1.5e-2, large=2e-4)
        baseline = divergence_without_context(seen, held_out)
        measured = [(0.0, divergence(student, held_out))]
        print(f"  step   0/{steps}  divergence {measured[0][1]:.3f} nats")
        for step, batch in enumerate(batches(seen, BATCH, steps), start=1):
            adam = AdamParams(learning_rate=rate * (1 - (step - 1) / steps))
            student.train_step(batch, "cross_entropy", adam)
            if step % EVALUATE_EVERY == 0 or step == steps:
                measured.append((step, divergence(student, held_out)))
                print(f"  step {step:3}/{steps}  divergence {measured[-1][1]:.3f} nats", flush=True)
        sampler = student.save_weights_and_get_sampling_client()
        params = SamplingParams(max_tokens=40, temperature=0.7, seed=1)
        prompt = tokenizer.encode(OPENINGS[0])
        [written] = sampler.sample(ModelInput.from_ints(prompt), 1, params).result().sequences
        print(f"The student writes now: {tokenizer.decode([*prompt, *written.tokens])!r}")
    print(
        f"Measured: KL divergence from teacher to student on {len(held_out)} held-out texts "
        f"{measured[0][1]:.3f} -> {measured[-1][1]:.3f} nats per token"
    )
    print(f"A student that knows only how frequent each token is would have {baseline:.3f}")
    curves = {"student": measured, "token frequencies alone": [(0.0, baseline), (steps, baseline)]}
    panel = Panel("KL divergence on held-out texts, nats per token", "step", curves=curves)
    draw(plot, f"Distilling {teacher_name} into {student_name}", [panel])
    print(f"Picture: {plot}")


if __name__ == "__main__":
    try:
        main()
    except TinkexError as error:
        sys.exit(f"error: {error}")
