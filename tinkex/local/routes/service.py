"""Health, capabilities, client settings, telemetry and tokenizers."""

from typing import Any

from starlette.responses import FileResponse
from tinkex_generated.models import (
    ClientDynamicConfigResponse,
    GetServerCapabilitiesResponse,
    HealthResponse,
    SupportedModel,
    TelemetryResponse,
)

from tinkex.local.call import Call, light
from tinkex.local.site import Site


@light
def healthz(site: Site, call: Call) -> HealthResponse:
    """Say that the server is up."""
    del site, call
    return HealthResponse(status="ok")


def get_server_capabilities(site: Site, call: Call) -> GetServerCapabilitiesResponse:
    """List the base models."""
    del call
    return GetServerCapabilitiesResponse(
        supported_models=[
            SupportedModel(
                model_name=name,
                max_context_length=site.bases.max_context(name),
                trainable=True,
                sampleable=True,
            )
            for name in site.bases.names
        ]
    )


@light
def client_config(site: Site, call: Call) -> dict[str, Any]:
    """Answer that no setting differs from its default."""
    del site, call
    return {}


@light
def client_dynamic_config(site: Site, call: Call) -> ClientDynamicConfigResponse:
    """Answer with the defaults, except that samples can be cancelled here."""
    del site, call
    return ClientDynamicConfigResponse(sample_cancel_enabled=True)


def send_telemetry(site: Site, call: Call) -> TelemetryResponse:
    """Keep the events; nothing is sent anywhere."""
    site.sessions.keep_telemetry(call.body.session_id, call.body.to_dict())
    return TelemetryResponse(status="accepted")


def get_tokenizer(site: Site, call: Call) -> Any:
    """Send the tokenizer.json of a base model, or its configuration."""
    model = call.parameters["model"]
    if call.parameters.get("file") == "tokenizer_config.json":
        return site.bases.tokenizer_config(model)
    return FileResponse(site.bases.tokenizer_file(model), media_type="application/json")


HANDLERS = {
    "healthz": healthz,
    "get_server_capabilities": get_server_capabilities,
    "client_config": client_config,
    "client_dynamic_config": client_dynamic_config,
    "send_telemetry": send_telemetry,
    "get_tokenizer": get_tokenizer,
}
