"""The value types of the public API.

Types that users build (data, inputs, parameters) are written by hand and validate themselves. Responses and
request bodies are generated from openapi.yaml, unless something has to be added. Generated classes are
loaded on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from tinkex.types.datum import Datum
from tinkex.types.model_input import (
    DmelChunk,
    EncodedTextChunk,
    ImageAssetPointerChunk,
    ImageChunk,
    ModelInput,
    ModelInputChunk,
)
from tinkex.types.outputs import (
    ForwardBackwardOutput,
    PromptAltTokens,
    SampledSequence,
    SampleResponse,
)
from tinkex.types.params import AdamParams, DimuonParams, LoraConfig, SamplingParams
from tinkex.types.paths import CheckpointPath
from tinkex.types.provenance import (
    PromptProvenanceSpan,
    ProvenanceSpans,
    SampledProvenanceSpan,
)
from tinkex.types.states import QueueState, RequestErrorCategory, StopReason
from tinkex.types.tensor import TensorData, TensorDtype

if TYPE_CHECKING:
    from tinkex_generated.models import AuditLogEntry as AuditLogEntry
    from tinkex_generated.models import AuditLogResponse as AuditLogResponse
    from tinkex_generated.models import BillingUsageEvent as BillingUsageEvent
    from tinkex_generated.models import BillingUsageResponse as BillingUsageResponse
    from tinkex_generated.models import Checkpoint as Checkpoint
    from tinkex_generated.models import CheckpointArchiveUrlResponse as CheckpointArchiveUrlResponse
    from tinkex_generated.models import CheckpointsListResponse as CheckpointsListResponse
    from tinkex_generated.models import CheckpointTtlRequest as CheckpointTtlRequest
    from tinkex_generated.models import ClientConfigResponse as ClientConfigResponse
    from tinkex_generated.models import CopyWeightsRequest as CopyWeightsRequest
    from tinkex_generated.models import CopyWeightsResponse as CopyWeightsResponse
    from tinkex_generated.models import CreateCustomLossResponse as CreateCustomLossResponse
    from tinkex_generated.models import CreateModelRequest as CreateModelRequest
    from tinkex_generated.models import CreateModelResponse as CreateModelResponse
    from tinkex_generated.models import CreateSamplingSessionRequest as CreateSamplingSessionRequest
    from tinkex_generated.models import (
        CreateSamplingSessionResponse as CreateSamplingSessionResponse,
    )
    from tinkex_generated.models import CreateSessionRequest as CreateSessionRequest
    from tinkex_generated.models import CreateSessionResponse as CreateSessionResponse
    from tinkex_generated.models import (
        CurrentCheckpointStorageUsageResponse as CurrentCheckpointStorageUsageResponse,
    )
    from tinkex_generated.models import Cursor as Cursor
    from tinkex_generated.models import CustomLossGraph as CustomLossGraph
    from tinkex_generated.models import CustomLossInput as CustomLossInput
    from tinkex_generated.models import CustomLossNode as CustomLossNode
    from tinkex_generated.models import ExternalWeightsUrlsResponse as ExternalWeightsUrlsResponse
    from tinkex_generated.models import FinishSessionRequest as FinishSessionRequest
    from tinkex_generated.models import ForwardBackwardInput as ForwardBackwardInput
    from tinkex_generated.models import ForwardBackwardRequest as ForwardBackwardRequest
    from tinkex_generated.models import ForwardRequest as ForwardRequest
    from tinkex_generated.models import FutureMetadataResponse as FutureCompletedMetadataResponse
    from tinkex_generated.models import FutureMetadataResponse as FutureMetadataResponse
    from tinkex_generated.models import FutureRetrieveRequest as FutureRetrieveRequest
    from tinkex_generated.models import FuturesRetrieveRequest as FuturesRetrieveRequest
    from tinkex_generated.models import FuturesRetrieveResponse as FuturesRetrieveResponse
    from tinkex_generated.models import GenericEvent as GenericEvent
    from tinkex_generated.models import GetInfoRequest as GetInfoRequest
    from tinkex_generated.models import GetInfoResponse as GetInfoResponse
    from tinkex_generated.models import GetSamplerResponse as GetSamplerResponse
    from tinkex_generated.models import (
        GetServerCapabilitiesResponse as GetServerCapabilitiesResponse,
    )
    from tinkex_generated.models import GetSessionResponse as GetSessionResponse
    from tinkex_generated.models import HealthResponse as HealthResponse
    from tinkex_generated.models import ListSessionsResponse as ListSessionsResponse
    from tinkex_generated.models import LoadWeightsRequest as LoadWeightsRequest
    from tinkex_generated.models import LoadWeightsResponse as LoadWeightsResponse
    from tinkex_generated.models import LossFnType as LossFnType
    from tinkex_generated.models import ModelData as ModelData
    from tinkex_generated.models import OptimizerConfig as OptimizerConfig
    from tinkex_generated.models import OptimStepRequest as OptimStepRequest
    from tinkex_generated.models import OptimStepResponse as OptimStepResponse
    from tinkex_generated.models import RequestFailedResponse as FutureFailedResponse
    from tinkex_generated.models import RequestFailedResponse as RequestFailedResponse
    from tinkex_generated.models import SampleRequest as SampleRequest
    from tinkex_generated.models import SampleStreamChunk as SampleStreamChunk
    from tinkex_generated.models import (
        SaveWeightsExternalResponseInternal as SaveWeightsExternalResponse,
    )
    from tinkex_generated.models import SaveWeightsForSamplerRequest as SaveWeightsForSamplerRequest
    from tinkex_generated.models import (
        SaveWeightsForSamplerResponseInternal as SaveWeightsForSamplerResponse,
    )
    from tinkex_generated.models import SaveWeightsRequest as SaveWeightsRequest
    from tinkex_generated.models import SaveWeightsResponse as SaveWeightsResponse
    from tinkex_generated.models import SelfApiKeyResponse as SelfApiKeyResponse
    from tinkex_generated.models import SessionEndEvent as SessionEndEvent
    from tinkex_generated.models import SessionHeartbeatRequest as SessionHeartbeatRequest
    from tinkex_generated.models import SessionHeartbeatResponse as SessionHeartbeatResponse
    from tinkex_generated.models import SessionSearchRequest as SessionSearchRequest
    from tinkex_generated.models import SessionSearchResponse as SessionSearchResponse
    from tinkex_generated.models import SessionStartEvent as SessionStartEvent
    from tinkex_generated.models import SessionSummary as SessionSummary
    from tinkex_generated.models import (
        SessionTraceExportPollResponse as SessionTraceExportPollResponse,
    )
    from tinkex_generated.models import Severity as Severity
    from tinkex_generated.models import SupportedModel as SupportedModel
    from tinkex_generated.models import TelemetryResponse as TelemetryResponse
    from tinkex_generated.models import TelemetrySendRequest as TelemetrySendRequest
    from tinkex_generated.models import TrainingRun as TrainingRun
    from tinkex_generated.models import TrainingRunsResponse as TrainingRunsResponse
    from tinkex_generated.models import TryAgainResponse as FuturePendingResponse
    from tinkex_generated.models import TryAgainResponse as TryAgainResponse
    from tinkex_generated.models import UnhandledExceptionEvent as UnhandledExceptionEvent
    from tinkex_generated.models import UnloadModelRequest as UnloadModelRequest
    from tinkex_generated.models import UnloadModelResponse as UnloadModelResponse
    from tinkex_generated.models import UntypedAPIFuture as UntypedAPIFuture
    from tinkex_generated.models import WeightsInfoRequest as WeightsInfoRequest
    from tinkex_generated.models import WeightsInfoResponse as WeightsInfoResponse

    from tinkex._core.queue_state import QueueStateChange as QueueStateChange
    from tinkex._core.raw_request import RawResponse as RawResponse
    from tinkex.losses.outputs import CustomLossOutput as CustomLossOutput
    from tinkex.losses.outputs import RegularizerOutput as RegularizerOutput
    from tinkex.observability.telemetry.events import Event as TelemetryEvent
    from tinkex.observability.telemetry.events import EventType as EventType
    from tinkex.regularizers.spec import RegularizerSpec as RegularizerSpec

# Aliases with the Elixir SDK's names.
ParsedCheckpointTinkerPath = CheckpointPath

# Types that are defined in other parts of the package, by module.
_ELSEWHERE = {
    "CustomLossOutput": ("tinkex.losses.outputs", "CustomLossOutput"),
    "QueueStateChange": ("tinkex._core.queue_state", "QueueStateChange"),
    "RawResponse": ("tinkex._core.raw_request", "RawResponse"),
    "RegularizerOutput": ("tinkex.losses.outputs", "RegularizerOutput"),
    "RegularizerSpec": ("tinkex.regularizers.spec", "RegularizerSpec"),
    "EventType": ("tinkex.observability.telemetry.events", "EventType"),
    "TelemetryEvent": ("tinkex.observability.telemetry.events", "Event"),
}
# The API marks this type as internal, but the official SDK exports it under the short name; and the
# Elixir SDK's names of the responses to a poll.
_RENAMED = {
    "FutureCompletedMetadataResponse": "FutureMetadataResponse",
    "FutureFailedResponse": "RequestFailedResponse",
    "FuturePendingResponse": "TryAgainResponse",
    "SaveWeightsExternalResponse": "SaveWeightsExternalResponseInternal",
    "SaveWeightsForSamplerResponse": "SaveWeightsForSamplerResponseInternal",
}

__all__ = [
    "AdamParams",
    "AuditLogEntry",
    "AuditLogResponse",
    "BillingUsageEvent",
    "BillingUsageResponse",
    "Checkpoint",
    "CheckpointArchiveUrlResponse",
    "CheckpointPath",
    "CheckpointTtlRequest",
    "CheckpointsListResponse",
    "ClientConfigResponse",
    "CopyWeightsRequest",
    "CopyWeightsResponse",
    "CreateCustomLossResponse",
    "CreateModelRequest",
    "CreateModelResponse",
    "CreateSamplingSessionRequest",
    "CreateSamplingSessionResponse",
    "CreateSessionRequest",
    "CreateSessionResponse",
    "CurrentCheckpointStorageUsageResponse",
    "Cursor",
    "CustomLossGraph",
    "CustomLossInput",
    "CustomLossNode",
    "CustomLossOutput",
    "Datum",
    "DimuonParams",
    "DmelChunk",
    "EncodedTextChunk",
    "EventType",
    "ExternalWeightsUrlsResponse",
    "FinishSessionRequest",
    "ForwardBackwardInput",
    "ForwardBackwardOutput",
    "ForwardBackwardRequest",
    "ForwardRequest",
    "FutureCompletedMetadataResponse",
    "FutureFailedResponse",
    "FutureMetadataResponse",
    "FuturePendingResponse",
    "FutureRetrieveRequest",
    "FuturesRetrieveRequest",
    "FuturesRetrieveResponse",
    "GenericEvent",
    "GetInfoRequest",
    "GetInfoResponse",
    "GetSamplerResponse",
    "GetServerCapabilitiesResponse",
    "GetSessionResponse",
    "HealthResponse",
    "ImageAssetPointerChunk",
    "ImageChunk",
    "ListSessionsResponse",
    "LoadWeightsRequest",
    "LoadWeightsResponse",
    "LoraConfig",
    "LossFnType",
    "ModelData",
    "ModelInput",
    "ModelInputChunk",
    "OptimStepRequest",
    "OptimStepResponse",
    "OptimizerConfig",
    "ParsedCheckpointTinkerPath",
    "PromptAltTokens",
    "PromptProvenanceSpan",
    "ProvenanceSpans",
    "QueueState",
    "QueueStateChange",
    "RawResponse",
    "RegularizerOutput",
    "RegularizerSpec",
    "RequestErrorCategory",
    "RequestFailedResponse",
    "SampleRequest",
    "SampleResponse",
    "SampleStreamChunk",
    "SampledProvenanceSpan",
    "SampledSequence",
    "SamplingParams",
    "SaveWeightsExternalResponse",
    "SaveWeightsForSamplerRequest",
    "SaveWeightsForSamplerResponse",
    "SaveWeightsRequest",
    "SaveWeightsResponse",
    "SelfApiKeyResponse",
    "SessionEndEvent",
    "SessionHeartbeatRequest",
    "SessionHeartbeatResponse",
    "SessionSearchRequest",
    "SessionSearchResponse",
    "SessionStartEvent",
    "SessionSummary",
    "SessionTraceExportPollResponse",
    "Severity",
    "StopReason",
    "SupportedModel",
    "TelemetryEvent",
    "TelemetryResponse",
    "TelemetrySendRequest",
    "TensorData",
    "TensorDtype",
    "TrainingRun",
    "TrainingRunsResponse",
    "TryAgainResponse",
    "UnhandledExceptionEvent",
    "UnloadModelRequest",
    "UnloadModelResponse",
    "UntypedAPIFuture",
    "WeightsInfoRequest",
    "WeightsInfoResponse",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'tinkex.types' has no attribute {name!r}")
    module, known_as = _ELSEWHERE.get(name, ("tinkex_generated.models", _RENAMED.get(name, name)))
    value = getattr(importlib.import_module(module), known_as)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
