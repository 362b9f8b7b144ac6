"""A synchronous Python SDK for the Tinker API.

>>> import tinkex
>>> with tinkex.ServiceClient(base_url="local") as service:
...     training = service.create_lora_training_client("tinkex/tiny-chat", rank=16)

The names below load when they are first used, so that importing the package costs little.
"""

from __future__ import annotations

import importlib
import logging
from typing import TYPE_CHECKING, Any

from tinkex._version import __version__

if TYPE_CHECKING:
    from tinkex import errors as errors
    from tinkex import events as events
    from tinkex import finetune as finetune
    from tinkex import losses as losses
    from tinkex import metrics as metrics
    from tinkex import recovery as recovery
    from tinkex import regularizers as regularizers
    from tinkex import training_log as training_log
    from tinkex import types as types
    from tinkex.config import Config as Config
    from tinkex.errors import TinkexError as TinkexError
    from tinkex.futures import Future as Future
    from tinkex.futures import as_completed as as_completed
    from tinkex.futures import wait as wait
    from tinkex.logs import enable_logging as enable_logging
    from tinkex.rest import RestClient as RestClient
    from tinkex.sampling import RetryConfig as RetryConfig
    from tinkex.sampling import SamplingClient as SamplingClient
    from tinkex.service import ServiceClient as ServiceClient
    from tinkex.tokenizer import Tokenizer as Tokenizer
    from tinkex.tokenizer import get_tokenizer as get_tokenizer
    from tinkex.training import TrainingClient as TrainingClient
    from tinkex.types import AdamParams as AdamParams
    from tinkex.types import Datum as Datum
    from tinkex.types import EncodedTextChunk as EncodedTextChunk
    from tinkex.types import ForwardBackwardOutput as ForwardBackwardOutput
    from tinkex.types import LoraConfig as LoraConfig
    from tinkex.types import ModelInput as ModelInput
    from tinkex.types import SampledSequence as SampledSequence
    from tinkex.types import SampleResponse as SampleResponse
    from tinkex.types import SamplingParams as SamplingParams
    from tinkex.types import TensorData as TensorData

_HOMES = {
    "Config": "tinkex.config",
    "TinkexError": "tinkex.errors",
    "Future": "tinkex.futures",
    "as_completed": "tinkex.futures",
    "wait": "tinkex.futures",
    "enable_logging": "tinkex.logs",
    "RestClient": "tinkex.rest",
    "RetryConfig": "tinkex.sampling",
    "SamplingClient": "tinkex.sampling",
    "ServiceClient": "tinkex.service",
    "Tokenizer": "tinkex.tokenizer",
    "get_tokenizer": "tinkex.tokenizer",
    "TrainingClient": "tinkex.training",
    "AdamParams": "tinkex.types",
    "Datum": "tinkex.types",
    "EncodedTextChunk": "tinkex.types",
    "ForwardBackwardOutput": "tinkex.types",
    "LoraConfig": "tinkex.types",
    "ModelInput": "tinkex.types",
    "SampleResponse": "tinkex.types",
    "SampledSequence": "tinkex.types",
    "SamplingParams": "tinkex.types",
    "TensorData": "tinkex.types",
}
_MODULES = frozenset(
    {
        "checkpoints",
        "errors",
        "events",
        "finetune",
        "local",
        "losses",
        "metrics",
        "recovery",
        "regularizers",
        "telemetry",
        "training_log",
        "types",
    }
)

__all__ = [
    "AdamParams",
    "Config",
    "Datum",
    "EncodedTextChunk",
    "ForwardBackwardOutput",
    "Future",
    "LoraConfig",
    "ModelInput",
    "RestClient",
    "RetryConfig",
    "SampleResponse",
    "SampledSequence",
    "SamplingClient",
    "SamplingParams",
    "ServiceClient",
    "TensorData",
    "TinkexError",
    "Tokenizer",
    "TrainingClient",
    "__version__",
    "as_completed",
    "enable_logging",
    "errors",
    "events",
    "finetune",
    "get_tokenizer",
    "losses",
    "metrics",
    "recovery",
    "regularizers",
    "training_log",
    "types",
    "wait",
]

# A library leaves it to the program whether and where its lines are written.
logging.getLogger("tinkex").addHandler(logging.NullHandler())


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"tinkex.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'tinkex' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES, *_MODULES})
