# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""`snapshot` fixes the weights at the time of the save; `inflight` lets all inflight samplers
of the model share one target that later saves update, so a sample runs on the weights of
its sampler's creation or newer."""

from typing import Literal, TypeAlias

# A reader lets values through that a newer server adds.
SamplingClientKind: TypeAlias = Literal["inflight", "snapshot"]
