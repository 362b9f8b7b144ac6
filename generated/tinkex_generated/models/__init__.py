# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""The objects that requests and responses are made of; each module loads when its class is used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .access_scope import AccessScope
    from .accessible_sessions import AccessibleSessions
    from .active_query import ActiveQuery
    from .active_status import ActiveStatus
    from .adam_params import AdamParams
    from .api_key_details import ApiKeyDetails
    from .api_key_organization import ApiKeyOrganization
    from .api_key_user import ApiKeyUser
    from .audit_event_details import AuditEventDetails
    from .audit_event_type import AuditEventType
    from .audit_log_entry import AuditLogEntry
    from .audit_log_response import AuditLogResponse
    from .auth_token_request import AuthTokenRequest
    from .auth_token_response import AuthTokenResponse
    from .billing_session import BillingSession
    from .billing_usage_event import BillingUsageEvent
    from .billing_usage_response import BillingUsageResponse
    from .cancelled_query import CancelledQuery
    from .cancelled_status import CancelledStatus
    from .checkpoint import Checkpoint
    from .checkpoint_archive_url_response import CheckpointArchiveUrlResponse
    from .checkpoint_kind import CheckpointKind
    from .checkpoint_storage_usage import CheckpointStorageUsage
    from .checkpoint_ttl_request import CheckpointTtlRequest
    from .checkpoint_type import CheckpointType
    from .checkpoint_usage import CheckpointUsage
    from .checkpoints_list_response import CheckpointsListResponse
    from .client_config_request import ClientConfigRequest
    from .client_config_response import ClientConfigResponse
    from .client_dynamic_config_response import ClientDynamicConfigResponse
    from .client_finished_query import ClientFinishedQuery
    from .client_finished_status import ClientFinishedStatus
    from .copy_weights_request import CopyWeightsRequest
    from .copy_weights_response import CopyWeightsResponse
    from .create_custom_loss_request import CreateCustomLossRequest
    from .create_custom_loss_response import CreateCustomLossResponse
    from .create_model_request import CreateModelRequest
    from .create_model_response import CreateModelResponse
    from .create_sampling_session_request import CreateSamplingSessionRequest
    from .create_sampling_session_response import CreateSamplingSessionResponse
    from .create_session_request import CreateSessionRequest
    from .create_session_response import CreateSessionResponse
    from .current_checkpoint_storage_usage_response import CurrentCheckpointStorageUsageResponse
    from .cursor import Cursor
    from .custom_loss_graph import CustomLossGraph
    from .custom_loss_input import CustomLossInput
    from .custom_loss_kwargs import CustomLossKwargs
    from .custom_loss_node import CustomLossNode
    from .custom_loss_op import CustomLossOp
    from .datum import Datum
    from .dimuon_params import DimuonParams
    from .dmel_chunk import DmelChunk
    from .encoded_text_chunk import EncodedTextChunk
    from .error_body import ErrorBody
    from .error_issue import ErrorIssue
    from .event_type import EventType
    from .external_weights_urls_response import ExternalWeightsUrlsResponse
    from .failed_completion import FailedCompletion
    from .failed_query import FailedQuery
    from .failed_status import FailedStatus
    from .file_urls import FileUrls
    from .finish_session_request import FinishSessionRequest
    from .finished_completion import FinishedCompletion
    from .forward_backward_input import ForwardBackwardInput
    from .forward_backward_output import ForwardBackwardOutput
    from .forward_backward_request import ForwardBackwardRequest
    from .forward_request import ForwardRequest
    from .future_cancel_request import FutureCancelRequest
    from .future_metadata_response import FutureMetadataResponse
    from .future_retrieve_request import FutureRetrieveRequest
    from .futures_retrieve_request import FuturesRetrieveRequest
    from .futures_retrieve_response import FuturesRetrieveResponse
    from .generic_event import GenericEvent
    from .get_info_request import GetInfoRequest
    from .get_info_response import GetInfoResponse
    from .get_sampler_response import GetSamplerResponse
    from .get_server_capabilities_response import GetServerCapabilitiesResponse
    from .get_session_response import GetSessionResponse
    from .get_tokenizer_file import GetTokenizerFile
    from .health_response import HealthResponse
    from .image_asset_pointer_chunk import ImageAssetPointerChunk
    from .image_chunk import ImageChunk
    from .image_format import ImageFormat
    from .join_sampling_session_request import JoinSamplingSessionRequest
    from .join_sampling_session_response import JoinSamplingSessionResponse
    from .list_sessions_response import ListSessionsResponse
    from .load_weights_request import LoadWeightsRequest
    from .load_weights_response import LoadWeightsResponse
    from .lora_config import LoraConfig
    from .loss_fn_config import LossFnConfig
    from .loss_fn_inputs import LossFnInputs
    from .loss_fn_output import LossFnOutput
    from .loss_fn_type import LossFnType
    from .metrics import Metrics
    from .model_data import ModelData
    from .model_input import ModelInput
    from .optim_step_request import OptimStepRequest
    from .optim_step_response import OptimStepResponse
    from .optimizer_config import OptimizerConfig
    from .own_sessions import OwnSessions
    from .prompt_alt_tokens import PromptAltTokens
    from .prompt_provenance_span import PromptProvenanceSpan
    from .queue_state import QueueState
    from .request_error_category import RequestErrorCategory
    from .request_failed_response import RequestFailedResponse
    from .request_failure import RequestFailure
    from .sample_request import SampleRequest
    from .sample_response import SampleResponse
    from .sample_stream_chunk import SampleStreamChunk
    from .sampled_provenance_span import SampledProvenanceSpan
    from .sampled_sequence import SampledSequence
    from .sampling_client_kind import SamplingClientKind
    from .sampling_params import SamplingParams
    from .sampling_prefill_usage import SamplingPrefillUsage
    from .sampling_sample_usage import SamplingSampleUsage
    from .sampling_session_failure import SamplingSessionFailure
    from .sampling_session_target import SamplingSessionTarget
    from .save_weights_external_request import SaveWeightsExternalRequest
    from .save_weights_external_response_internal import SaveWeightsExternalResponseInternal
    from .save_weights_for_sampler_request import SaveWeightsForSamplerRequest
    from .save_weights_for_sampler_response_internal import SaveWeightsForSamplerResponseInternal
    from .save_weights_request import SaveWeightsRequest
    from .save_weights_response import SaveWeightsResponse
    from .self_api_key_response import SelfApiKeyResponse
    from .session_end_event import SessionEndEvent
    from .session_end_reason import SessionEndReason
    from .session_finish_reason import SessionFinishReason
    from .session_heartbeat_request import SessionHeartbeatRequest
    from .session_heartbeat_response import SessionHeartbeatResponse
    from .session_project_request import SessionProjectRequest
    from .session_search_cursor import SessionSearchCursor
    from .session_search_request import SessionSearchRequest
    from .session_search_response import SessionSearchResponse
    from .session_start_event import SessionStartEvent
    from .session_summary import SessionSummary
    from .session_trace_export_poll_response import SessionTraceExportPollResponse
    from .session_usage_map import SessionUsageMap
    from .severity import Severity
    from .stop_reason import StopReason
    from .storage_usage import StorageUsage
    from .supported_model import SupportedModel
    from .telemetry_event_data import TelemetryEventData
    from .telemetry_list_response import TelemetryListResponse
    from .telemetry_record import TelemetryRecord
    from .telemetry_response import TelemetryResponse
    from .telemetry_send_request import TelemetrySendRequest
    from .tensor_data import TensorData
    from .tensor_dtype import TensorDtype
    from .tokenizer_file import TokenizerFile
    from .trace_export_status import TraceExportStatus
    from .trace_file import TraceFile
    from .training_run import TrainingRun
    from .training_run_failure import TrainingRunFailure
    from .training_runs_response import TrainingRunsResponse
    from .training_usage import TrainingUsage
    from .try_again_response import TryAgainResponse
    from .unhandled_exception_event import UnhandledExceptionEvent
    from .unload_model_request import UnloadModelRequest
    from .unload_model_response import UnloadModelResponse
    from .untyped_api_future import UntypedAPIFuture
    from .upload_form import UploadForm
    from .uploaded_field import UploadedField
    from .uploaded_file import UploadedFile
    from .uploaded_form import UploadedForm
    from .user_metadata import UserMetadata
    from .user_sessions import UserSessions
    from .weights_info_request import WeightsInfoRequest
    from .weights_info_response import WeightsInfoResponse

__all__ = (
    "AccessibleSessions",
    "AccessScope",
    "ActiveQuery",
    "ActiveStatus",
    "AdamParams",
    "ApiKeyDetails",
    "ApiKeyOrganization",
    "ApiKeyUser",
    "AuditEventDetails",
    "AuditEventType",
    "AuditLogEntry",
    "AuditLogResponse",
    "AuthTokenRequest",
    "AuthTokenResponse",
    "BillingSession",
    "BillingUsageEvent",
    "BillingUsageResponse",
    "CancelledQuery",
    "CancelledStatus",
    "Checkpoint",
    "CheckpointArchiveUrlResponse",
    "CheckpointKind",
    "CheckpointsListResponse",
    "CheckpointStorageUsage",
    "CheckpointTtlRequest",
    "CheckpointType",
    "CheckpointUsage",
    "ClientConfigRequest",
    "ClientConfigResponse",
    "ClientDynamicConfigResponse",
    "ClientFinishedQuery",
    "ClientFinishedStatus",
    "CopyWeightsRequest",
    "CopyWeightsResponse",
    "CreateCustomLossRequest",
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
    "CustomLossKwargs",
    "CustomLossNode",
    "CustomLossOp",
    "Datum",
    "DimuonParams",
    "DmelChunk",
    "EncodedTextChunk",
    "ErrorBody",
    "ErrorIssue",
    "EventType",
    "ExternalWeightsUrlsResponse",
    "FailedCompletion",
    "FailedQuery",
    "FailedStatus",
    "FileUrls",
    "FinishedCompletion",
    "FinishSessionRequest",
    "ForwardBackwardInput",
    "ForwardBackwardOutput",
    "ForwardBackwardRequest",
    "ForwardRequest",
    "FutureCancelRequest",
    "FutureMetadataResponse",
    "FutureRetrieveRequest",
    "FuturesRetrieveRequest",
    "FuturesRetrieveResponse",
    "GenericEvent",
    "GetInfoRequest",
    "GetInfoResponse",
    "GetSamplerResponse",
    "GetServerCapabilitiesResponse",
    "GetSessionResponse",
    "GetTokenizerFile",
    "HealthResponse",
    "ImageAssetPointerChunk",
    "ImageChunk",
    "ImageFormat",
    "JoinSamplingSessionRequest",
    "JoinSamplingSessionResponse",
    "ListSessionsResponse",
    "LoadWeightsRequest",
    "LoadWeightsResponse",
    "LoraConfig",
    "LossFnConfig",
    "LossFnInputs",
    "LossFnOutput",
    "LossFnType",
    "Metrics",
    "ModelData",
    "ModelInput",
    "OptimizerConfig",
    "OptimStepRequest",
    "OptimStepResponse",
    "OwnSessions",
    "PromptAltTokens",
    "PromptProvenanceSpan",
    "QueueState",
    "RequestErrorCategory",
    "RequestFailedResponse",
    "RequestFailure",
    "SampledProvenanceSpan",
    "SampledSequence",
    "SampleRequest",
    "SampleResponse",
    "SampleStreamChunk",
    "SamplingClientKind",
    "SamplingParams",
    "SamplingPrefillUsage",
    "SamplingSampleUsage",
    "SamplingSessionFailure",
    "SamplingSessionTarget",
    "SaveWeightsExternalRequest",
    "SaveWeightsExternalResponseInternal",
    "SaveWeightsForSamplerRequest",
    "SaveWeightsForSamplerResponseInternal",
    "SaveWeightsRequest",
    "SaveWeightsResponse",
    "SelfApiKeyResponse",
    "SessionEndEvent",
    "SessionEndReason",
    "SessionFinishReason",
    "SessionHeartbeatRequest",
    "SessionHeartbeatResponse",
    "SessionProjectRequest",
    "SessionSearchCursor",
    "SessionSearchRequest",
    "SessionSearchResponse",
    "SessionStartEvent",
    "SessionSummary",
    "SessionTraceExportPollResponse",
    "SessionUsageMap",
    "Severity",
    "StopReason",
    "StorageUsage",
    "SupportedModel",
    "TelemetryEventData",
    "TelemetryListResponse",
    "TelemetryRecord",
    "TelemetryResponse",
    "TelemetrySendRequest",
    "TensorData",
    "TensorDtype",
    "TokenizerFile",
    "TraceExportStatus",
    "TraceFile",
    "TrainingRun",
    "TrainingRunFailure",
    "TrainingRunsResponse",
    "TrainingUsage",
    "TryAgainResponse",
    "UnhandledExceptionEvent",
    "UnloadModelRequest",
    "UnloadModelResponse",
    "UntypedAPIFuture",
    "UploadedField",
    "UploadedFile",
    "UploadedForm",
    "UploadForm",
    "UserMetadata",
    "UserSessions",
    "WeightsInfoRequest",
    "WeightsInfoResponse",
)

_MODULES = {
    "AccessibleSessions": "accessible_sessions",
    "AccessScope": "access_scope",
    "ActiveQuery": "active_query",
    "ActiveStatus": "active_status",
    "AdamParams": "adam_params",
    "ApiKeyDetails": "api_key_details",
    "ApiKeyOrganization": "api_key_organization",
    "ApiKeyUser": "api_key_user",
    "AuditEventDetails": "audit_event_details",
    "AuditEventType": "audit_event_type",
    "AuditLogEntry": "audit_log_entry",
    "AuditLogResponse": "audit_log_response",
    "AuthTokenRequest": "auth_token_request",
    "AuthTokenResponse": "auth_token_response",
    "BillingSession": "billing_session",
    "BillingUsageEvent": "billing_usage_event",
    "BillingUsageResponse": "billing_usage_response",
    "CancelledQuery": "cancelled_query",
    "CancelledStatus": "cancelled_status",
    "Checkpoint": "checkpoint",
    "CheckpointArchiveUrlResponse": "checkpoint_archive_url_response",
    "CheckpointKind": "checkpoint_kind",
    "CheckpointsListResponse": "checkpoints_list_response",
    "CheckpointStorageUsage": "checkpoint_storage_usage",
    "CheckpointTtlRequest": "checkpoint_ttl_request",
    "CheckpointType": "checkpoint_type",
    "CheckpointUsage": "checkpoint_usage",
    "ClientConfigRequest": "client_config_request",
    "ClientConfigResponse": "client_config_response",
    "ClientDynamicConfigResponse": "client_dynamic_config_response",
    "ClientFinishedQuery": "client_finished_query",
    "ClientFinishedStatus": "client_finished_status",
    "CopyWeightsRequest": "copy_weights_request",
    "CopyWeightsResponse": "copy_weights_response",
    "CreateCustomLossRequest": "create_custom_loss_request",
    "CreateCustomLossResponse": "create_custom_loss_response",
    "CreateModelRequest": "create_model_request",
    "CreateModelResponse": "create_model_response",
    "CreateSamplingSessionRequest": "create_sampling_session_request",
    "CreateSamplingSessionResponse": "create_sampling_session_response",
    "CreateSessionRequest": "create_session_request",
    "CreateSessionResponse": "create_session_response",
    "CurrentCheckpointStorageUsageResponse": "current_checkpoint_storage_usage_response",
    "Cursor": "cursor",
    "CustomLossGraph": "custom_loss_graph",
    "CustomLossInput": "custom_loss_input",
    "CustomLossKwargs": "custom_loss_kwargs",
    "CustomLossNode": "custom_loss_node",
    "CustomLossOp": "custom_loss_op",
    "Datum": "datum",
    "DimuonParams": "dimuon_params",
    "DmelChunk": "dmel_chunk",
    "EncodedTextChunk": "encoded_text_chunk",
    "ErrorBody": "error_body",
    "ErrorIssue": "error_issue",
    "EventType": "event_type",
    "ExternalWeightsUrlsResponse": "external_weights_urls_response",
    "FailedCompletion": "failed_completion",
    "FailedQuery": "failed_query",
    "FailedStatus": "failed_status",
    "FileUrls": "file_urls",
    "FinishedCompletion": "finished_completion",
    "FinishSessionRequest": "finish_session_request",
    "ForwardBackwardInput": "forward_backward_input",
    "ForwardBackwardOutput": "forward_backward_output",
    "ForwardBackwardRequest": "forward_backward_request",
    "ForwardRequest": "forward_request",
    "FutureCancelRequest": "future_cancel_request",
    "FutureMetadataResponse": "future_metadata_response",
    "FutureRetrieveRequest": "future_retrieve_request",
    "FuturesRetrieveRequest": "futures_retrieve_request",
    "FuturesRetrieveResponse": "futures_retrieve_response",
    "GenericEvent": "generic_event",
    "GetInfoRequest": "get_info_request",
    "GetInfoResponse": "get_info_response",
    "GetSamplerResponse": "get_sampler_response",
    "GetServerCapabilitiesResponse": "get_server_capabilities_response",
    "GetSessionResponse": "get_session_response",
    "GetTokenizerFile": "get_tokenizer_file",
    "HealthResponse": "health_response",
    "ImageAssetPointerChunk": "image_asset_pointer_chunk",
    "ImageChunk": "image_chunk",
    "ImageFormat": "image_format",
    "JoinSamplingSessionRequest": "join_sampling_session_request",
    "JoinSamplingSessionResponse": "join_sampling_session_response",
    "ListSessionsResponse": "list_sessions_response",
    "LoadWeightsRequest": "load_weights_request",
    "LoadWeightsResponse": "load_weights_response",
    "LoraConfig": "lora_config",
    "LossFnConfig": "loss_fn_config",
    "LossFnInputs": "loss_fn_inputs",
    "LossFnOutput": "loss_fn_output",
    "LossFnType": "loss_fn_type",
    "Metrics": "metrics",
    "ModelData": "model_data",
    "ModelInput": "model_input",
    "OptimizerConfig": "optimizer_config",
    "OptimStepRequest": "optim_step_request",
    "OptimStepResponse": "optim_step_response",
    "OwnSessions": "own_sessions",
    "PromptAltTokens": "prompt_alt_tokens",
    "PromptProvenanceSpan": "prompt_provenance_span",
    "QueueState": "queue_state",
    "RequestErrorCategory": "request_error_category",
    "RequestFailedResponse": "request_failed_response",
    "RequestFailure": "request_failure",
    "SampledProvenanceSpan": "sampled_provenance_span",
    "SampledSequence": "sampled_sequence",
    "SampleRequest": "sample_request",
    "SampleResponse": "sample_response",
    "SampleStreamChunk": "sample_stream_chunk",
    "SamplingClientKind": "sampling_client_kind",
    "SamplingParams": "sampling_params",
    "SamplingPrefillUsage": "sampling_prefill_usage",
    "SamplingSampleUsage": "sampling_sample_usage",
    "SamplingSessionFailure": "sampling_session_failure",
    "SamplingSessionTarget": "sampling_session_target",
    "SaveWeightsExternalRequest": "save_weights_external_request",
    "SaveWeightsExternalResponseInternal": "save_weights_external_response_internal",
    "SaveWeightsForSamplerRequest": "save_weights_for_sampler_request",
    "SaveWeightsForSamplerResponseInternal": "save_weights_for_sampler_response_internal",
    "SaveWeightsRequest": "save_weights_request",
    "SaveWeightsResponse": "save_weights_response",
    "SelfApiKeyResponse": "self_api_key_response",
    "SessionEndEvent": "session_end_event",
    "SessionEndReason": "session_end_reason",
    "SessionFinishReason": "session_finish_reason",
    "SessionHeartbeatRequest": "session_heartbeat_request",
    "SessionHeartbeatResponse": "session_heartbeat_response",
    "SessionProjectRequest": "session_project_request",
    "SessionSearchCursor": "session_search_cursor",
    "SessionSearchRequest": "session_search_request",
    "SessionSearchResponse": "session_search_response",
    "SessionStartEvent": "session_start_event",
    "SessionSummary": "session_summary",
    "SessionTraceExportPollResponse": "session_trace_export_poll_response",
    "SessionUsageMap": "session_usage_map",
    "Severity": "severity",
    "StopReason": "stop_reason",
    "StorageUsage": "storage_usage",
    "SupportedModel": "supported_model",
    "TelemetryEventData": "telemetry_event_data",
    "TelemetryListResponse": "telemetry_list_response",
    "TelemetryRecord": "telemetry_record",
    "TelemetryResponse": "telemetry_response",
    "TelemetrySendRequest": "telemetry_send_request",
    "TensorData": "tensor_data",
    "TensorDtype": "tensor_dtype",
    "TokenizerFile": "tokenizer_file",
    "TraceExportStatus": "trace_export_status",
    "TraceFile": "trace_file",
    "TrainingRun": "training_run",
    "TrainingRunFailure": "training_run_failure",
    "TrainingRunsResponse": "training_runs_response",
    "TrainingUsage": "training_usage",
    "TryAgainResponse": "try_again_response",
    "UnhandledExceptionEvent": "unhandled_exception_event",
    "UnloadModelRequest": "unload_model_request",
    "UnloadModelResponse": "unload_model_response",
    "UntypedAPIFuture": "untyped_api_future",
    "UploadedField": "uploaded_field",
    "UploadedFile": "uploaded_file",
    "UploadedForm": "uploaded_form",
    "UploadForm": "upload_form",
    "UserMetadata": "user_metadata",
    "UserSessions": "user_sessions",
    "WeightsInfoRequest": "weights_info_request",
    "WeightsInfoResponse": "weights_info_response",
}


def __getattr__(name: str) -> Any:
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{module}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
