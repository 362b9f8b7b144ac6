"""What a server sends."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum, auto
from typing import Annotated, Literal, Self

from pydantic import Field

from tinkex.tinker._console_urls import checkpoint_console_url, checkpoint_playground_url
from tinkex.tinker.types._base import BaseModel
from tinkex.tinker.types.outputs import ForwardBackwardOutput
from tinkex.tinker.types.params import AdamOptimizerConfig, OptimizerConfig
from tinkex.types.paths import CheckpointPath

CheckpointType = Literal["training", "sampler", "external"]


class RequestErrorCategory(StrEnum):
    """Who can mend a failure."""

    Unknown = auto()
    Server = auto()
    User = auto()


class AuditLogEntry(BaseModel):
    """An event of the audit log."""

    timestamp: datetime
    event: str
    event_details: dict[str, object] = Field(default_factory=dict)
    model_id: str | None = None
    tinker_path: str | None = None
    purpose: str | None = None


class AuditLogResponse(BaseModel):
    """The audit log of a day."""

    entries: list[AuditLogEntry]


class AuthTokenResponse(BaseModel):
    """A short-lived token."""

    jwt: str


class Checkpoint(BaseModel):
    """A checkpoint on the server."""

    checkpoint_id: str
    checkpoint_type: CheckpointType
    time: datetime
    tinker_path: str
    size_bytes: int | None = None
    public: bool = False
    user_metadata: dict[str, str] | None = None
    expires_at: datetime | None = None


class Cursor(BaseModel):
    """The place of a page in a list."""

    offset: int
    limit: int
    total_count: int


class CheckpointsListResponse(BaseModel):
    """A page of checkpoints."""

    checkpoints: list[Checkpoint]
    cursor: Cursor | None = None


class ClientConfigResponse(BaseModel):
    """The switches and sizes that a server asks its clients to keep to."""

    pjwt_auth_enabled: bool = False
    credential_default_source: str = "api_key"
    sample_dispatch_bytes_semaphore_size: int = 10485760
    inflight_response_bytes_semaphore_size: int = 52428800
    parallel_fwdbwd_chunks: bool = True
    proto_compress_fwdbwd: bool = False
    fwdbwd_max_chunk_len: int = 1024
    fwdbwd_max_chunk_bytes_count: int = 5000000
    fwdbwd_dispatch_bytes_semaphore_size: int = 50000000
    billing_exception_max_pause_duration_sec: int = 3600
    sample_no_retries: bool = False
    sample_enable_stuck_detection: bool = True
    sample_max_concurrent_requests: int = 2000
    use_pyqwest_transport: bool = True
    sample_use_retrieve_futures: bool = False
    custom_loss_server_side: bool = False
    sample_join_sampling_session: bool = False


class ClientDynamicConfigResponse(BaseModel):
    """Switches that a server may change during a session."""

    refresh_interval_sec: int = 300
    sample_cancel_enabled: bool = False
    sample_cancel_max_batch_size: int = 64


class CopyWeightsResponse(BaseModel):
    """The path of a copied checkpoint."""

    tinker_path: str


class CreateCustomLossResponse(BaseModel):
    """The id of an uploaded loss."""

    loss_id: str
    type: Literal["create_custom_loss"] = "create_custom_loss"


class CreateModelResponse(BaseModel):
    """The id of a new model."""

    model_id: str
    type: Literal["create_model"] = "create_model"


class CreateSamplingSessionResponse(BaseModel):
    """The id of a new sampling session."""

    type: Literal["create_sampling_session"] = "create_sampling_session"
    sampling_session_id: str


class CreateSessionResponse(BaseModel):
    """The id of a new session, and messages for its user."""

    type: Literal["create_session"] = "create_session"
    info_message: str | None = None
    warning_message: str | None = None
    error_message: str | None = None
    session_id: str


class ExternalWeightsUrlsResponse(BaseModel):
    """Signed URLs of exported files."""

    urls: dict[str, str]
    expires: datetime


class FutureFailed(BaseModel):
    """A request of a sampling session that failed."""

    state: Literal["failed"] = "failed"
    request_id: str


class FutureFinished(BaseModel):
    """A request of a sampling session whose result can be fetched."""

    state: Literal["finished"] = "finished"
    request_id: str
    response_payload_uncompressed_size: int | None = None


FutureCompletion = Annotated[FutureFinished | FutureFailed, Field(discriminator="state")]


class FuturesRetrieveResponse(BaseModel):
    """Requests of a sampling session that ended."""

    completions: list[FutureCompletion]
    cursor: int


class ModelData(BaseModel):
    """What a model is made of."""

    arch: str | None = None
    model_name: str | None = None
    tokenizer_id: str | None = None


class GetInfoResponse(BaseModel):
    """What the server knows about a model."""

    type: Literal["get_info"] | None = None
    model_data: ModelData
    model_id: str
    optimizer_config: OptimizerConfig = AdamOptimizerConfig()
    is_lora: bool | None = None
    lora_rank: int | None = None
    model_name: str | None = None


class GetSamplerResponse(BaseModel):
    """What a sampler samples from."""

    sampler_id: str
    base_model: str
    model_path: str | None = None


class SupportedModel(BaseModel):
    """A model that a server has."""

    model_name: str | None = None
    max_context_length: int | None = None
    trainable: bool | None = None
    sampleable: bool | None = None


class GetServerCapabilitiesResponse(BaseModel):
    """The models that a server has."""

    supported_models: list[SupportedModel]


class GetSessionResponse(BaseModel):
    """The training runs and samplers of a session."""

    training_run_ids: list[str]
    sampler_ids: list[str]
    user_metadata: dict[str, str] | None = None
    display_name: str | None = None


class HealthResponse(BaseModel):
    """The state of a server."""

    status: Literal["ok"]


class JoinSamplingSessionResponse(BaseModel):
    """The number of a client within a sampling session."""

    type: Literal["join_sampling_session"] = "join_sampling_session"
    client_counter: int


class ListSessionsResponse(BaseModel):
    """A page of session ids."""

    sessions: list[str]


class LoadWeightsResponse(BaseModel):
    """The result of loading a checkpoint."""

    path: str | None = None
    model_id: str | None = None
    type: Literal["load_weights"] | None = None


class OptimStepResponse(BaseModel):
    """The result of an optimizer step."""

    metrics: dict[str, float] | None = None


class ParsedCheckpointTinkerPath(BaseModel):
    """The parts of a ``tinker://`` path."""

    tinker_path: str
    training_run_id: str
    checkpoint_type: CheckpointType
    checkpoint_id: str

    @classmethod
    def from_tinker_path(cls, tinker_path: str) -> Self:
        """Read a path of the form ``tinker://<run>/<kind>/<name>``.

        Raises:
            ValueError: It has another form.
        """
        path = CheckpointPath.parse(tinker_path)
        return cls(
            tinker_path=tinker_path,
            training_run_id=path.training_run_id,
            checkpoint_type=path.checkpoint_type,
            checkpoint_id=path.checkpoint_id,
        )


class RequestFailedResponse(BaseModel):
    """Why a request failed."""

    error: str
    category: RequestErrorCategory


class SaveWeightsExternalResponse(BaseModel):
    """The path of exported weights."""

    path: str
    type: Literal["save_weights_external"] | None = None


class SaveWeightsExternalResponseInternal(BaseModel):
    """The path and size of exported weights."""

    path: str | None = None
    size_bytes: int | None = None
    type: Literal["save_weights_external"] | None = None


class SaveWeightsForSamplerResponse(BaseModel):
    """The path of weights to sample from."""

    path: str
    type: Literal["save_weights_for_sampler"] | None = None

    def get_console_url(self) -> str:
        """Return the address of the checkpoint's page in the service's console."""
        return _console_url(self.path)

    def get_playground_url(self) -> str:
        """Return the address of a page of the console that samples from the checkpoint."""
        return checkpoint_playground_url(self.path)


class SaveWeightsForSamplerResponseInternal(BaseModel):
    """The path or the sampling session of weights to sample from."""

    path: str | None = None
    sampling_session_id: str | None = None
    type: Literal["save_weights_for_sampler"] | None = None


class SaveWeightsResponse(BaseModel):
    """The path of a saved state."""

    path: str
    type: Literal["save_weights"] | None = None

    def get_console_url(self) -> str:
        """Return the address of the checkpoint's page in the service's console."""
        return _console_url(self.path)


class SessionHeartbeatResponse(BaseModel):
    """The response to a heartbeat."""

    type: Literal["session_heartbeat"] = "session_heartbeat"


class TelemetryResponse(BaseModel):
    """The response to telemetry."""

    status: Literal["accepted"]


class TrainingRun(BaseModel):
    """A training run on the server."""

    training_run_id: str
    base_model: str
    model_owner: str
    is_lora: bool
    corrupted: bool = False
    lora_rank: int | None = None
    last_request_time: datetime
    last_checkpoint: Checkpoint | None = None
    last_sampler_checkpoint: Checkpoint | None = None
    user_metadata: dict[str, str] | None = None


class TrainingRunsResponse(BaseModel):
    """A page of training runs."""

    training_runs: list[TrainingRun]
    cursor: Cursor


class TryAgainResponse(BaseModel):
    """The response to a poll whose result is pending."""

    type: Literal["try_again"] = "try_again"
    request_id: str
    queue_state: Literal["active", "paused_capacity", "paused_rate_limit"]


class UnloadModelResponse(BaseModel):
    """The id of an unloaded model."""

    model_id: str
    type: Literal["unload_model"] | None = None


class UntypedAPIFuture(BaseModel):
    """The promise of a result."""

    request_id: str
    model_id: str | None = None
    sample_sequence_ids: list[str] | None = None


class WeightsInfoResponse(BaseModel):
    """The adapter that a checkpoint holds."""

    base_model: str
    optimizer_config: OptimizerConfig = AdamOptimizerConfig()
    is_lora: bool
    lora_rank: int | None = None
    train_unembed: bool | None = None
    train_mlp: bool | None = None
    train_attn: bool | None = None


class WhoamiResponse(BaseModel):
    """The owner of the credential in use."""

    user_urn: str
    org_urn: str
    email: str | None = None


FutureRetrieveResponse = (
    TryAgainResponse
    | ForwardBackwardOutput
    | OptimStepResponse
    | SaveWeightsResponse
    | LoadWeightsResponse
    | SaveWeightsForSamplerResponse
    | SaveWeightsExternalResponse
    | CreateModelResponse
    | UnloadModelResponse
    | RequestFailedResponse
)


def _console_url(tinker_path: str) -> str:
    path = CheckpointPath.parse(tinker_path)
    return checkpoint_console_url(path.training_run_id, path.checkpoint_id)
