"""Options and checks shared by the commands that sample from a model."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def drawing_options(*, temperature: float) -> Callable[[F], F]:
    """Return a decorator that adds --temperature, --top-k and --top-p to a command.

    Args:
        temperature: The default.
    """
    options = (
        click.option(
            "--temperature",
            type=click.FloatRange(min=0),
            metavar="T",
            default=temperature,
            show_default=True,
            help="Sampling temperature; 0 always takes the most likely token.",
        ),
        click.option(
            "--top-k",
            type=int,
            metavar="K",
            default=-1,
            show_default=True,
            help="Sample only from the K most likely tokens; -1 for all.",
        ),
        click.option(
            "--top-p",
            type=click.FloatRange(min=0, max=1, min_open=True),
            metavar="P",
            default=1.0,
            show_default=True,
            help="Sample only from the most likely tokens with this total probability.",
        ),
    )

    return lambda command: _with(command, options)


def response_options(*, temperature: float) -> Callable[[F], F]:
    """Return a decorator that adds the options of a command that samples a file's prompts.

    Args:
        temperature: The default.
    """
    options = (
        click.option(
            "--num-samples",
            type=click.IntRange(min=1),
            default=1,
            show_default=True,
            help="Responses to each prompt.",
        ),
        click.option(
            "--max-tokens",
            type=click.IntRange(min=1),
            default=256,
            show_default=True,
            help="Most tokens of a response.",
        ),
        click.option(
            "--temperature",
            type=click.FloatRange(min=0),
            default=temperature,
            show_default=True,
            help="0 takes the likeliest token each time.",
        ),
        click.option(
            "--seed", type=click.IntRange(min=0), default=0, help="Makes sampling repeatable."
        ),
    )
    return lambda command: _with(command, options)


def prompt_options(command: F) -> F:
    """Add the options that say how a file's prompts are read and written for the model."""
    options = (
        click.option("--split", metavar="NAME", help="Split of a data set.  [default: train]"),
        click.option(
            "--chat-format",
            "chat",
            type=click.Choice(["auto", "template", "plain"]),
            default="auto",
            show_default=True,
            help="How messages are written: by the model's chat template, or as 'User: ...'.",
        ),
        click.option(
            "--tokenizer",
            metavar="NAME",
            help="Name or path of the tokenizer.  [default: the model's own]",
        ),
    )
    return _with(command, options)


def _with(command: F, options: Sequence[Callable[[F], F]]) -> F:
    # Each decorator puts its option before those that are there.
    for option in reversed(options):
        command = option(command)
    return command


def name_source(options: dict[str, Any]) -> None:
    """Take a MODEL that stands without an option as the base model or the path that it is.

    Raises:
        UsageError: No model is named, or two.
    """
    model = options.pop("model", None)
    if model is not None:
        if options["base_model"] is not None or options["model_path"] is not None:
            raise click.UsageError("give one of MODEL, --base-model NAME and --model-path PATH")
        options["model_path" if model.startswith("tinker://") else "base_model"] = model
    check_source(options)


def check_source(options: Mapping[str, Any]) -> None:
    """Refuse a command line that names no model, or two.

    Raises:
        UsageError: Not just one of --base-model and --model-path is given.
    """
    if (options["base_model"] is None) == (options["model_path"] is None):
        raise click.UsageError("give one of --base-model NAME and --model-path PATH")
