"""Bodies of requests."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field

from tinkex.tinker.types._base import StrictBase
from tinkex.tinker.types.inputs import ModelInput, TensorData
from tinkex.tinker.types.params import (
    AdamOptimizerConfig,
    LoraConfig,
    OptimizerConfig,
    OptimParams,
    SamplingParams,
)

CustomLossInputRank = Literal[0, 1, 2]
CustomLossNodeOp = Literal[
    "placeholder", "get_attr", "call_function", "call_method", "call_module", "output"
]
SamplingClientKind = Literal["snapshot", "inflight"]


class ClientConfigRequest(StrictBase):
    """Ask for a server's switches."""

    sdk_version: str


class CopyWeightsRequest(StrictBase):
    """Copy a checkpoint."""

    session_id: str | None = None
    model_seq_id: int | None = None
    destination_project_id: str | None = None
    source_path: str
    ttl_seconds: int | None = None
    weights_access_token: str | None = None


class CustomLossInput(StrictBase):
    """An input of a traced loss."""

    name: str
    rank: CustomLossInputRank


class CustomLossNode(StrictBase):
    """An operation of a traced loss."""

    op: CustomLossNodeOp
    name: str
    target: str
    args: list[Any] = Field(default_factory=list)
    kwargs: dict[str, Any] = Field(default_factory=dict)


class CustomLossGraph(StrictBase):
    """A traced loss, operation by operation."""

    format: Literal[1] = 1
    nodes: list[CustomLossNode]


class CreateCustomLossRequest(StrictBase):
    """Upload a traced loss."""

    session_id: str
    custom_loss_seq_id: int
    name: str
    inputs: list[CustomLossInput]
    graph: CustomLossGraph
    type: Literal["create_custom_loss"] = "create_custom_loss"


class CreateModelRequest(StrictBase):
    """Create a LoRA adapter."""

    session_id: str
    model_seq_id: int
    base_model: str
    user_metadata: dict[str, Any] | None = None
    lora_config: LoraConfig | None = None
    optimizer_config: OptimizerConfig = AdamOptimizerConfig()
    type: Literal["create_model"] = "create_model"


class CreateSamplingSessionRequest(StrictBase):
    """Open a sampling session."""

    session_id: str
    sampling_session_seq_id: int
    base_model: str | None = None
    model_path: str | None = None
    type: Literal["create_sampling_session"] = "create_sampling_session"


class CreateSessionRequest(StrictBase):
    """Begin a session."""

    tags: list[str]
    user_metadata: dict[str, Any] | None
    sdk_version: str
    project_id: str | None = None
    display_name: str | None = None
    type: Literal["create_session"] = "create_session"


class FutureRetrieveRequest(StrictBase):
    """Poll one result."""

    request_id: str
    allow_metadata_only: bool = False


class SamplingSessionFuturesTarget(StrictBase):
    """The sampling session whose results are polled."""

    type: Literal["sampling_session"] = "sampling_session"
    sampling_session_id: str
    cloned_sampler_id: int = 0


class FuturesRetrieveRequest(StrictBase):
    """Poll the results of a sampling session."""

    target: SamplingSessionFuturesTarget
    prev_cursor: int = 0
    timeout: float | None = None
    retrieved_request_ids: list[str] = Field(default_factory=list)


class GetInfoRequest(StrictBase):
    """Ask for a model's metadata."""

    model_id: str
    type: Literal["get_info"] = "get_info"


class JoinSamplingSessionRequest(StrictBase):
    """Join a sampling session from another process."""

    sampling_session_id: str
    type: Literal["join_sampling_session"] = "join_sampling_session"


class LoadWeightsRequest(StrictBase):
    """Load a checkpoint."""

    model_id: str | None = None
    seq_id: int | None = None
    session_id: str | None = None
    model_seq_id: int | None = None
    base_model: str | None = None
    user_metadata: dict[str, Any] | None = None
    path: str
    optimizer: bool
    optimizer_config: OptimizerConfig | None = None
    weights_access_token: str | None = None
    type: Literal["load_weights"] = "load_weights"


class OptimStepRequest(StrictBase):
    """Apply the accumulated gradients."""

    optim_params: OptimParams
    model_id: str
    seq_id: int | None = None
    type: Literal["optim_step"] = "optim_step"


class SampleRequest(StrictBase):
    """Sample continuations of a prompt."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    num_samples: int = 1
    prompt: ModelInput
    sampling_params: SamplingParams
    base_model: str | None = None
    model_path: str | None = None
    sampling_session_id: str | None = None
    seq_id: int | None = None
    prompt_logprobs: bool | None = None
    topk_prompt_logprobs: int = 0
    topk_sample_logprobs: int = 0
    target_prompt_logprobs: TensorData | None = None
    prompt_alt_tokens_k: int = 0
    prompt_logprobs_last_n: int | None = None
    record_stability_info: bool | None = None
    type: Literal["sample"] = "sample"


class SaveWeightsExternalRequest(StrictBase):
    """Export weights as files."""

    model_id: str
    path: str
    seq_id: int | None = None
    ttl_seconds: int | None = None
    age_encryption_recipients: list[str] | None = None
    type: Literal["save_weights_external"] = "save_weights_external"


class SaveWeightsForSamplerRequest(StrictBase):
    """Save weights to sample from."""

    model_id: str
    path: str | None = None
    sampling_session_seq_id: int | None = None
    kind: SamplingClientKind = "snapshot"
    seq_id: int | None = None
    ttl_seconds: int | None = None
    user_metadata: dict[str, str] | None = None
    type: Literal["save_weights_for_sampler"] = "save_weights_for_sampler"


class SaveWeightsRequest(StrictBase):
    """Save weights and optimizer."""

    model_id: str
    path: str | None = None
    seq_id: int | None = None
    ttl_seconds: int | None = None
    overwrite: bool = False
    user_metadata: dict[str, str] | None = None
    type: Literal["save_weights"] = "save_weights"


class SessionHeartbeatRequest(StrictBase):
    """A heartbeat, which keeps a session alive."""

    session_id: str
    type: Literal["session_heartbeat"] = "session_heartbeat"


class UnloadModelRequest(StrictBase):
    """Free a model."""

    model_id: str
    type: Literal["unload_model"] = "unload_model"
