"""Tokenizers of the kinds in use, small enough to be made by a test."""

from __future__ import annotations

import base64
import functools
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import (
    AddedToken,
    Regex,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

from tinkex.tokenizer import KIMI_PATTERN

CORPUS = [
    "The quick brown fox jumps over the lazy dog. It's the dog's day, isn't it? I'll say they've won.",
    "def total(numbers):\n    return sum(n for n in numbers if n > 1000)\n\n\nprint(total([12345]))\n",
    "你好，世界！今天天气很好，我们去公园吧。机器学习很有意思。",
    "Grüße aus Köln: die Straße ist naß, der Käse schmeckt. Ça va déjà mieux, à bientôt!",
    "Привет, как дела? Сегодня хорошая погода. Τι κάνεις; Καλά. שלום עולם مرحبا بالعالم สวัสดี",
    "🙂🙃👍👍🏽👨‍👩‍👧‍👦 🇩🇪🇫🇷 naïve café e\u0301 ﬁne  \t  tabs \u00a0 and \u3000 spaces",
    "12 345 6789 2,048 3.14159 １２３ x² ½ Ⅻ [1, 2, 3] {a: b} https://example.org/a?b=c#d",
] * 3


def byte_level() -> tokenizers.Tokenizer:
    """Make a BPE over bytes, as Llama 3 and Qwen have it, with a frame."""
    made = tokenizers.Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    _train(made, trainers.BpeTrainer, initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    made.add_special_tokens([AddedToken(t, normalized=False) for t in ("<|bos|>", "<|end|>")])
    bos = made.token_to_id("<|bos|>")
    made.post_processor = processors.TemplateProcessing(
        single="<|bos|> $A", special_tokens=[("<|bos|>", bos)]
    )
    return made


def byte_fallback() -> tokenizers.Tokenizer:
    """Make a BPE over characters that falls back to bytes, as Llama 2 and Gemma have it."""
    made = tokenizers.Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    made.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    made.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    special = ["<unk>", "<s>", "</s>"]
    fallback = [f"<0x{byte:02X}>" for byte in range(256)]
    _train(made, trainers.BpeTrainer, special_tokens=[*special, *fallback], limit_alphabet=120)
    # The trainer takes all of them for special tokens, which those for bytes are not.
    state = json.loads(made.to_str())
    state["added_tokens"] = [
        token for token in state["added_tokens"] if token["content"] in special
    ]
    return tokenizers.Tokenizer.from_str(json.dumps(state))


def unigram() -> tokenizers.Tokenizer:
    """Make a Unigram model, as T5 and Gemma's forerunners have it."""
    made = tokenizers.Tokenizer(models.Unigram())
    made.normalizer = normalizers.NFKC()
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.decoder = decoders.Metaspace()
    _train(
        made,
        trainers.UnigramTrainer,
        vocab_size=500,
        special_tokens=["<pad>", "</s>", "<unk>"],
        unk_token="<unk>",
    )
    made.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", made.token_to_id("</s>"))]
    )
    return made


MAKERS = {"byte level": byte_level, "byte fallback": byte_fallback, "unigram": unigram}


@functools.cache
def made(kind: str) -> tokenizers.Tokenizer:
    """Return one of the tokenizers, made once."""
    return MAKERS[kind]()


def _train(made: tokenizers.Tokenizer, trainer: Any, vocab_size: int = 900, **options: Any) -> None:
    made.train_from_iterator(CORPUS, trainer(vocab_size=vocab_size, show_progress=False, **options))


@functools.cache
def trained_ranks(size: int = 900) -> dict[bytes, int]:
    """Return the ranks of a BPE trained as tiktoken's are: bytes first, then merges in order."""
    made = tokenizers.Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(KIMI_PATTERN), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    _train(
        made,
        trainers.BpeTrainer,
        vocab_size=size,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    byte_of = {character: byte for byte, character in _gpt2_characters().items()}
    return {
        bytes(byte_of[character] for character in token): id_
        for token, id_ in sorted(made.get_vocab().items(), key=lambda item: item[1])
    }


def _gpt2_characters() -> dict[int, str]:
    """Return GPT-2's character for each byte, found by asking the package."""
    pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    found: dict[int, str] = {}
    for number in range(0x800):
        character = chr(number)
        [(written, _)] = pre_tokenizer.pre_tokenize_str(character)
        found.update(zip(character.encode(), written, strict=True))
    # Bytes that begin longer characters, and those that no UTF-8 has.
    for number in (*range(0x800, 0xD800, 0x40), *range(0x10000, 0x110000, 0x1000)):
        character = chr(number)
        [(written, _)] = pre_tokenizer.pre_tokenize_str(character)
        found.update(zip(character.encode(), written, strict=True))
    missing = sorted(set(range(256)) - set(found))
    rest = sorted(set(pre_tokenizers.ByteLevel.alphabet()) - set(found.values()))
    return found | dict(zip(missing, rest, strict=True))


def write_tiktoken(folder: Path, ranks: dict[bytes, int], config: dict[str, Any]) -> Path:
    """Write the two files of a Kimi model, and code that must never run."""
    folder.mkdir(parents=True, exist_ok=True)
    lines: Iterable[bytes] = (
        base64.b64encode(token) + f" {rank}\n".encode() for token, rank in ranks.items()
    )
    folder.joinpath("tiktoken.model").write_bytes(b"".join(lines))
    folder.joinpath("tokenizer_config.json").write_text(json.dumps(config))
    folder.joinpath("tokenization_kimi.py").write_text(
        "import pathlib; pathlib.Path(__file__).with_name('ran').touch(); raise SystemExit(9)\n"
    )
    return folder


def kimi_config(first: int) -> dict[str, Any]:
    """Return a configuration in the form of Kimi's, for a vocabulary of `first` ranks."""
    named = {0: ("[BOS]", True), 1: ("[EOS]", True), 2: ("<|im_end|>", True)}
    named |= {3: ("<think>", False), 4: ("</think>", False), 255: ("[PAD]", True)}
    return {
        "added_tokens_decoder": {
            str(first + offset): {"content": content, "special": special}
            for offset, (content, special) in named.items()
        },
        "bos_token": "[BOS]",
        "eos_token": "[EOS]",
        "pad_token": "[PAD]",
        "tokenizer_class": "TikTokenTokenizer",
        "auto_map": {"AutoTokenizer": ["tokenization_kimi.TikTokenTokenizer", None]},
        "chat_template": "{% for m in messages %}<|im_{{ m.role }}|>{{ m.content }}<|im_end|>{% endfor %}",
    }
