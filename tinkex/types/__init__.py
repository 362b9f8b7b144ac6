"""The value types of the public API.

What users build (data, inputs, parameters) is written by hand and checks itself; what the server
answers is, where nothing has to be added, the class generated from openapi.yaml.
"""

from tinkex_generated.models import (
    Checkpoint,
    CheckpointArchiveUrlResponse,
    CheckpointsListResponse,
    Cursor,
    GetInfoResponse,
    GetSamplerResponse,
    GetServerCapabilitiesResponse,
    GetSessionResponse,
    HealthResponse,
    ListSessionsResponse,
    LoadWeightsResponse,
    ModelData,
    OptimStepResponse,
    SampleStreamChunk,
    SaveWeightsResponse,
    SupportedModel,
    TrainingRun,
    TrainingRunsResponse,
    UnloadModelResponse,
    WeightsInfoResponse,
)
from tinkex_generated.models import (
    SaveWeightsForSamplerResponseInternal as SaveWeightsForSamplerResponse,
)

from tinkex.types.datum import Datum
from tinkex.types.model_input import (
    EncodedTextChunk,
    ImageAssetPointerChunk,
    ImageChunk,
    ModelInput,
    ModelInputChunk,
)
from tinkex.types.outputs import ForwardBackwardOutput, SampledSequence, SampleResponse
from tinkex.types.params import AdamParams, LoraConfig, SamplingParams
from tinkex.types.paths import CheckpointPath
from tinkex.types.tensor import TensorData, TensorDtype

__all__ = [
    "AdamParams",
    "Checkpoint",
    "CheckpointArchiveUrlResponse",
    "CheckpointPath",
    "CheckpointsListResponse",
    "Cursor",
    "Datum",
    "EncodedTextChunk",
    "ForwardBackwardOutput",
    "GetInfoResponse",
    "GetSamplerResponse",
    "GetServerCapabilitiesResponse",
    "GetSessionResponse",
    "HealthResponse",
    "ImageAssetPointerChunk",
    "ImageChunk",
    "ListSessionsResponse",
    "LoadWeightsResponse",
    "LoraConfig",
    "ModelData",
    "ModelInput",
    "ModelInputChunk",
    "OptimStepResponse",
    "SampleResponse",
    "SampleStreamChunk",
    "SampledSequence",
    "SamplingParams",
    "SaveWeightsForSamplerResponse",
    "SaveWeightsResponse",
    "SupportedModel",
    "TensorData",
    "TensorDtype",
    "TrainingRun",
    "TrainingRunsResponse",
    "UnloadModelResponse",
    "WeightsInfoResponse",
]
