"""Health, capabilities, client settings, telemetry and tokenizers."""

from typing import Any

from starlette.responses import FileResponse
from tinkex_generated.models import (
    ClientDynamicConfigResponse,
    Cursor,
    GetServerCapabilitiesResponse,
    HealthResponse,
    SupportedModel,
    TelemetryListResponse,
    TelemetryRecord,
    TelemetryResponse,
)

from tinkex.local.app_state import AppState
from tinkex.local.call import Call, light
from tinkex.local.database import from_json
from tinkex.local.routes.runs import as_time


@light
def healthz(state: AppState, call: Call) -> HealthResponse:
    """Report that the server is up."""
    del state, call
    return HealthResponse(status="ok")


def get_server_capabilities(state: AppState, call: Call) -> GetServerCapabilitiesResponse:
    """List the base models."""
    del call
    return GetServerCapabilitiesResponse(
        supported_models=[
            SupportedModel(
                model_name=name,
                max_context_length=state.bases.max_context(name),
                trainable=True,
                sampleable=True,
            )
            for name in state.bases.names
        ]
    )


@light
def client_config(state: AppState, call: Call) -> dict[str, Any]:
    """Return the settings that differ from their defaults.

    Chunks of a batch are sent one after the other: of parallel ones the official client sends the
    first chunk last, and waits indefinitely for its turn if another one was refused.
    """
    del state
    return {"parallel_fwdbwd_chunks": False, "console_url": str(call.request.base_url)}


@light
def client_dynamic_config(state: AppState, call: Call) -> ClientDynamicConfigResponse:
    """Return the defaults, except that samples can be cancelled here."""
    del state, call
    return ClientDynamicConfigResponse(sample_cancel_enabled=True)


def send_telemetry(state: AppState, call: Call) -> TelemetryResponse:
    """Store the events; nothing is sent anywhere."""
    state.sessions.keep_telemetry(call.body.session_id, call.body.to_dict())
    return TelemetryResponse(status="accepted")


def list_telemetry(state: AppState, call: Call) -> TelemetryListResponse:
    """List the events that were kept, newest first."""
    asked = call.parameters
    limit, offset = asked["limit"], asked["offset"]
    rows, total = state.sessions.telemetry(
        limit,
        offset,
        session_id=asked["session_id"],
        event=asked["event"],
        severity=asked["severity"],
    )
    return TelemetryListResponse(
        events=[
            TelemetryRecord.from_dict(
                {
                    **from_json(row["batch"]),
                    "received_at": as_time(row["received_at"]).isoformat(),
                    "event": from_json(row["event"]),
                }
            )
            for row in rows
        ],
        cursor=Cursor(offset=offset, limit=limit, total_count=total),
    )


def get_tokenizer(state: AppState, call: Call) -> Any:
    """Send the tokenizer.json of a base model, or its configuration."""
    model = call.parameters["model"]
    if call.parameters.get("file") == "tokenizer_config.json":
        return state.bases.tokenizer_config(model)
    return FileResponse(state.bases.tokenizer_file(model), media_type="application/json")


HANDLERS = {
    "healthz": healthz,
    "get_server_capabilities": get_server_capabilities,
    "client_config": client_config,
    "client_dynamic_config": client_dynamic_config,
    "send_telemetry": send_telemetry,
    "list_telemetry": list_telemetry,
    "get_tokenizer": get_tokenizer,
}
