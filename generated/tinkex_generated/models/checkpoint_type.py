# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""What a checkpoint is for: `training` (resumable: weights and optimizer state), `sampler`
(sampling only), `external` (exported files)."""

from typing import Literal, TypeAlias

# A reader lets values through that a newer server adds.
CheckpointType: TypeAlias = Literal["external", "sampler", "training"]
