"""Fine-tune on the examples of a file or a data set; what `tinkex train` is made of.

>>> from tinkex import recipes
>>> file = recipes.read_examples("orders.jsonl")
>>> recipe = recipes.Recipe(base_model="Qwen/Qwen3-8B", epochs=3)
>>> plan = recipes.Plan(recipe=recipe, data=recipes.Source.of(file))
>>> prepared = recipes.prepare(recipe, file, tokenizer)
>>> recipes.fine_tune(service, plan, prepared, Path("runs/orders")).sampler_path
'tinker://.../sampler_weights/final'

Reading: `sources` and `texts` find the rows of whatever it is, `shapes` and `messages` make examples
of them, `mistakes` places what is wrong. Rendering: `rendering` writes conversations by a format of
`formats`, `coverage` finds what that leaves out, `encoding` and `tokenizing` make tokens with weights
of it. Training: `recipe`, `rates`, `schedule` and `batches` say what each step does; `prepare` puts
these together. `loop` trains, `run` does that from beginning to end, `verdict` judges it, and
`folder` is what it keeps. Everything before `loop` needs no server.
"""

from tinkex.recipes.batches import Batches, shuffled, split
from tinkex.recipes.examples import (
    Completion,
    Conversation,
    Document,
    Example,
    ExampleFile,
)
from tinkex.recipes.folder import Plan, Source
from tinkex.recipes.formats import ChatFormat, PlainFormat, TemplateFormat, chat_format
from tinkex.recipes.loop import Evaluation, StepReport, train
from tinkex.recipes.prepare import Prepared, prepare
from tinkex.recipes.rates import recommended_learning_rate
from tinkex.recipes.reading import read_examples
from tinkex.recipes.recipe import Recipe
from tinkex.recipes.run import Listener, Outcome, Sampled, fine_tune
from tinkex.recipes.schedule import Schedule
from tinkex.recipes.tokenizing import Tokenized, TokenizedExample, tokenize

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
    "recommended_learning_rate",
    "shuffled",
    "split",
    "tokenize",
    "train",
]
