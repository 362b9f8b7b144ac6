"""`tinkex model list`."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from tinkex.cli.invocation import Invocation, pass_invocation
from tinkex.cli.options import Group
from tinkex.cli.paging import heading
from tinkex.cli.tables import table
from tinkex.cli.text import yes_no

if TYPE_CHECKING:
    from tinkex.types import SupportedModel

_HEADERS = ("Model", "Context", "Trainable", "Sampleable")


@click.group("model", cls=Group)
def command() -> None:
    """List the models of the server."""


@command.command("list")
@click.argument("substring", required=False)
@pass_invocation
def list_models(invocation: Invocation, substring: str | None) -> Any:
    """List the base models, or those with SUBSTRING in their name."""
    with invocation.service() as service:
        models = service.get_server_capabilities().supported_models
    wanted = (substring or "").lower()
    found = [model for model in models if wanted in _name(model).lower()]
    result = {
        "models": [
            {
                "model_name": model.model_name,
                "model_id": model.model_id,
                "arch": model.arch,
                "max_context_length": model.max_context_length,
                "trainable": model.trainable,
                "sampleable": model.sampleable,
            }
            for model in found
        ],
        "total": len(models),
        "shown": len(found),
    }

    def lines() -> Iterator[str]:
        yield heading("Models", len(found), len(models))
        yield from table(_HEADERS, [_row(model) for model in found])

    return invocation.show(result, lines)


def _name(model: "SupportedModel") -> str:
    return model.model_name or model.model_id or "unknown"


def _row(model: "SupportedModel") -> tuple[Any, ...]:
    return (
        _name(model),
        model.max_context_length,
        yes_no(model.trainable),
        yes_no(model.sampleable),
    )
