"""Measure tinkex's tokenizer beside the bare `tokenizers` package, in turn.

    python bench/tokenizer.py [--megabytes 10] [--repeat 5] [--markdown]

Text is encoded in batches and decoded again. The package is measured in two ways: with what its own page
calls first (`encode_batch`) and with its fastest (`encode_batch_fast`, no offsets). Below one, tinkex
needs less. Peak memory is that of a fresh process for each, since a peak cannot be taken back.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tokenizers

from tinkex import Tokenizer, get_tokenizer

MODEL = Path(__file__).resolve().parents[1] / "tinkex" / "local" / "models" / "tiny-chat"
WORDS = [
    "the",
    "of",
    "and",
    "to",
    "in",
    "a",
    "is",
    "that",
    "for",
    "it",
    "was",
    "on",
    "are",
    "as",
    "with",
    "his",
    "they",
    "at",
    "be",
    "this",
    "from",
    "I",
    "have",
    "or",
    "by",
    "one",
    "had",
    "not",
    "but",
    "what",
    "all",
    "were",
    "when",
    "we",
    "there",
    "can",
    "an",
    "your",
    "which",
    "their",
    "said",
    "if",
    "do",
    "will",
    "each",
    "about",
    "how",
    "up",
    "out",
    "them",
    "then",
    "she",
    "many",
    "some",
    "so",
    "these",
    "would",
    "other",
    "into",
    "has",
    "more",
    "her",
    "two",
    "like",
    "him",
    "see",
    "time",
    "could",
    "no",
    "make",
    "than",
    "first",
    "been",
    "its",
    "who",
    "now",
    "people",
    "my",
    "made",
    "over",
    "did",
    "down",
    "only",
    "way",
    "find",
    "use",
    "may",
    "water",
    "long",
    "little",
    "very",
    "after",
    "words",
    "called",
    "just",
    "where",
    "most",
    "know",
    "Grüße",
    "naïve",
    "你好世界",
    "1234",
    "3.14",
    "don't",
    "I'll",
    "(x)",
    "->",
    "{y};",
]
DOCUMENT = 4096


def documents(size: int) -> list[str]:
    """Return about `size` bytes of text in documents of some kilobytes, the same each time."""
    chance = random.Random(0)
    texts: list[str] = []
    left = size
    while left > 0:
        text = " ".join(chance.choices(WORDS, k=DOCUMENT // 5))
        texts.append(text)
        left -= len(text.encode())
    return texts


def works(ours: Tokenizer, bare: tokenizers.Tokenizer) -> dict[str, Callable[[Any], Any]]:
    """Return what is measured, by name; each gives lists of ids."""
    return {
        "tinkex": ours.encode_batch,
        "encode_batch": lambda texts: [e.ids for e in bare.encode_batch(texts)],
        "encode_batch_fast": lambda texts: [e.ids for e in bare.encode_batch_fast(texts)],
    }


def best(calls: dict[str, Callable[[Any], Any]], argument: Any, repeat: int) -> dict[str, float]:
    """Return the least seconds of each call, the calls in turn; noise only adds."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeat):
        for name, call in calls.items():
            start = time.perf_counter()
            call(argument)
            seconds[name].append(time.perf_counter() - start)
    return {name: min(readings) for name, readings in seconds.items()}


def peak(name: str, megabytes: int) -> float:
    """Return the growth of memory in MiB while a fresh process encodes."""
    done = subprocess.run(
        [sys.executable, __file__, "--peak", name, "--megabytes", str(megabytes)],
        check=True,
        capture_output=True,
        text=True,
    )
    return float(json.loads(done.stdout))


def own_peak(name: str, texts: list[str]) -> float:
    """Return how much higher the mark of resident memory is after the work, in MiB."""
    call = works(
        get_tokenizer(MODEL), tokenizers.Tokenizer.from_file(str(MODEL / "tokenizer.json"))
    )
    call[name](texts[:1])
    before = high_water_mark()
    call[name](texts)
    return high_water_mark() - before


def high_water_mark() -> float:
    """Return the most resident memory of this process so far, in MiB; needs Linux."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def main() -> int:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--megabytes", type=int, default=10)
    options.add_argument("--repeat", type=int, default=5)
    options.add_argument("--markdown", action="store_true")
    options.add_argument("--peak", help=argparse.SUPPRESS)
    given = options.parse_args()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    texts = documents(given.megabytes * 1_000_000)
    if given.peak:
        print(own_peak(given.peak, texts))
        return 0

    ours = get_tokenizer(MODEL)
    bare = tokenizers.Tokenizer.from_file(str(MODEL / "tokenizer.json"))
    calls = works(ours, bare)
    results = {name: call(texts) for name, call in calls.items()}
    ids = results["tinkex"]
    if any(result != ids for result in results.values()):
        print("the ids differ", file=sys.stderr)
        return 1
    del results
    encode = best(calls, texts, given.repeat)
    decoding = {
        "tinkex": ours.decode_batch,
        "bare": functools.partial(bare.decode_batch, skip_special_tokens=False),
    }
    decode = best(decoding, ids, given.repeat)
    on_linux = Path("/proc/self/status").exists()
    peaks = {name: peak(name, given.megabytes) for name in calls} if on_linux else {}

    rows = [
        ("encode", f"tokenizers, {peer}", encode["tinkex"], encode[peer], "s", bound)
        for peer, bound in (("encode_batch", 1.05), ("encode_batch_fast", 1.05))
    ]
    rows.append(("decode", "tokenizers", decode["tinkex"], decode["bare"], "s", None))
    rows += [
        ("memory of encoding", f"tokenizers, {peer}", peaks["tinkex"], peaks[peer], "MiB", None)
        for peer in ("encode_batch", "encode_batch_fast")
        if peaks
    ]
    report(rows, sum(map(len, ids)), given)
    return 0


def report(rows: list[Any], tokens: int, given: argparse.Namespace) -> None:
    """Print the ratios, as a table of the results page or as lines."""
    if given.markdown:
        print(
            f"{given.megabytes} MB of text in documents of 4 kB, {tokens:,} tokens, tokenizers "
            f"{tokenizers.__version__}; the least of {given.repeat} runs in turn.\n\n"
            "| work | beside | tinkex | peer | ratio | target | |\n|---|---|---:|---:|---:|---|---|"
        )
    for work, peer, ours, theirs, unit, bound in rows:
        ratio = ours / theirs
        verdict = "" if bound is None else ("met" if ratio <= bound else "**missed**")
        target = "" if bound is None else f"≤ {bound}"
        cells = (work, peer, f"{ours:.2f} {unit}", f"{theirs:.2f} {unit}", f"{ratio:.2f}")
        line = " | ".join([*cells, target, verdict])
        print(f"| {line} |" if given.markdown else line)


if __name__ == "__main__":
    sys.exit(main())
