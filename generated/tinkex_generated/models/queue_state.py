# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""State of the queue a pending request waits in: moving, paused for lack of capacity, or
paused by a rate limit. Clients take other values for an unknown state."""

from typing import Literal, TypeAlias

# A reader lets values through that a newer server adds.
QueueState: TypeAlias = Literal["active", "paused_capacity", "paused_rate_limit"]
