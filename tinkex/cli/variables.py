"""The option that sets what a chat template knows besides the messages."""

from collections.abc import Sequence
from typing import Any

import click


def template_variables(
    ctx: click.Context, option: click.Parameter, values: Sequence[str]
) -> dict[str, Any]:
    """Return variables by name; values are JSON or, if they are not, text.

    >>> template_variables(ctx, option, ["enable_thinking=false", "today=Monday"])
    {'enable_thinking': False, 'today': 'Monday'}
    """
    import json

    found: dict[str, Any] = {}
    for text in values:
        name, separator, value = text.partition("=")
        if not separator or not name.isidentifier():
            raise click.BadParameter(f"{text!r} is not NAME=VALUE", ctx, option)
        try:
            found[name] = json.loads(value)
        except (ValueError, RecursionError):
            found[name] = value
    return found


def template_option(command: Any) -> Any:
    """Add the option ``--template-variable`` to a command."""
    return click.option(
        "--template-variable",
        "template_variables",
        multiple=True,
        metavar="NAME=VALUE",
        callback=template_variables,
        help="Variable for the chat template, such as enable_thinking=false. May be repeated.",
    )(command)
