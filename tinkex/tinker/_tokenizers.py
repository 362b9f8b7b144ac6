"""Tokenizers as programs for the official package expect them."""

from __future__ import annotations

from typing import Any

import tinkex


def tokenizer_of(client: tinkex.TrainingClient | tinkex.SamplingClient) -> Any:
    """Return the tokenizer of a client's model: one of transformers where that is installed.

    It holds the very tokenizer that the client found, so that no program behaves differently offline.
    """
    tokenizer = client.get_tokenizer()
    try:
        from transformers import PreTrainedTokenizerFast
    except ImportError:
        return tokenizer
    marks = {
        name: getattr(tokenizer, name)
        for name in ("bos_token", "eos_token", "pad_token", "unk_token")
        if getattr(tokenizer, name) is not None
    }
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer.backend,
        name_or_path=tokenizer.name,
        chat_template=tokenizer.chat_template,
        **marks,
    )
