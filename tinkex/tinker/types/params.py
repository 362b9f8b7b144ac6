"""Settings: of adapters, optimizers and sampling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field, SerializeAsAny

from tinkex.tinker.types._base import BaseModel, StrictBase


class LoraConfig(StrictBase):
    """The size and the places of a LoRA adapter."""

    rank: int
    seed: int | None = None
    train_unembed: bool = True
    train_mlp: bool = True
    train_attn: bool = True


class OptimizerConfigBase(StrictBase, extra="allow"):
    """The type of a model's optimizer."""

    type: str


class AdamOptimizerConfig(OptimizerConfigBase, extra="forbid"):
    """AdamW."""

    type: Literal["adamw"] = "adamw"


class DimuonOptimizerConfig(OptimizerConfigBase, extra="forbid"):
    """Dimuon."""

    type: Literal["dimuon"] = "dimuon"
    version: Literal[1] = 1


OptimizerConfig = AdamOptimizerConfig | SerializeAsAny[OptimizerConfigBase]


class AdamParams(StrictBase):
    """The settings of one step of AdamW."""

    learning_rate: float = 0.0001
    beta1: float = 0.9
    beta2: float = 0.95
    eps: float = 1e-12
    weight_decay: float = 0.0
    grad_clip_norm: float = 0.0


class OptimParamsBase(StrictBase, extra="allow"):
    """The settings of one step of an optimizer other than AdamW."""

    type: str


class DimuonParams(OptimParamsBase, extra="forbid", allow_inf_nan=False):
    """The settings of one step of Dimuon."""

    type: Literal["dimuon"] = "dimuon"
    learning_rate: float = Field(ge=0)
    grad_clip_norm: float = 0.0
    beta1: float = Field(default=0.9, ge=0, lt=1)


OptimParams = AdamParams | SerializeAsAny[OptimParamsBase]


class SamplingParams(BaseModel):
    """How tokens are drawn."""

    max_tokens: int | None = None
    seed: int | None = None
    stop: str | Sequence[str] | Sequence[int] | None = None
    temperature: float = 1
    top_k: int = -1
    top_p: float = 1
