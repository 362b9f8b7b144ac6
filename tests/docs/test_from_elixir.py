"""The page for those who come from the Elixir SDK gives a place to all of it."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path
from typing import Any

import pytest
from support.nano import nano_service

import tinkex
from tinkex.config.settings import SETTINGS

__all__ = ["nano_service"]

PAGE = (Path(__file__).parents[2] / "docs" / "from-elixir.md").read_text(encoding="utf-8")
ROWS = [row.strip("|").split(" | ") for row in PAGE.splitlines() if row.startswith("| ")]
# The areas of its behaviour, and how many parts each has.
AREAS = {
    "B1": 7, "B2": 6, "B3": 0, "B4": 0, "B5": 6, "B6": 7, "B7": 0, "B8": 0, "B9": 0, "B10": 0,
    "B11": 0, "B12": 0, "B13": 5, "B14": 0, "B15": 0, "B16": 0, "B17": 0, "B18": 0, "B19": 0,
    "B20": 0, "B21": 0, "B22": 0, "B23": 0, "B24": 0,
}  # fmt: skip
PARTS = [
    f"{area}.{part}" if count else area
    for area, count in AREAS.items()
    for part in range(1, max(1, count) + 1)
]
# The fields of its configuration.
OPTIONS = (
    "api_key", "base_url", "project_id", "timeout", "max_retries", "poll_backoff", "user_metadata",
    "tags", "feature_gates", "telemetry_enabled?", "log_level", "cf_access_client_id",
    "cf_access_client_secret", "dump_headers?", "proxy", "proxy_headers", "default_headers",
    "default_query", "recovery", "otel_propagate", "http_pool", "http_client",
)  # fmt: skip
# The modules under Tinkex.Types.
TYPES = """
    AdamParams Checkpoint CheckpointArchiveUrlResponse CheckpointsListResponse CreateModelRequest
    CreateModelResponse CreateSamplingSessionRequest CreateSamplingSessionResponse
    CreateSessionRequest CreateSessionResponse Cursor CustomLossOutput Datum EncodedTextChunk
    ForwardBackwardInput ForwardBackwardOutput ForwardBackwardRequest ForwardRequest
    FutureCompletedMetadataResponse FutureCompletedResponse FutureFailedResponse
    FuturePendingResponse FutureRetrieveRequest FutureRetrieveResponse GetInfoRequest
    GetInfoResponse GetSamplerResponse GetServerCapabilitiesResponse GetSessionResponse
    HealthResponse ImageAssetPointerChunk ImageChunk ListSessionsResponse LoadWeightsRequest
    LoadWeightsResponse LoraConfig LossFnType ModelData ModelInput OptimStepRequest
    OptimStepResponse ParsedCheckpointTinkerPath QueueState RegularizerOutput RegularizerSpec
    RequestErrorCategory RequestFailedResponse SampleRequest SampleResponse SampleStreamChunk
    SampledSequence SamplingParams SaveWeightsForSamplerRequest SaveWeightsForSamplerResponse
    SaveWeightsRequest SaveWeightsResponse SessionHeartbeatRequest SessionHeartbeatResponse
    StopReason SupportedModel TelemetryResponse TensorData TensorDtype TrainingRun
    TrainingRunsResponse TryAgainResponse UnloadModelRequest UnloadModelResponse
    WeightsInfoResponse EventType Severity GenericEvent SessionStartEvent SessionEndEvent
    UnhandledExceptionEvent TelemetryEvent TelemetryBatch TelemetrySendRequest TypeAliases
""".split()  # noqa: SIM905
# The public functions of its REST client, whose names are kept.
REST = """
    get_session list_sessions get_sampler get_weights_info_by_tinker_path get_training_run
    get_training_run_by_tinker_path list_training_runs list_checkpoints list_user_checkpoints
    get_checkpoint_archive_url delete_checkpoint publish_checkpoint unpublish_checkpoint
    publish_checkpoint_from_tinker_path unpublish_checkpoint_from_tinker_path
    set_checkpoint_ttl_from_tinker_path delete_checkpoint_from_tinker_path
    get_checkpoint_archive_url_from_tinker_path
""".split()  # noqa: SIM905
EVENTS = """
    http.request.start http.request.stop http.request.exception queue.state_change future.timeout
    future.api_error future.connection_error future.request_failed future.validation_error
    retry.attempt.start retry.attempt.stop retry.attempt.retry retry.attempt.failed
    recovery.detected recovery.poll_error recovery.started recovery.checkpoint_selected
    recovery.client_created recovery.completed recovery.failed recovery.exhausted
    custom_loss.start custom_loss.stop custom_loss.exception regularizer.compute.start
    regularizer.compute.stop regularizer.compute.exception
""".split()  # noqa: SIM905


@pytest.mark.parametrize("part", PARTS)
def test_each_part_has_its_row(part: str) -> None:
    """Whatever it does has a place here, or a reason why it has none."""
    rows = [row for row in ROWS if re.search(rf"[( ]{re.escape(part)}[),]", row[0])]
    assert rows, part
    for row in rows:
        assert row[1].strip(" –") or row[2].strip(), row


@pytest.mark.parametrize("option", OPTIONS)
def test_each_setting_has_its_spelling(option: str) -> None:
    """It is a setting of the same name, or in the table of spellings."""
    spellings = PAGE.partition("### Config.new")[2].partition("\n## ")[0]
    assert option in SETTINGS or option in spellings


def test_each_type_can_be_had() -> None:
    """By the same name, or in the table of those that have another."""
    others = PAGE.partition("### Types")[2]
    assert [n for n in TYPES if not hasattr(tinkex.types, n) and f"`{n}`" not in others] == []


def test_calls_and_events_keep_their_names() -> None:
    """As the page says of both."""
    assert [name for name in REST if not hasattr(tinkex.RestClient, name)] == []
    classes = [*vars_of("tinkex.observability.events"), *vars_of("tinkex.recovery")]
    ours = {getattr(kind, "name", "") for kind in classes}
    assert {f"tinkex.{name}" for name in EVENTS} <= ours


def vars_of(module: str) -> list[Any]:
    found = importlib.import_module(module)
    return [getattr(found, name) for name in found.__all__]


def test_what_the_page_names_is_there(nano_service: tinkex.ServiceClient) -> None:
    """Modules, clients with their attributes, and settings."""
    training = nano_service.create_lora_training_client("tinkex/nano", rank=4)
    datum = tinkex.losses.completion_datum([1, 2], [3, 4])
    roots = {
        "tinkex": tinkex, "service": nano_service, "training": training,
        "sampler": nano_service.create_sampling_client(base_model="tinkex/nano"),
        "rest": nano_service.create_rest_client(),
        "future": training.forward([datum], "cross_entropy"),
    }  # fmt: skip
    callers = (type(client) for name, client in roots.items() if name not in ("tinkex", "future"))
    arguments = {
        argument
        for caller in (*callers, tinkex.Config)
        for name, method in inspect.getmembers(caller, inspect.isroutine)
        if not name.startswith("__") or name == "__init__"
        for argument in inspect.signature(method).parameters
    }
    named = [re.findall(r"`([a-z_]+(?:\.\w+)*)(=?)", row[1]) for row in ROWS]
    seen = 0
    for path, is_setting in (name for names in named for name in names):
        root, *attributes = path.split(".")
        if is_setting:
            assert path in SETTINGS.keys() | arguments, path
        elif root in roots and attributes:
            value = roots[root]
            for attribute in attributes:
                if root == "tinkex" and not hasattr(value, attribute):
                    value = importlib.import_module(f"{value.__name__}.{attribute}")
                else:
                    value = getattr(value, attribute)
            seen += 1
    assert seen > 40
