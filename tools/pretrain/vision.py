"""Teach the shipped model to see coloured shapes: an adapter and a projection, made by the engine itself.

python -m tools.pretrain.vision tinkex/local/models/tiny-vision --steps 900

Needs what `tinkex[local]` and `tinkex[vision]` need, and no torch.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path
from random import Random

import numpy as np
from tokenizers import Tokenizer

from tinkex.local.engine import (
    AdamSpec,
    Adapter,
    Base,
    Example,
    LoraSpec,
    SampleJob,
    Sampler,
    Trainer,
)
from tinkex.local.engine.base import with_vision
from tinkex.local.engine.tensors import write_tensors
from tinkex.local.engine.vision import FEATURES, VisionConfig
from tools.draw_shapes import COLOURS, SHAPES, draw

BASE = Path("tinkex/local/models/tiny-chat")
VISION = VisionConfig()
LORA = LoraSpec(rank=16, seed=0, train_unembed=False)
# As long as the embeddings of tokens are, and in random directions.
PROJECTION_SEED = 1

# What stands before and after the image, and the reply.
CAPTIONS = ("A small image:", "Picture:", "")
QUESTIONS = (
    ("What is this?", "A {colour} {shape}."),
    ("What do you see?", "A {colour} {shape}."),
    ("Describe the image.", "A {colour} {shape}."),
    ("What colour is it?", "{Colour}."),
    ("What color is it?", "{Colour}."),
    ("What shape is it?", "A {shape}."),
)


def projection(base: Base) -> np.ndarray:
    """Return the random projection of patches into the space of embeddings."""
    rng = np.random.default_rng(PROJECTION_SEED)
    length = float(np.linalg.norm(base.weights.embed, axis=1).mean())
    drawn = rng.standard_normal((FEATURES, base.config.hidden_size))
    drawn *= length / math.sqrt(base.config.hidden_size * FEATURES)
    return np.asarray(drawn, np.float32)


class Lessons:
    """Examples without end, each made from its number."""

    def __init__(self, base: Base, tokenizer: Tokenizer) -> None:
        self._vocab = base.config.vocab_size
        self._tokenizer = tokenizer

    def encode(self, text: str) -> list[int]:
        """Return the tokens of a text."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def look(self, colour: str, shape: str, random: Random) -> list[int]:
        """Return the tokens of a picture."""
        pixels = np.asarray(draw(colour, shape, random))
        return [int(code) + self._vocab for code in VISION.codes_of(pixels)]

    def lesson(self, number: int) -> tuple[list[int], list[int], str]:
        """Return a prompt, the reply's tokens, and the reply."""
        random = Random(number)
        colour, shape = random.choice(list(COLOURS)), random.choice(SHAPES)
        image = self.look(colour, shape, random)
        if random.random() < 0.25:
            reply = f" A {colour} {shape}."
            prompt = [*self.encode(random.choice(CAPTIONS)), *image]
            return prompt, [*self.encode(reply), *self.encode("<|im_end|>")], reply
        question, form = random.choice(QUESTIONS)
        reply = form.format(colour=colour, Colour=colour.capitalize(), shape=shape)
        before, after = ([], f"\n{question}") if random.random() < 0.5 else ([], question)
        prompt = [
            *self.encode("<|im_start|>user\n"),
            *before,
            *image,
            *self.encode(f"{after}<|im_end|>\n<|im_start|>assistant\n"),
        ]
        return prompt, [*self.encode(reply), *self.encode("<|im_end|>")], reply

    def example(self, number: int) -> Example:
        """Return an example whose loss counts the reply."""
        prompt, reply, _ = self.lesson(number)
        whole = np.array([*prompt, *reply])
        targets = np.where(whole[1:] < self._vocab, whole[1:], 0)
        weights = np.zeros(len(targets), np.float32)
        weights[len(prompt) - 1 :] = 1.0
        return Example(whole[:-1], {"target_tokens": targets, "weights": weights})


def accuracy(
    base: Base, adapter: Adapter, lessons: Lessons, tokenizer: Tokenizer, first: int
) -> float:
    """Return the share of 200 replies that are right, word for word."""
    asked = [lessons.lesson(first + i) for i in range(200)]
    jobs = [
        SampleJob(np.array(prompt), adapter=adapter, max_tokens=12, temperature=0.0)
        for prompt, _, _ in asked
    ]
    results = Sampler(base, None).sample(jobs)
    said = [tokenizer.decode(one.sequences[0].tokens).strip() for one in results]
    return sum(text == reply.strip() for text, (_, _, reply) in zip(said, asked, strict=True)) / 200


def main() -> None:
    """Train, report progress, and write the folder."""
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=900)
    parser.add_argument("--batch", type=int, default=24)
    parser.add_argument("--rate", type=float, default=3e-3)
    settings = parser.parse_args()
    plain = Base.load(BASE)
    matrix = projection(plain)
    base = with_vision(plain, VISION, matrix, "tinkex/tiny-vision")
    tokenizer = Tokenizer.from_file(str(BASE / "tokenizer.json"))
    lessons, trainer, started = Lessons(base, tokenizer), Trainer(base, LORA), time.monotonic()
    for step in range(settings.steps):
        batch = [lessons.example(step * settings.batch + i) for i in range(settings.batch)]
        output = trainer.forward_backward(batch, "cross_entropy")
        rate = settings.rate * min(1.0, (step + 1) / 50, 1.1 - step / settings.steps)
        trainer.optim_step(AdamSpec(learning_rate=rate, beta2=0.99, grad_clip_norm=30.0))
        if step % 50 == 49 or step == settings.steps - 1:
            loss = output.metrics["loss:sum"] / output.metrics["tokens:sum"]
            right = accuracy(base, trainer.snapshot(), lessons, tokenizer, 10**9)
            took = time.monotonic() - started
            print(f"step {step + 1}: loss {loss:.4f}, right {right:.1%}, {took:.0f} s", flush=True)
            write(settings.out, trainer, matrix)


def write(folder: Path, trainer: Trainer, matrix: np.ndarray) -> None:
    """Write the adapter and the projection in float16."""
    flat = trainer.snapshot().flat.astype(np.float16)
    Adapter(trainer.base, trainer.snapshot().layout, flat).save(folder)
    write_tensors(folder / "visual.safetensors", {"visual.projection": matrix})


if __name__ == "__main__":
    main()
