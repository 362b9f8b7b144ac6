"""Train by a whole method: on examples, on preferences, by reinforcement learning, from a teacher.

>>> from tinkex import recipes
>>> outcome = recipes.sft("orders.jsonl", base_model="Qwen/Qwen3-8B", epochs=3, service=service)
>>> outcome.sampler_path
'tinker://.../sampler_weights/final'

`sft`, `dpo`, `grpo` and `distill` are what `tinkex train` does, `evaluate` is `tinkex evaluate`. What
they are made of is public, too:

Reading: `sources` and `texts` find the rows of whatever it is, `shapes` and `messages` make examples
of them, `mistakes` places what is wrong. Rendering: `rendering` writes conversations by a format of
`formats`, `coverage` finds what that leaves out, `encoding` and `tokenizing` make tokens with weights
of it. Training: `recipe`, `rates`, `schedule` and `batches` say what each step does; `prepare` puts
these together. `loop` trains by a method (`sft`, `dpo`, `grpo`, `distill`), `run` does that from
beginning to end, `verdict` judges it, and `folder` is what it keeps. Everything before `loop` needs no
server.
"""

from tinkex.recipes.batches import Batches, shuffled, split
from tinkex.recipes.distill import Distill
from tinkex.recipes.dpo import Dpo
from tinkex.recipes.evaluation import ModelScores, Score, evaluate
from tinkex.recipes.examples import (
    Completion,
    Conversation,
    Document,
    Example,
    ExampleFile,
    Preference,
    Prompt,
)
from tinkex.recipes.folder import Plan, Source, checkpoint_path
from tinkex.recipes.formats import ChatFormat, PlainFormat, TemplateFormat, chat_format
from tinkex.recipes.grpo import Grpo
from tinkex.recipes.loop import Method, Objective, Sent, StepReport, train
from tinkex.recipes.methods import distill, dpo, grpo, sft
from tinkex.recipes.prepare import Pair, Prepared, TokenizedPrompt, prepare
from tinkex.recipes.rates import recommended_learning_rate
from tinkex.recipes.reading import read_examples
from tinkex.recipes.recipe import DistillRecipe, DpoRecipe, GrpoRecipe, Recipe, RolloutRecipe
from tinkex.recipes.responses import sample_file
from tinkex.recipes.rewards import Episode, Turn
from tinkex.recipes.rollouts import Rollouts, SamplingSettings
from tinkex.recipes.run import Listener, Outcome, Sampled, fine_tune
from tinkex.recipes.schedule import Schedule
from tinkex.recipes.sft import Sft
from tinkex.recipes.tokenizing import Tokenized, TokenizedExample, tokenize

__all__ = [
    "Batches",
    "ChatFormat",
    "Completion",
    "Conversation",
    "Distill",
    "DistillRecipe",
    "Document",
    "Dpo",
    "DpoRecipe",
    "Episode",
    "Example",
    "ExampleFile",
    "Grpo",
    "GrpoRecipe",
    "Listener",
    "Method",
    "ModelScores",
    "Objective",
    "Outcome",
    "Pair",
    "PlainFormat",
    "Plan",
    "Preference",
    "Prepared",
    "Prompt",
    "Recipe",
    "RolloutRecipe",
    "Rollouts",
    "Sampled",
    "SamplingSettings",
    "Schedule",
    "Score",
    "Sent",
    "Sft",
    "Source",
    "StepReport",
    "TemplateFormat",
    "Tokenized",
    "TokenizedExample",
    "TokenizedPrompt",
    "Turn",
    "chat_format",
    "checkpoint_path",
    "distill",
    "dpo",
    "evaluate",
    "fine_tune",
    "grpo",
    "prepare",
    "read_examples",
    "recommended_learning_rate",
    "sample_file",
    "sft",
    "shuffled",
    "split",
    "tokenize",
    "train",
]
