"""Make a model on the server that can be trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tinkex_generated.api.models import create_model as operation
from tinkex_generated.models import CreateModelRequest, CreateModelResponse

from tinkex.session import Session
from tinkex.submission import decoded, future, work_from_answer
from tinkex.transport import Answer
from tinkex.types import LoraConfig, WeightsInfoResponse
from tinkex.wire import encode

DEFAULT_RANK = 32


def create_model(
    session: Session,
    base_model: str,
    lora: LoraConfig,
    user_metadata: Mapping[str, str] | None = None,
) -> str:
    """Make a LoRA adapter on a base model, wait until it is there, and return its model id.

    Some servers answer at once and some promise an answer, so both are taken.
    """
    session.check()
    answer = session.transport.send(
        operation.build_request(
            body=CreateModelRequest(
                session_id=session.id,
                model_seq_id=session.next_model_number(),
                base_model=base_model,
                user_metadata=None if user_metadata is None else dict(user_metadata),
                lora_config=encode.lora_config(lora),
            )
        )
    )
    created = outcome(session, answer, "create_model", "CreateModel", CreateModelResponse.from_dict)
    model_id: str = created.result().model_id
    return model_id


def outcome(session: Session, answer: Answer, name: str, request_type: str, parse: Any) -> Any:
    """Return the future of what a request outside a model's order was answered with."""
    work = session.transport.parsed(
        answer,
        lambda content: work_from_answer(session, decoded(content), request_type, parse),
        name,
    )
    return future(session, work, name)


def lora_of(info: WeightsInfoResponse) -> LoraConfig:
    """Return the settings of the adapter that a checkpoint holds; what is not said is a default."""
    return LoraConfig(
        rank=info.lora_rank or DEFAULT_RANK,
        train_mlp=info.train_mlp is not False,
        train_attn=info.train_attn is not False,
        train_unembed=info.train_unembed is not False,
    )
