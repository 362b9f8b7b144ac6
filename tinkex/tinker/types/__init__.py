"""The official package's records, under its names.

What the official package keeps in a module for each of them (``tinker.types.tensor_data``) is this one
module under many names. Records load when they are first used.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tinkex.tinker.types.billing import BillingEventInfo as BillingEventInfo
    from tinkex.tinker.types.billing import BillingUsageEvent as BillingUsageEvent
    from tinkex.tinker.types.billing import BillingUsageResponse as BillingUsageResponse
    from tinkex.tinker.types.billing import BillingUsageSession as BillingUsageSession
    from tinkex.tinker.types.billing import CheckpointBillingEvent as CheckpointBillingEvent
    from tinkex.tinker.types.billing import (
        CurrentCheckpointStorageUsageItem as CurrentCheckpointStorageUsageItem,
    )
    from tinkex.tinker.types.billing import (
        CurrentCheckpointStorageUsageResponse as CurrentCheckpointStorageUsageResponse,
    )
    from tinkex.tinker.types.billing import GetBillingUsageRequest as GetBillingUsageRequest
    from tinkex.tinker.types.billing import (
        GetCurrentCheckpointStorageUsageRequest as GetCurrentCheckpointStorageUsageRequest,
    )
    from tinkex.tinker.types.billing import (
        SamplingPrefillBillingEvent as SamplingPrefillBillingEvent,
    )
    from tinkex.tinker.types.billing import SamplingSampleBillingEvent as SamplingSampleBillingEvent
    from tinkex.tinker.types.billing import StorageBillingEvent as StorageBillingEvent
    from tinkex.tinker.types.billing import TrainingBillingEvent as TrainingBillingEvent
    from tinkex.tinker.types.inputs import Datum as Datum
    from tinkex.tinker.types.inputs import DmelChunk as DmelChunk
    from tinkex.tinker.types.inputs import EncodedTextChunk as EncodedTextChunk
    from tinkex.tinker.types.inputs import ImageAssetPointerChunk as ImageAssetPointerChunk
    from tinkex.tinker.types.inputs import ImageChunk as ImageChunk
    from tinkex.tinker.types.inputs import LossFnInputs as LossFnInputs
    from tinkex.tinker.types.inputs import LossFnOutput as LossFnOutput
    from tinkex.tinker.types.inputs import LossFnType as LossFnType
    from tinkex.tinker.types.inputs import ModelID as ModelID
    from tinkex.tinker.types.inputs import ModelInput as ModelInput
    from tinkex.tinker.types.inputs import ModelInputChunk as ModelInputChunk
    from tinkex.tinker.types.inputs import PromptAltTokens as PromptAltTokens
    from tinkex.tinker.types.inputs import PromptProvenanceSpan as PromptProvenanceSpan
    from tinkex.tinker.types.inputs import ProvenanceSpans as ProvenanceSpans
    from tinkex.tinker.types.inputs import RequestID as RequestID
    from tinkex.tinker.types.inputs import SampledProvenanceSpan as SampledProvenanceSpan
    from tinkex.tinker.types.inputs import TensorData as TensorData
    from tinkex.tinker.types.inputs import TensorDtype as TensorDtype
    from tinkex.tinker.types.inputs import TopkLogprobs as TopkLogprobs
    from tinkex.tinker.types.outputs import ForwardBackwardInput as ForwardBackwardInput
    from tinkex.tinker.types.outputs import ForwardBackwardOutput as ForwardBackwardOutput
    from tinkex.tinker.types.outputs import ForwardBackwardRequest as ForwardBackwardRequest
    from tinkex.tinker.types.outputs import ForwardRequest as ForwardRequest
    from tinkex.tinker.types.outputs import SampledSequence as SampledSequence
    from tinkex.tinker.types.outputs import SampleResponse as SampleResponse
    from tinkex.tinker.types.outputs import StopReason as StopReason
    from tinkex.tinker.types.params import AdamOptimizerConfig as AdamOptimizerConfig
    from tinkex.tinker.types.params import AdamParams as AdamParams
    from tinkex.tinker.types.params import DimuonOptimizerConfig as DimuonOptimizerConfig
    from tinkex.tinker.types.params import DimuonParams as DimuonParams
    from tinkex.tinker.types.params import LoraConfig as LoraConfig
    from tinkex.tinker.types.params import OptimizerConfig as OptimizerConfig
    from tinkex.tinker.types.params import OptimizerConfigBase as OptimizerConfigBase
    from tinkex.tinker.types.params import OptimParams as OptimParams
    from tinkex.tinker.types.params import OptimParamsBase as OptimParamsBase
    from tinkex.tinker.types.params import SamplingParams as SamplingParams
    from tinkex.tinker.types.requests import ClientConfigRequest as ClientConfigRequest
    from tinkex.tinker.types.requests import CopyWeightsRequest as CopyWeightsRequest
    from tinkex.tinker.types.requests import CreateCustomLossRequest as CreateCustomLossRequest
    from tinkex.tinker.types.requests import CreateModelRequest as CreateModelRequest
    from tinkex.tinker.types.requests import (
        CreateSamplingSessionRequest as CreateSamplingSessionRequest,
    )
    from tinkex.tinker.types.requests import CreateSessionRequest as CreateSessionRequest
    from tinkex.tinker.types.requests import CustomLossGraph as CustomLossGraph
    from tinkex.tinker.types.requests import CustomLossInput as CustomLossInput
    from tinkex.tinker.types.requests import CustomLossInputRank as CustomLossInputRank
    from tinkex.tinker.types.requests import CustomLossNode as CustomLossNode
    from tinkex.tinker.types.requests import CustomLossNodeOp as CustomLossNodeOp
    from tinkex.tinker.types.requests import FutureRetrieveRequest as FutureRetrieveRequest
    from tinkex.tinker.types.requests import FuturesRetrieveRequest as FuturesRetrieveRequest
    from tinkex.tinker.types.requests import GetInfoRequest as GetInfoRequest
    from tinkex.tinker.types.requests import (
        JoinSamplingSessionRequest as JoinSamplingSessionRequest,
    )
    from tinkex.tinker.types.requests import LoadWeightsRequest as LoadWeightsRequest
    from tinkex.tinker.types.requests import OptimStepRequest as OptimStepRequest
    from tinkex.tinker.types.requests import SampleRequest as SampleRequest
    from tinkex.tinker.types.requests import SamplingClientKind as SamplingClientKind
    from tinkex.tinker.types.requests import (
        SamplingSessionFuturesTarget as SamplingSessionFuturesTarget,
    )
    from tinkex.tinker.types.requests import (
        SaveWeightsExternalRequest as SaveWeightsExternalRequest,
    )
    from tinkex.tinker.types.requests import (
        SaveWeightsForSamplerRequest as SaveWeightsForSamplerRequest,
    )
    from tinkex.tinker.types.requests import SaveWeightsRequest as SaveWeightsRequest
    from tinkex.tinker.types.requests import SessionHeartbeatRequest as SessionHeartbeatRequest
    from tinkex.tinker.types.requests import UnloadModelRequest as UnloadModelRequest
    from tinkex.tinker.types.responses import AuditLogEntry as AuditLogEntry
    from tinkex.tinker.types.responses import AuditLogResponse as AuditLogResponse
    from tinkex.tinker.types.responses import AuthTokenResponse as AuthTokenResponse
    from tinkex.tinker.types.responses import Checkpoint as Checkpoint
    from tinkex.tinker.types.responses import CheckpointsListResponse as CheckpointsListResponse
    from tinkex.tinker.types.responses import CheckpointType as CheckpointType
    from tinkex.tinker.types.responses import ClientConfigResponse as ClientConfigResponse
    from tinkex.tinker.types.responses import (
        ClientDynamicConfigResponse as ClientDynamicConfigResponse,
    )
    from tinkex.tinker.types.responses import CopyWeightsResponse as CopyWeightsResponse
    from tinkex.tinker.types.responses import CreateCustomLossResponse as CreateCustomLossResponse
    from tinkex.tinker.types.responses import CreateModelResponse as CreateModelResponse
    from tinkex.tinker.types.responses import (
        CreateSamplingSessionResponse as CreateSamplingSessionResponse,
    )
    from tinkex.tinker.types.responses import CreateSessionResponse as CreateSessionResponse
    from tinkex.tinker.types.responses import Cursor as Cursor
    from tinkex.tinker.types.responses import (
        ExternalWeightsUrlsResponse as ExternalWeightsUrlsResponse,
    )
    from tinkex.tinker.types.responses import FutureCompletion as FutureCompletion
    from tinkex.tinker.types.responses import FutureFailed as FutureFailed
    from tinkex.tinker.types.responses import FutureFinished as FutureFinished
    from tinkex.tinker.types.responses import FutureRetrieveResponse as FutureRetrieveResponse
    from tinkex.tinker.types.responses import FuturesRetrieveResponse as FuturesRetrieveResponse
    from tinkex.tinker.types.responses import GetInfoResponse as GetInfoResponse
    from tinkex.tinker.types.responses import GetSamplerResponse as GetSamplerResponse
    from tinkex.tinker.types.responses import (
        GetServerCapabilitiesResponse as GetServerCapabilitiesResponse,
    )
    from tinkex.tinker.types.responses import GetSessionResponse as GetSessionResponse
    from tinkex.tinker.types.responses import HealthResponse as HealthResponse
    from tinkex.tinker.types.responses import (
        JoinSamplingSessionResponse as JoinSamplingSessionResponse,
    )
    from tinkex.tinker.types.responses import ListSessionsResponse as ListSessionsResponse
    from tinkex.tinker.types.responses import LoadWeightsResponse as LoadWeightsResponse
    from tinkex.tinker.types.responses import ModelData as ModelData
    from tinkex.tinker.types.responses import OptimStepResponse as OptimStepResponse
    from tinkex.tinker.types.responses import (
        ParsedCheckpointTinkerPath as ParsedCheckpointTinkerPath,
    )
    from tinkex.tinker.types.responses import RequestErrorCategory as RequestErrorCategory
    from tinkex.tinker.types.responses import RequestFailedResponse as RequestFailedResponse
    from tinkex.tinker.types.responses import (
        SaveWeightsExternalResponse as SaveWeightsExternalResponse,
    )
    from tinkex.tinker.types.responses import (
        SaveWeightsExternalResponseInternal as SaveWeightsExternalResponseInternal,
    )
    from tinkex.tinker.types.responses import (
        SaveWeightsForSamplerResponse as SaveWeightsForSamplerResponse,
    )
    from tinkex.tinker.types.responses import (
        SaveWeightsForSamplerResponseInternal as SaveWeightsForSamplerResponseInternal,
    )
    from tinkex.tinker.types.responses import SaveWeightsResponse as SaveWeightsResponse
    from tinkex.tinker.types.responses import SessionHeartbeatResponse as SessionHeartbeatResponse
    from tinkex.tinker.types.responses import SupportedModel as SupportedModel
    from tinkex.tinker.types.responses import TelemetryResponse as TelemetryResponse
    from tinkex.tinker.types.responses import TrainingRun as TrainingRun
    from tinkex.tinker.types.responses import TrainingRunsResponse as TrainingRunsResponse
    from tinkex.tinker.types.responses import TryAgainResponse as TryAgainResponse
    from tinkex.tinker.types.responses import UnloadModelResponse as UnloadModelResponse
    from tinkex.tinker.types.responses import UntypedAPIFuture as UntypedAPIFuture
    from tinkex.tinker.types.responses import WeightsInfoResponse as WeightsInfoResponse
    from tinkex.tinker.types.responses import WhoamiResponse as WhoamiResponse
    from tinkex.tinker.types.sessions import AccessibleSearchOwner as AccessibleSearchOwner
    from tinkex.tinker.types.sessions import ActiveSessionStatusQuery as ActiveSessionStatusQuery
    from tinkex.tinker.types.sessions import (
        CancelledSessionStatusQuery as CancelledSessionStatusQuery,
    )
    from tinkex.tinker.types.sessions import (
        ClientFinishedSessionStatusQuery as ClientFinishedSessionStatusQuery,
    )
    from tinkex.tinker.types.sessions import ClientSessionFinished as ClientSessionFinished
    from tinkex.tinker.types.sessions import (
        ClientSessionFinishErrored as ClientSessionFinishErrored,
    )
    from tinkex.tinker.types.sessions import (
        ClientSessionFinishInterrupted as ClientSessionFinishInterrupted,
    )
    from tinkex.tinker.types.sessions import ClientSessionFinishReason as ClientSessionFinishReason
    from tinkex.tinker.types.sessions import (
        ClientSessionFinishReasonType as ClientSessionFinishReasonType,
    )
    from tinkex.tinker.types.sessions import (
        ClientSessionFinishSuccess as ClientSessionFinishSuccess,
    )
    from tinkex.tinker.types.sessions import FailedSessionStatusQuery as FailedSessionStatusQuery
    from tinkex.tinker.types.sessions import OwnSearchOwner as OwnSearchOwner
    from tinkex.tinker.types.sessions import SearchOwner as SearchOwner
    from tinkex.tinker.types.sessions import SessionActive as SessionActive
    from tinkex.tinker.types.sessions import SessionCancelled as SessionCancelled
    from tinkex.tinker.types.sessions import SessionFailed as SessionFailed
    from tinkex.tinker.types.sessions import SessionFailedReason as SessionFailedReason
    from tinkex.tinker.types.sessions import (
        SessionFailedRequestReason as SessionFailedRequestReason,
    )
    from tinkex.tinker.types.sessions import (
        SessionFailedSamplingSessionReason as SessionFailedSamplingSessionReason,
    )
    from tinkex.tinker.types.sessions import (
        SessionFailedTrainingRunReason as SessionFailedTrainingRunReason,
    )
    from tinkex.tinker.types.sessions import SessionSearchCursor as SessionSearchCursor
    from tinkex.tinker.types.sessions import SessionSearchRequest as SessionSearchRequest
    from tinkex.tinker.types.sessions import SessionSearchResponse as SessionSearchResponse
    from tinkex.tinker.types.sessions import SessionStatus as SessionStatus
    from tinkex.tinker.types.sessions import SessionStatusQuery as SessionStatusQuery
    from tinkex.tinker.types.sessions import SessionSummary as SessionSummary
    from tinkex.tinker.types.sessions import UserSearchOwner as UserSearchOwner
    from tinkex.tinker.types.telemetry import EventType as EventType
    from tinkex.tinker.types.telemetry import GenericEvent as GenericEvent
    from tinkex.tinker.types.telemetry import SessionEndEvent as SessionEndEvent
    from tinkex.tinker.types.telemetry import SessionStartEvent as SessionStartEvent
    from tinkex.tinker.types.telemetry import Severity as Severity
    from tinkex.tinker.types.telemetry import TelemetryBatch as TelemetryBatch
    from tinkex.tinker.types.telemetry import TelemetryEvent as TelemetryEvent
    from tinkex.tinker.types.telemetry import TelemetrySendRequest as TelemetrySendRequest
    from tinkex.tinker.types.telemetry import UnhandledExceptionEvent as UnhandledExceptionEvent

_HOMES = {
    "inputs": """
        Datum DmelChunk EncodedTextChunk ImageAssetPointerChunk ImageChunk LossFnInputs
        LossFnOutput LossFnType ModelID ModelInput ModelInputChunk PromptAltTokens
        PromptProvenanceSpan ProvenanceSpans RequestID SampledProvenanceSpan TensorData
        TensorDtype TopkLogprobs
    """,
    "params": """
        AdamOptimizerConfig AdamParams DimuonOptimizerConfig DimuonParams LoraConfig OptimParams
        OptimParamsBase OptimizerConfig OptimizerConfigBase SamplingParams
    """,
    "outputs": """
        ForwardBackwardInput ForwardBackwardOutput ForwardBackwardRequest ForwardRequest
        SampleResponse SampledSequence StopReason
    """,
    "requests": """
        ClientConfigRequest CopyWeightsRequest CreateCustomLossRequest CreateModelRequest
        CreateSamplingSessionRequest CreateSessionRequest CustomLossGraph CustomLossInput
        CustomLossInputRank CustomLossNode CustomLossNodeOp FutureRetrieveRequest
        FuturesRetrieveRequest GetInfoRequest JoinSamplingSessionRequest LoadWeightsRequest
        OptimStepRequest SampleRequest SamplingClientKind SamplingSessionFuturesTarget
        SaveWeightsExternalRequest SaveWeightsForSamplerRequest SaveWeightsRequest
        SessionHeartbeatRequest UnloadModelRequest
    """,
    "responses": """
        AuditLogEntry AuditLogResponse AuthTokenResponse Checkpoint CheckpointType
        CheckpointsListResponse ClientConfigResponse ClientDynamicConfigResponse
        CopyWeightsResponse CreateCustomLossResponse CreateModelResponse
        CreateSamplingSessionResponse CreateSessionResponse Cursor ExternalWeightsUrlsResponse
        FutureCompletion FutureFailed FutureFinished FutureRetrieveResponse
        FuturesRetrieveResponse GetInfoResponse GetSamplerResponse GetServerCapabilitiesResponse
        GetSessionResponse HealthResponse JoinSamplingSessionResponse ListSessionsResponse
        LoadWeightsResponse ModelData OptimStepResponse ParsedCheckpointTinkerPath
        RequestErrorCategory RequestFailedResponse SaveWeightsExternalResponse
        SaveWeightsExternalResponseInternal SaveWeightsForSamplerResponse
        SaveWeightsForSamplerResponseInternal SaveWeightsResponse SessionHeartbeatResponse
        SupportedModel TelemetryResponse TrainingRun TrainingRunsResponse TryAgainResponse
        UnloadModelResponse UntypedAPIFuture WeightsInfoResponse WhoamiResponse
    """,
    "sessions": """
        AccessibleSearchOwner ActiveSessionStatusQuery CancelledSessionStatusQuery
        ClientFinishedSessionStatusQuery ClientSessionFinishErrored
        ClientSessionFinishInterrupted ClientSessionFinishReason ClientSessionFinishReasonType
        ClientSessionFinishSuccess ClientSessionFinished FailedSessionStatusQuery OwnSearchOwner
        SearchOwner SessionActive SessionCancelled SessionFailed SessionFailedReason
        SessionFailedRequestReason SessionFailedSamplingSessionReason
        SessionFailedTrainingRunReason SessionSearchCursor SessionSearchRequest
        SessionSearchResponse SessionStatus SessionStatusQuery SessionSummary UserSearchOwner
    """,
    "billing": """
        BillingEventInfo BillingUsageEvent BillingUsageResponse BillingUsageSession
        CheckpointBillingEvent CurrentCheckpointStorageUsageItem
        CurrentCheckpointStorageUsageResponse GetBillingUsageRequest
        GetCurrentCheckpointStorageUsageRequest SamplingPrefillBillingEvent
        SamplingSampleBillingEvent StorageBillingEvent TrainingBillingEvent
    """,
    "telemetry": """
        EventType GenericEvent SessionEndEvent SessionStartEvent Severity TelemetryBatch
        TelemetryEvent TelemetrySendRequest UnhandledExceptionEvent
    """,
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}

# The official modules of single records.
_MODULES = """
    audit_log_entry audit_log_response auth_token_response billing_usage_request
    billing_usage_response checkpoint checkpoints_list_response client_config_request
    client_config_response client_dynamic_config_response copy_weights_request
    copy_weights_response create_custom_loss_request create_custom_loss_response
    create_model_request create_model_response create_sampling_session_request
    create_sampling_session_response create_session_request create_session_response
    current_checkpoint_storage_usage_request current_checkpoint_storage_usage_response cursor
    custom_loss_graph custom_loss_input datum dmel_chunk encoded_text_chunk event_type
    external_weights_urls_response forward_backward_input forward_backward_output
    forward_backward_request forward_request future_completion future_retrieve_request
    future_retrieve_response futures_retrieve_request futures_retrieve_response generic_event
    get_info_request get_info_response get_sampler_response get_server_capabilities_response
    get_session_response health_response image_asset_pointer_chunk image_chunk
    join_sampling_session_request join_sampling_session_response list_sessions_response
    load_weights_request load_weights_response lora_config loss_fn_inputs loss_fn_output
    loss_fn_type model_id model_input model_input_chunk optim_step_request optim_step_response
    optimizer prompt_alt_tokens provenance_spans request_error_category request_failed_response
    request_id sample_request sample_response sampled_sequence sampling_client_kind
    sampling_params save_weights_external_request save_weights_external_response
    save_weights_for_sampler_request save_weights_for_sampler_response save_weights_request
    save_weights_response search_owner session_end_event session_heartbeat_request
    session_heartbeat_response session_search_cursor session_search_request
    session_search_response session_start_event session_status session_status_query
    session_summary severity stop_reason telemetry_batch telemetry_event telemetry_response
    telemetry_send_request tensor_data tensor_dtype topk_logprobs training_run
    training_runs_response try_again_response unhandled_exception_event unload_model_request
    unload_model_response weights_info_response whoami_response shared
"""

# Names that only the modules of single records have.
_INNER = frozenset(
    {"CustomLossNodeOp", "GenericEvent", "OptimParamsBase", "OptimizerConfigBase"}
    | {"TopkLogprobs", "TryAgainResponse"}
)

__all__ = sorted(set(_HOME_OF) - _INNER)  # noqa: PLE0605 - a list of the names above


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME_OF})


for _name in _MODULES.split():
    globals()[_name] = sys.modules[f"{__name__}.{_name}"] = sys.modules[__name__]
