# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""The content of a `tokenizer.json` file as the Hugging Face tokenizers library reads it, or
of the `tokenizer_config.json` beside it."""

from __future__ import annotations

from typing import Any, TypeAlias

TokenizerFile: TypeAlias = dict[str, Any]
