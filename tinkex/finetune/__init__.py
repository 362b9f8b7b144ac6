"""Fine-tune on the lines of a file; what `tinkex train` is made of.

>>> from tinkex import finetune
>>> file = finetune.read_examples("orders.jsonl")
>>> chat = finetune.chat_format(tokenizer)
>>> tokenized = finetune.tokenize(file.examples, tokenizer, chat)
>>> batches = finetune.Batches(tokenized.examples, batch_size=32, seed=0)

`examples` reads and checks the file, `formats` and `tokenizing` make tokens with weights of it,
`batches` says which step trains on what, `recipe` how, and `loop` trains.
"""

from tinkex.finetune.batches import Batches, shuffled, split
from tinkex.finetune.examples import (
    Completion,
    Conversation,
    Document,
    Example,
    ExampleFile,
    read_examples,
)
from tinkex.finetune.formats import ChatFormat, PlainFormat, TemplateFormat, chat_format
from tinkex.finetune.tokenizing import Tokenized, TokenizedExample, tokenize

__all__ = [
    "Batches",
    "ChatFormat",
    "Completion",
    "Conversation",
    "Document",
    "Example",
    "ExampleFile",
    "PlainFormat",
    "TemplateFormat",
    "Tokenized",
    "TokenizedExample",
    "chat_format",
    "read_examples",
    "shuffled",
    "split",
    "tokenize",
]
