# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""The same distinction as it is written in paths: `weights` for training, `sampler_weights`
for sampler, `external_weights` for external checkpoints."""

from typing import Literal, TypeAlias

# A reader lets values through that a newer server adds.
CheckpointKind: TypeAlias = Literal["external_weights", "sampler_weights", "weights"]
