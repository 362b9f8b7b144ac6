# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""Which file. In tokenizer_config.json the chat template stands as `chat_template` also where
the model's folder has it in a file of its own."""

from typing import Literal, TypeAlias

# A reader lets values through that a newer server adds.
GetTokenizerFile: TypeAlias = Literal["tokenizer.json", "tokenizer_config.json"]
