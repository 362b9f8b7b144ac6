# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import attrs

from ..decode import boolean, integer, mapping, optional, required
from ..record import Record


@attrs.frozen(kw_only=True, eq=False, repr=False)
class LoraConfig(Record):
    """The adapter to train. At least one of the three flags must be true.

    Attributes:
        rank: Rank of the low-rank matrices.
        seed: Seed of the adapter's initial weights. Null: chosen by the server.
        train_unembed: Train the unembedding (output) layer.
        train_mlp: Train the feed-forward layers, those of mixtures of experts included.
        train_attn: Train the attention layers.
    """

    rank: int
    seed: int | None = None
    train_unembed: bool = True
    train_mlp: bool = True
    train_attn: bool = True

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {"rank": self.rank}
        if self.seed is not None:
            result["seed"] = self.seed
        if self.train_unembed is not None:
            result["train_unembed"] = self.train_unembed
        if self.train_mlp is not None:
            result["train_mlp"] = self.train_mlp
        if self.train_attn is not None:
            result["train_attn"] = self.train_attn
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            rank=required(data, "rank", integer),
            seed=optional(data, "seed", integer),
            train_unembed=optional(data, "train_unembed", boolean, True),
            train_mlp=optional(data, "train_mlp", boolean, True),
            train_attn=optional(data, "train_attn", boolean, True),
        )
