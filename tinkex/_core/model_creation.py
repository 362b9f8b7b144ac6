"""Creation of trainable models on the server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

from tinkex_generated.api.models import create_model as operation
from tinkex_generated.models import CreateModelRequest, CreateModelResponse, OptimizerConfig

from tinkex._base.columns import columns
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
    """The expected properties of a checkpoint; missing keys and None match anything."""

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
    """Create a LoRA adapter on a base model, wait for it, and return its model id.

    Some servers respond at once and some with a promise; both are accepted.
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
    with session.operation("create_model", base_model):
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
    """Return the future of a request outside a model's sequence."""
    work = session.transport.parsed(
        response,
        lambda content: work_from_response(session, decoded(content), request_type, parse),
        name,
    )
    return future(session, work, name, subject)


def lora_of(info: WeightsInfoResponse) -> LoraConfig:
    """Return the settings of a checkpoint's adapter; defaults for what the server omits."""
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
    """Refuse to restore a checkpoint with settings that contradict it.

    Args:
        path: The checkpoint.
        info: The server's description of it.
        asked: The requested settings, by the names of `LoraConfig` or "base_model"; None accepts the
            checkpoint's value.

    Raises:
        ValidationError: The settings differ; the message has a table of the differences.
    """
    unknown = sorted(set(asked) - set(_EXPECTED))
    if unknown:
        raise ValidationError(f"must be one of {', '.join(_EXPECTED)}", path=unknown[0])
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
    table = comparison(("setting", "requested", "checkpoint"), *differing)
    raise ValidationError(
        f"{path} cannot be restored with these settings:\n{table}\nOmit these arguments to continue with "
        "the checkpoint's settings, or create a new LoRA training client",
        path=differing[0][0],
    )


def comparison(*rows: tuple[str, str, str]) -> str:
    """Return rows as an indented table."""
    return "\n".join(f"  {line}" for line in columns(rows))


_LORA = ("rank", "train_mlp", "train_attn", "train_unembed")
_EXPECTED = tuple(ExpectedAdapter.__annotations__)
