"""The training text of tiny-chat: half prose, half conversations, all of it written by this program.

Every sentence comes from the grammars and word lists of this folder, which were written for this project; no text of
others is used. A document depends on nothing but (seed, split, index), so any part of the corpus can be rebuilt.

    python -m tools.pretrain.corpus --documents 10        # print some documents
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator

from . import chat
from .grammar import Document

SEED = 20260
CHAT_SHARE = 0.62
SPLITS = ("train", "valid")
PROSE = {
    "story": 30, "paragraph": 22, "letter": 7, "diary": 6, "recipe": 5, "weather_report": 3, "essay": 8, "howto": 5, "dictionary": 4,
    "facts": 3, "dialogue": 4, "news": 5, "poem": 3, "list_document": 2, "riddle": 2, "short_story": 6,
}  # fmt: skip


def document(split: str, index: int, seed: int = SEED, chat_share: float = CHAT_SHARE) -> str:
    """Return one document: prose, or a conversation in ChatML."""
    if split not in SPLITS:
        raise ValueError(f"split is {split!r}, expected one of {SPLITS}")
    rng = random.Random(f"{seed}/{split}/{index}")
    if rng.random() < chat_share:
        return chat.render(chat.conversation(rng))
    return Document(rng).write(rng.choices(list(PROSE), list(PROSE.values()))[0])


def documents(
    split: str, count: int, start: int = 0, seed: int = SEED, chat_share: float = CHAT_SHARE
) -> Iterator[str]:
    """Yield documents of one split in order."""
    for index in range(start, start + count):
        yield document(split, index, seed, chat_share)


def main() -> None:
    """Print documents."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--split", choices=SPLITS, default="train")
    parser.add_argument("--documents", type=int, default=10)
    arguments = parser.parse_args()
    for text in documents(arguments.split, arguments.documents):
        print(text, end="\n---\n")


if __name__ == "__main__":
    main()
