"""Pretrain tiny-chat on the CPU (torch; development only).

    python -m tools.pretrain.train MODEL_FOLDER --run RUN_FOLDER --steps 2400

MODEL_FOLDER holds the tokenizer; RUN_FOLDER receives checkpoints and the log (one JSON object per line).
"""

from __future__ import annotations

import argparse
import json
import time
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch.nn import functional as F  # noqa: N812

from . import corpus
from .chat import ENDOFTEXT, IM_END, IM_START
from .model import Shape, Transformer
from .muon import Muon

TOKENS_PER_STEP = 4096
LONG_SHARE = 0.12  # the share of the steps, at the end, that sees the whole context
SHORT_LENGTH, LONG_LENGTH = 256, 1024
WARM_UP, DECAY = 0.02, 0.55
MUON_LR, ADAM_LR = 0.02, 4e-3
PROMPT_WEIGHT = (
    0.3  # random strings in questions cannot be predicted: most of the gradient goes to the answers
)
ENCODE_AT_ONCE = 5_000


def token_weights(ids: np.ndarray, tokenizer: Tokenizer, reply_weight: float) -> np.ndarray:
    """Return the weight of every token of one document: `reply_weight` in replies, 1 in prose, less in prompts."""
    start, end = tokenizer.token_to_id(IM_START), tokenizer.token_to_id(IM_END)
    weights = np.ones(len(ids), np.float32)
    if ids[0] != start:
        return weights
    weights[:] = PROMPT_WEIGHT
    assistant = tokenizer.encode("assistant").ids[0]
    for opened in np.flatnonzero(ids == start):
        if ids[opened + 1] == assistant:
            closed = opened + int(np.argmax(ids[opened:] == end))
            weights[opened + 3 : closed + 1] = reply_weight
    return weights


@dataclass(frozen=True)
class Mix:
    """What one run sees: where in the corpus it begins, and how the kinds of text are weighed."""

    first_document: int = 0
    chat_share: float = corpus.CHAT_SHARE
    reply_weight: float = 1.0
    copy_rows: int = 0


def encoded(
    split: str, tokens: int, tokenizer: Tokenizer, mix: Mix
) -> tuple[np.ndarray, np.ndarray]:
    """Return at least `tokens` token ids of a split and their weights."""
    separator = tokenizer.token_to_id(ENDOFTEXT)
    ids: list[np.ndarray] = []
    weights: list[np.ndarray] = []
    total, start = 0, mix.first_document
    while total < tokens:
        texts = corpus.documents(split, ENCODE_AT_ONCE, start, chat_share=mix.chat_share)
        start += ENCODE_AT_ONCE
        for encoding in tokenizer.encode_batch(list(texts)):
            document = np.array([*encoding.ids, separator], np.int32)
            ids.append(document)
            weights.append(token_weights(document, tokenizer, mix.reply_weight))
            total += len(document)
    return np.concatenate(ids), np.concatenate(weights)


def learning_rate(progress: float) -> float:
    """Return the share of the peak rate: warm up, hold, then fall linearly to nothing."""
    return max(0.0, min(1.0, 0.02 + progress / WARM_UP, (1 - progress) / DECAY))


def loss_sum(model: torch.nn.Module, ids: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return the weighted sum of the losses of [batch, length + 1] tokens."""
    logits = model(ids[:, :-1])
    losses = F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
    return (losses * weights[:, 1:].flatten()).sum()


def sequence_loss(model: torch.nn.Module, ids: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return the weighted mean loss of [batch, length + 1] tokens."""
    return loss_sum(model, ids, weights) / weights[:, 1:].sum()


class Workers:
    """Threads that share one set of weights and split every batch.

    One thread per core over whole rows needs one meeting point per step; threads inside every operation need
    thousands, which cost more than they bring on a machine that others use too.
    """

    def __init__(self, model: Transformer, count: int) -> None:
        self.model, self.count = model, count
        self.executor = ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(1,))
        self.replicas = [Transformer(model.shape) for _ in range(count)]
        for replica in self.replicas:
            for own, shared in zip(replica.parameters(), model.parameters(), strict=True):
                own.data = shared.data

    def backward(self, ids: torch.Tensor, weights: torch.Tensor) -> float:
        """Compute the gradients of the mean loss of a batch and return that loss."""
        total = weights[:, 1:].sum()

        def part(index: int) -> float:
            loss = (
                loss_sum(
                    self.replicas[index], ids[index :: self.count], weights[index :: self.count]
                )
                / total
            )
            loss.backward()
            return loss.item()

        mean = sum(self.executor.map(part, range(self.count)))
        for shared, *parts in zip(
            self.model.parameters(), *(r.parameters() for r in self.replicas), strict=True
        ):
            shared.grad = parts[0].grad
            for other in parts[1:]:
                shared.grad.add_(other.grad)
            for each in parts:
                each.grad = None
        return mean


class Stream:
    """Cuts the token stream into batches, in order, once; some rows may be copying exercises instead."""

    def __init__(self, ids: np.ndarray, weights: np.ndarray, copy_rows: int = 0) -> None:
        self.ids, self.weights, self.position = ids, weights, 0
        self.copy_rows = copy_rows
        self.rng = np.random.default_rng(corpus.SEED)

    def batch(self, length: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the next windows of length + 1 tokens (neighbours share one token)."""
        copies = self.copy_rows * SHORT_LENGTH // length
        rows = TOKENS_PER_STEP // length - copies
        index = self.position + np.arange(rows)[:, None] * length + np.arange(length + 1)[None]
        self.position += rows * length
        pieces = [(self.ids[row], self.weights[row]) for row in index]
        pieces += [self._copying(length + 1) for _ in range(copies)]
        ids, weights = (np.stack(part) for part in zip(*pieces, strict=True))
        return torch.from_numpy(ids).long(), torch.from_numpy(weights)

    def _copying(self, length: int) -> tuple[np.ndarray, np.ndarray]:
        """Return strings of tokens in random order, each said twice; only the repetition counts.

        Copying is what answers from the context are made of, and ordinary text teaches it late.
        """
        ids, weights = np.zeros(0, np.int32), np.zeros(0, np.float32)
        while len(ids) < length:
            size = int(self.rng.integers(3, 40))
            said = self.ids[self.rng.integers(0, len(self.ids), size)]
            ids = np.concatenate([ids, said, said])
            counted = np.r_[np.zeros(size + 1), np.ones(size - 1)].astype(np.float32)
            weights = np.concatenate([weights, counted])
        return ids[:length], weights[:length]


@torch.no_grad()
def validation_loss(
    model: torch.nn.Module, ids: np.ndarray, weights: np.ndarray, batches: int = 8
) -> dict[str, float]:
    """Return the mean loss of held-out text: of all tokens, and of those of full weight."""
    stream = Stream(ids, weights)
    every, replies = [], []
    for _ in range(batches):
        tokens, weight = stream.batch(SHORT_LENGTH)
        every.append(sequence_loss(model, tokens, torch.ones_like(weight)).item())
        replies.append(sequence_loss(model, tokens, (weight == 1).float()).item())
    copying = Stream(ids, weights, copy_rows=TOKENS_PER_STEP // SHORT_LENGTH)
    return {
        "valid": float(np.mean(every)),
        "valid_answers_and_prose": float(np.mean(replies)),
        "valid_copying": sequence_loss(model, *copying.batch(SHORT_LENGTH)).item(),
    }


def optimizers(model: Transformer, executor: Executor) -> list[torch.optim.Optimizer]:
    """Return Muon for the matrices of the layers and AdamW for the rest."""
    matrices = [p for p in model.layers.parameters() if p.ndim == 2]
    chosen = {id(p) for p in matrices}
    others = [p for p in model.parameters() if id(p) not in chosen]
    return [
        Muon(matrices, executor, lr=MUON_LR),
        torch.optim.AdamW(others, lr=ADAM_LR, betas=(0.9, 0.95), weight_decay=0.0, fused=True),
    ]


def train(arguments: argparse.Namespace) -> None:
    """Run the training."""
    torch.manual_seed(corpus.SEED)
    torch.set_num_threads(1)
    tokenizer = Tokenizer.from_file(str(arguments.model_folder / "tokenizer.json"))
    mix = Mix(
        arguments.first_document, arguments.chat_share, arguments.reply_weight, arguments.copy_rows
    )
    train_data = encoded("train", arguments.steps * TOKENS_PER_STEP + LONG_LENGTH, tokenizer, mix)
    valid_data = encoded("valid", 8 * TOKENS_PER_STEP + 1, tokenizer, Mix())
    stream = Stream(*train_data, copy_rows=mix.copy_rows)
    model = Transformer(Shape(vocab_size=tokenizer.get_vocab_size()))
    if arguments.start is not None:
        model.load_state_dict(torch.load(arguments.start, weights_only=True))
    workers = Workers(model, arguments.workers)
    steppers = optimizers(model, workers.executor)
    peaks = [stepper.param_groups[0]["lr"] for stepper in steppers]
    arguments.run.mkdir(parents=True, exist_ok=True)
    began, sizes = time.perf_counter(), []
    with (arguments.run / "log.jsonl").open("w", encoding="utf-8") as log:
        for step in range(arguments.steps):
            spent = (time.perf_counter() - began) / (60 * arguments.minutes)
            progress = max(step / arguments.steps, spent)
            for stepper, peak in zip(steppers, peaks, strict=True):
                stepper.param_groups[0]["lr"] = peak * learning_rate(progress)
            length = LONG_LENGTH if progress >= 1 - LONG_SHARE else SHORT_LENGTH
            sizes.append(workers.backward(*stream.batch(length)))
            for stepper in steppers:
                stepper.step()
                stepper.zero_grad()
            last = step + 1 == arguments.steps or spent >= 1
            if (step + 1) % arguments.every == 0 or last:
                record: dict[str, float] = {
                    "step": step + 1,
                    "tokens": stream.position,
                    "seconds": round(time.perf_counter() - began, 1),
                    "train": float(np.mean(sizes[-arguments.every :])),
                }
                if (step + 1) % (4 * arguments.every) == 0 or last:
                    record |= validation_loss(model, *valid_data)
                    torch.save(model.state_dict(), arguments.run / "checkpoint.pt")
                line = json.dumps(record)
                print(line, flush=True)
                log.write(line + "\n")
                log.flush()
            if last:
                break


def main() -> None:
    """Read the arguments and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model_folder", type=Path)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--start", type=Path, help="a checkpoint to resume from")
    parser.add_argument(
        "--first-document", type=int, default=0, help="where in the corpus to begin"
    )
    parser.add_argument("--chat-share", type=float, default=corpus.CHAT_SHARE)
    parser.add_argument(
        "--copy-rows", type=int, default=0, help="rows of a batch that only exercise copying"
    )
    parser.add_argument(
        "--reply-weight", type=float, default=1.0, help="the weight of a token of a reply"
    )
    parser.add_argument("--steps", type=int, default=2400)
    parser.add_argument(
        "--minutes", type=float, default=60, help="the schedule ends then at the latest"
    )
    parser.add_argument("--every", type=int, default=25)
    parser.add_argument("--workers", type=int, default=2)
    train(parser.parse_args())


if __name__ == "__main__":
    main()
