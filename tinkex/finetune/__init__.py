"""Fine-tune on the lines of a file; what `tinkex train` is made of.

>>> from tinkex import finetune
>>> file = finetune.read_examples("orders.jsonl")
>>> recipe = finetune.Recipe(base_model="Qwen/Qwen3-8B", epochs=3)
>>> plan = finetune.Plan(recipe=recipe, data=finetune.Source.of(file))
>>> prepared = finetune.prepare(recipe, file, tokenizer)
>>> finetune.fine_tune(service, plan, prepared, Path("runs/orders")).sampler_path
'tinker://.../sampler_weights/final'

`examples` reads and checks the file, `formats` and `tokenizing` make tokens with weights of it,
`batches` says which step trains on what, `recipe` and `schedule` how; `prepare` puts these
together. `loop` trains, `run` does that from beginning to end, and `folder` is what it keeps.
Everything before `loop` needs no server.
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
from tinkex.finetune.folder import Plan, Source
from tinkex.finetune.formats import ChatFormat, PlainFormat, TemplateFormat, chat_format
from tinkex.finetune.loop import Evaluation, StepReport, train
from tinkex.finetune.prepare import Prepared, prepare
from tinkex.finetune.recipe import Recipe
from tinkex.finetune.run import Listener, Outcome, Sampled, fine_tune
from tinkex.finetune.schedule import Schedule
from tinkex.finetune.tokenizing import Tokenized, TokenizedExample, tokenize

__all__ = [
    "Batches",
    "ChatFormat",
    "Completion",
    "Conversation",
    "Document",
    "Evaluation",
    "Example",
    "ExampleFile",
    "Listener",
    "Outcome",
    "PlainFormat",
    "Plan",
    "Prepared",
    "Recipe",
    "Sampled",
    "Schedule",
    "Source",
    "StepReport",
    "TemplateFormat",
    "Tokenized",
    "TokenizedExample",
    "chat_format",
    "fine_tune",
    "prepare",
    "read_examples",
    "shuffled",
    "split",
    "tokenize",
    "train",
]
