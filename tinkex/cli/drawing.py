"""Options and checks shared by the commands that sample from a model."""

from collections.abc import Callable, Mapping
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

    def add(command: F) -> F:
        # Each decorator puts its option before those that are there.
        for option in reversed(options):
            command = option(command)
        return command

    return add


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
