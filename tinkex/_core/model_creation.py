"""Make a model on the server that can be trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from tinkex_generated.api.models import create_model as operation
from tinkex_generated.models import CreateModelRequest, CreateModelResponse, OptimizerConfig

from tinkex._core.checks import checked_metadata
from tinkex._core.response import Response
from tinkex._core.session import Session
from tinkex._core.submission import decoded, future, work_from_response
from tinkex._core.wire import encode
from tinkex.errors import ValidationError
from tinkex.types import LoraConfig, WeightsInfoResponse

DEFAULT_RANK = 32
DEFAULT_OPTIMIZER = "adamw"


class ExpectedAdapter(TypedDict, total=False):
    """Name what a checkpoint has to be; what is left out, or None, may be anything."""

    base_model: str | None
    rank: int | None
    train_mlp: bool | None
    train_attn: bool | None
    train_unembed: bool | None


def create_model(
    session: Session,
    base_model: str,
    lora: LoraConfig,
    user_metadata: Mapping[str, str] | None = None,
    optimizer: str | None = None,
) -> str:
    """Make a LoRA adapter on a base model, wait until it is there, and return its model id.

    Some servers answer at once and some promise an answer, so both are taken.
    """
    session.check()
    request = operation.build_request(
        body=CreateModelRequest(
            session_id=session.id,
            model_seq_id=session.next_model_number(),
            base_model=base_model,
            user_metadata=checked_metadata(user_metadata),
            lora_config=encode.lora_config(lora),
            optimizer_config=None if optimizer is None else OptimizerConfig(type_=optimizer),
        )
    )
    with session.scope("create_model", base_model):
        response = session.transport.send(request)
        created = outcome(
            session, response, "create_model", "CreateModel", CreateModelResponse.from_dict
        )
        model_id: str = created.result().model_id
        return model_id


def outcome(
    session: Session,
    response: Response,
    name: str,
    request_type: str,
    parse: Any,
    subject: str | None = None,
) -> Any:
    """Return the future of the response to a request outside a model's order."""
    work = session.transport.parsed(
        response,
        lambda content: work_from_response(session, decoded(content), request_type, parse),
        name,
    )
    return future(session, work, name, subject)


def lora_of(info: WeightsInfoResponse) -> LoraConfig:
    """Return the settings of the adapter that a checkpoint holds; what is not said is a default."""
    return LoraConfig(
        rank=info.lora_rank or DEFAULT_RANK,
        train_mlp=info.train_mlp is not False,
        train_attn=info.train_attn is not False,
        train_unembed=info.train_unembed is not False,
    )


def optimizer_of(info: WeightsInfoResponse) -> str | None:
    """Return the optimizer whose state a checkpoint holds; None for the default."""
    config = info.optimizer_config
    return None if config is None or config.type_ == DEFAULT_OPTIMIZER else config.type_


def check_restorable(path: str, info: WeightsInfoResponse, asked: Mapping[str, Any]) -> None:
    """Refuse to restore a checkpoint as something that it is not.

    Args:
        path: The checkpoint.
        info: What the server says of it.
        asked: What the user wants it to be, by the names of `LoraConfig` or "base_model"; None
            leaves it to the checkpoint.

    Raises:
        ValidationError: With a table of what differs.
    """
    unknown = sorted(set(asked) - set(_EXPECTED))
    if unknown:
        raise ValidationError(f"is none of {', '.join(_EXPECTED)}", path=unknown[0])
    if not info.is_lora:
        raise ValidationError(f"{path} holds full weights, and only LoRA adapters can be trained")
    lora = lora_of(info)
    there = {"base_model": info.base_model, **{name: getattr(lora, name) for name in _LORA}}
    differing = [
        (name, repr(value), repr(there[name]))
        for name, value in asked.items()
        if value is not None and value != there[name]
    ]
    if not differing:
        return
    table = aligned([("setting", "asked for", "checkpoint"), *differing])
    raise ValidationError(
        f"{path} cannot be restored as asked:\n{table}\nLeave these arguments out to go on with "
        "what the checkpoint holds, or create a new LoRA training client",
        path=differing[0][0],
    )


def aligned(rows: Sequence[tuple[str, ...]]) -> str:
    """Return rows as lines of text with their columns below each other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  " + "  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


_LORA = ("rank", "train_mlp", "train_attn", "train_unembed")
_EXPECTED = tuple(ExpectedAdapter.__annotations__)
