"""`tinkex train`: fine-tune on the examples of a file or a data set."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from tinkex.cli.configfile import read_config
from tinkex.cli.invocation import Invocation, pass_invocation
from tinkex.cli.options import Command, CommonOption, SectionOption
from tinkex.cli.runfolder import RunFolder, RunOrPath
from tinkex.cli.variables import template_option

_DEFAULT = "  [default: {}]"
# What may stand beside --resume: all else was fixed when the run began.
_WITH_RESUME = {"resume", "file", "plot", "log_to"}
_COLUMNS = {
    "prompt": "what the model reads; goes with --completion-column",
    "completion": "what it is to write after it",
    "text": "texts that are learned as a whole",
    "messages": "conversations",
    "user": "what the user says; goes with --assistant-column",
    "assistant": "what the assistant answers",
    "system": "the system prompt",
}


class DataSource(click.Path):
    """A file, a folder, the name of a data set on the hub, or "-" for standard input."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the value if there is such a file, or it can be a data set's name."""
        if value == "-" or Path(value).exists():
            return value
        from tinkex.recipes.sources import is_hub_name

        if not is_hub_name(value):
            self.fail(f"File {value!r} does not exist.", param, ctx)
        return value


def column_options(command: Any) -> Any:
    """Add the options that say which column of a table is what."""
    for role, what in reversed(_COLUMNS.items()):
        command = _in(
            _DATA,
            f"--{role}-column",
            f"{role}_column",
            metavar="COLUMN",
            help=f"Column with {what}.",
        )(command)
    return command


def columns_of(options: dict[str, Any]) -> dict[str, str] | None:
    """Take the columns out of options, and return them by role; None if none were named."""
    named = {role: options.pop(f"{role}_column", None) for role in _COLUMNS}
    return {role: name for role, name in named.items() if name is not None} or None


def separated(
    _ctx: click.Context, _option: click.Parameter, values: tuple[str, ...]
) -> tuple[str, ...]:
    """Return names that were given one by one, or several with commas between them."""
    return tuple(name.strip() for value in values for name in value.split(",") if name.strip())


METHODS = ("sft", "dpo", "grpo", "distill")
_DATA, _MODEL, _STEPS, _SAMPLING = "Data", "Model", "Optimization", "Sampling (grpo, distill)"
_BY_METHOD, _WATCH, _RUN = "Method", "Validation and logging", "Run"


# Options that only some methods have.
_ONLY = {
    **dict.fromkeys(["beta"], ("dpo",)),
    **dict.fromkeys(["rewards", "kl", "respond", "max_turns"], ("grpo",)),
    **dict.fromkeys(["teacher", "on_policy", "top_k", "teacher_share"], ("distill",)),
    **dict.fromkeys(
        [
            "loss_fn",
            "loss_config",
            "group_size",
            "max_tokens",
            "temperature",
            "off_policy_steps",
            "sample_price",
        ],
        ("grpo", "distill"),
    ),
}


def _in(section: str, *names: str, **settings: Any) -> Callable[[Any], Any]:
    return click.option(*names, cls=SectionOption, section=section, **settings)


_EXAMPLE = """\b
Example:
  export TINKER_BASE_URL=local
  tinkex train orders.jsonl --base-model tinkex/tiny-chat --dry-run
  tinkex train orders.jsonl --base-model tinkex/tiny-chat --epochs 4
  tinkex train faq.csv --base-model Qwen/Qwen3-8B \\
    --user-column question --assistant-column answer
  tinkex train --method dpo preferences.jsonl --base-model Qwen/Qwen3-8B
  tinkex train --method grpo questions.jsonl --reward exact \\
    --base-model Qwen/Qwen3-8B
  tinkex train --config runs/orders/finetune.json --learning-rate 5e-3
  tinkex train --resume runs/orders
"""


@click.command("train", cls=Command, epilog=_EXAMPLE)
@click.argument(
    "file",
    required=False,
    type=DataSource(),
    metavar="[FILE]",
)
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    is_eager=True,
    expose_value=False,
    callback=read_config,
    help="Options from a file: TOML, YAML, JSON, or the finetune.json of a run. The command line "
    "takes precedence.",
)
@_in(
    _MODEL,
    "--method",
    type=click.Choice(METHODS),
    default="sft",
    show_default=True,
    help="Imitate responses (sft), learn preferences (dpo), raise a reward (grpo), or learn from "
    "another model (distill).",
)
@_in(_MODEL, "--base-model", metavar="NAME", help="Model to train; see `tinkex model list`.")
@_in(
    _MODEL,
    "--from",
    "from_checkpoint",
    type=RunOrPath("training"),
    metavar="PATH",
    help="Checkpoint to start from, with a fresh optimizer: tinker://<run>/weights/<name>, or a "
    "run's folder.",
)
@_in(_MODEL, "--rank", type=int, help="Rank of the LoRA adapter." + _DEFAULT.format(32))
@_in(
    _MODEL,
    "--train-mlp/--no-train-mlp",
    default=None,
    help="Adapt the MLP layers." + _DEFAULT.format("--train-mlp"),
)
@_in(
    _MODEL,
    "--train-attn/--no-train-attn",
    default=None,
    help="Adapt the attention layers." + _DEFAULT.format("--train-attn"),
)
@_in(
    _MODEL,
    "--train-unembed/--no-train-unembed",
    default=None,
    help="Adapt the unembedding." + _DEFAULT.format("--train-unembed"),
)
@_in(
    _MODEL,
    "--seed",
    type=int,
    help="Seed of the adapter's initial values, the order of the examples, the validation split and "
    "sampling." + _DEFAULT.format(0),
)
@_in(
    _STEPS,
    "--epochs",
    type=float,
    help="Number of passes over the examples; may be a fraction." + _DEFAULT.format(1),
)
@_in(_STEPS, "--steps", type=int, help="Number of optimizer steps, in place of --epochs.")
@_in(
    _STEPS,
    "--batch-size",
    type=int,
    help="Examples (or prompts) per optimizer step.  [default: 32; 16 prompts]",
)
@_in(
    _STEPS,
    "--gradient-accumulation",
    type=int,
    metavar="N",
    help="Send each batch in N parts whose gradients add up." + _DEFAULT.format(1),
)
@_in(
    _STEPS,
    "--learning-rate",
    type=float,
    metavar="RATE",
    help="Peak learning rate, reached after warm-up.  [default: depends on the model and the method]",
)
@_in(
    _STEPS,
    "--schedule",
    "schedule_kind",
    type=click.Choice(["linear", "cosine", "constant"]),
    help="Decay of the learning rate after warm-up.  [default: linear; constant for grpo]",
)
@_in(
    _STEPS,
    "--warmup-steps",
    type=int,
    help="Number of steps in which the learning rate rises to its peak." + _DEFAULT.format(0),
)
@_in(
    _STEPS,
    "--weight-decay",
    type=float,
    help="Decoupled weight decay of AdamW." + _DEFAULT.format(0),
)
@_in(
    _STEPS,
    "--grad-clip-norm",
    type=float,
    metavar="NORM",
    help="Maximum norm of the gradient, which is a sum over tokens; 0 disables clipping."
    + _DEFAULT.format(0),
)
@_in(
    _BY_METHOD,
    "--loss-on",
    type=click.Choice(["answers", "all"]),
    help="sft: tokens to learn: completions and assistant turns, or all."
    + _DEFAULT.format("answers"),
)
@_in(
    _BY_METHOD,
    "--beta",
    type=float,
    help="dpo: how strongly the weights are held to the ones at the start." + _DEFAULT.format(0.1),
)
@_in(
    _BY_METHOD,
    "--reward",
    "rewards",
    multiple=True,
    metavar="NAME[=WEIGHT]",
    help="grpo: exact, contains, regex or json, which compare with the reference answer, or "
    "module:function. May be repeated.",
)
@_in(
    _BY_METHOD,
    "--kl",
    type=float,
    help="grpo: penalty for each nat of divergence from the start." + _DEFAULT.format(0),
)
@_in(
    _BY_METHOD,
    "--respond",
    metavar="NAME",
    help="grpo: module:function that continues an episode of several turns.",
)
@_in(
    _BY_METHOD,
    "--max-turns",
    type=int,
    help="grpo: maximum number of responses in an episode." + _DEFAULT.format(1),
)
@_in(
    _BY_METHOD,
    "--teacher",
    type=RunOrPath(others=True),
    metavar="MODEL",
    help="distill: base model, path of weights or run's folder to learn from.",
)
@_in(
    _BY_METHOD,
    "--on-policy/--teacher-samples",
    "on_policy",
    default=None,
    help="distill: correct the student's samples, or imitate the teacher's."
    + _DEFAULT.format("--on-policy"),
)
@_in(
    _BY_METHOD,
    "--top-k",
    type=int,
    metavar="K",
    help="distill: learn the teacher's K likeliest tokens at each place." + _DEFAULT.format(16),
)
@_in(
    _BY_METHOD,
    "--teacher-share",
    type=float,
    metavar="SHARE",
    help="distill: share of the steps, the first ones, for which the teacher samples."
    + _DEFAULT.format(0.5),
)
@_in(
    _SAMPLING,
    "--loss",
    "loss_fn",
    type=click.Choice(["importance_sampling", "ppo", "cispo", "stable_reinforce", "cross_entropy"]),
    help="Policy-gradient loss; for distill also cross_entropy, which learns the teacher's distribution "
    "at each place of the student's samples.  [default: importance_sampling; cross_entropy for distill]",
)
@_in(
    _SAMPLING,
    "--loss-config",
    multiple=True,
    metavar="NAME=NUMBER",
    help="A number for the loss, such as clip_low_threshold=0.8. May be repeated.",
)
@_in(
    _SAMPLING,
    "--group-size",
    type=int,
    metavar="N",
    help="Samples of each prompt.  [default: 8; 4 for distill]",
)
@_in(
    _SAMPLING,
    "--max-tokens",
    type=int,
    metavar="N",
    help="Maximum number of tokens in a sample." + _DEFAULT.format(256),
)
@_in(
    _SAMPLING,
    "--temperature",
    type=float,
    metavar="T",
    help="Temperature of sampling." + _DEFAULT.format(1),
)
@_in(
    _SAMPLING,
    "--off-policy-steps",
    type=int,
    metavar="N",
    help="1 samples the next batch while the last one trains; 0 samples with the newest weights."
    + _DEFAULT.format(1),
)
@_in(
    _DATA,
    "--chat-format",
    type=click.Choice(["auto", "template", "plain"]),
    help="Format of messages: the model's chat template, or 'User: ...'." + _DEFAULT.format("auto"),
)
@_in(
    _DATA,
    "--max-length",
    type=int,
    metavar="TOKENS",
    help="Maximum number of tokens in an example.  [default: the model's context]",
)
@_in(
    _DATA,
    "--too-long",
    type=click.Choice(["error", "skip", "truncate"]),
    help="What to do with a longer example." + _DEFAULT.format("error"),
)
@_in(
    _WATCH,
    "--held-out",
    type=float,
    metavar="SHARE",
    help="Share of the examples held out for validation; 0 trains on all.  [default: 0.1 of 20 or more, 200 "
    "examples at most]",
)
@_in(
    _WATCH,
    "--held-out-file",
    type=DataSource(),
    metavar="FILE",
    help="Examples for validation, in place of --held-out.",
)
@_in(
    _WATCH,
    "--measure-every",
    type=click.IntRange(min=1),
    metavar="STEPS",
    help="Validate every N steps.  [default: once per epoch]",
)
@_in(
    _WATCH,
    "--keep-best/--no-keep-best",
    default=None,
    help="Keep the weights with the best validation." + _DEFAULT.format("--keep-best"),
)
@_in(
    _WATCH,
    "--patience",
    type=click.IntRange(min=1),
    metavar="N",
    help="Stop after N validations without improvement.  [default: never]",
)
@_in(
    _WATCH,
    "--sample",
    "samples",
    multiple=True,
    metavar="PROMPT",
    help="Sample this prompt before training, at each checkpoint, and after. May be repeated.",
)
@_in(
    _WATCH,
    "--log-to",
    multiple=True,
    type=click.Choice(["wandb", "tensorboard", "trackio"]),
    help="Also log metrics there. May be repeated.",
)
@_in(_WATCH, "--plot/--no-plot", default=None, help="Plot the losses.  [default: --plot]")
@_in(
    _RUN,
    "--resume",
    type=RunFolder(),
    metavar="FOLDER",
    help="Resume the run in this folder, or the latest one, with its original settings.",
)
@_in(
    _RUN,
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Folder for the run's settings, metrics and plot.  [default: runs/<FILE>]",
)
@_in(
    _RUN,
    "--name",
    metavar="NAME",
    help="Name of the final checkpoints." + _DEFAULT.format("final"),
)
@_in(
    _RUN,
    "--checkpoint-every",
    type=click.IntRange(min=1),
    metavar="STEPS",
    help="Save a checkpoint every N steps." + _DEFAULT.format(50),
)
@_in(
    _RUN,
    "--dry-run",
    is_flag=True,
    help="Check every example and estimate tokens, time and cost; none of the data is sent.",
)
@_in(
    _RUN,
    "--price",
    type=click.FloatRange(min=0),
    metavar="AMOUNT",
    help="Price of a million tokens trained on, for the estimate of --dry-run.",
)
@_in(
    _RUN,
    "--sample-price",
    type=click.FloatRange(min=0),
    metavar="AMOUNT",
    help="Price of a million sampled tokens, likewise.",
)
@_in(
    _DATA,
    "--ignore-fields",
    multiple=True,
    callback=separated,
    metavar="NAME",
    help="Message field that the chat template may drop. May be repeated.",
)
@column_options
@_in(
    _DATA,
    "--split",
    metavar="NAME",
    help="Split of a Hugging Face data set.  [default: train]",
)
@template_option
@_in(
    _DATA,
    "--tokenizer",
    metavar="NAME",
    help="Name or path of the tokenizer.  [default: the model's own]",
)
@pass_invocation
@click.pass_context
def command(ctx: click.Context, invocation: Invocation, /, **options: Any) -> Any:
    """Fine-tune a model on the examples of a file or a data set.

    FILE is JSON lines, a JSON array, CSV, TSV, Parquet or lines of text, each also as .gz or .zst; a
    folder that Hugging Face's datasets saved; the name of a data set on its hub; or - for standard
    input. For sft an example is {"messages": [{"role": "user", "content": "..."}, {"role":
    "assistant", "content": "..."}]}, or {"prompt": "...", "completion": "..."}, or {"text": "..."};
    for dpo {"prompt": ..., "chosen": ..., "rejected": ...}; for grpo and distill a prompt, perhaps
    with a reference answer. Other usual shapes are known, and the options --...-column name the
    columns of any. Ctrl-C stops after the steps under way; --resume continues there.
    """
    _check(ctx, options)
    from tinkex.cli.training import begin, resume

    given = {name: value for name, value in options.items() if value is not None and value != ()}
    if options["resume"] is not None:
        return resume(
            invocation,
            options["resume"],
            options["file"],
            plot=options["plot"] is not False,
            log_to=options["log_to"],
        )
    return begin(invocation, given.pop("file"), columns=columns_of(given), **given)


def _check(ctx: click.Context, options: dict[str, Any]) -> None:
    """Refuse what contradicts itself, before anything is loaded or sent."""
    if options["resume"] is not None:
        for option in ctx.command.params:
            name = option.name or ""
            given = ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
            if given and name not in _WITH_RESUME and not isinstance(option, CommonOption):
                raise click.UsageError(
                    f"{option.opts[0]} does not go with --resume: a run continues as it was begun"
                )
        return
    if options["file"] is None:
        raise click.UsageError("give a FILE to train on, or --resume FOLDER")
    if (options["base_model"] is None) == (options["from_checkpoint"] is None):
        raise click.UsageError("give one of --base-model NAME and --from PATH")
    if options["steps"] is not None and options["epochs"] is not None:
        raise click.UsageError("give one of --steps and --epochs")
    method = options["method"]
    if method == "grpo" and not options["rewards"]:
        raise click.UsageError("--method grpo needs a --reward, such as exact or module:function")
    if method == "distill" and options["teacher"] is None:
        raise click.UsageError("--method distill needs a --teacher MODEL")
    for option in ctx.command.params:
        methods = _ONLY.get(option.name or "", METHODS)
        if method not in methods and options.get(option.name or "") not in (None, ()):
            raise click.UsageError(
                f"{option.opts[0]} goes with --method {' or '.join(methods)}, not with {method}"
            )
