"""A synchronous Python SDK for the Tinker API.

>>> import tinkex
>>> with tinkex.ServiceClient(base_url="local") as service:
...     training = service.create_lora_training_client("tinkex/tiny-chat", rank=16)

The names below are loaded on first use, to keep the import fast. Nothing else is imported here: the
`tinkex` command handles Ctrl-C only after this import.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tinkex import checkpoints as checkpoints
    from tinkex import errors as errors
    from tinkex import losses as losses
    from tinkex import recipes as recipes
    from tinkex import recovery as recovery
    from tinkex import regularizers as regularizers
    from tinkex import retry as retry
    from tinkex import types as types
    from tinkex._base.secret import Secret as Secret
    from tinkex._base.version import __version__ as __version__
    from tinkex._core import multipart as multipart
    from tinkex._core.futures import Future as Future
    from tinkex._core.futures import as_completed as as_completed
    from tinkex._core.futures import wait as wait
    from tinkex.config import Config as Config
    from tinkex.errors import ApiError as ApiError
    from tinkex.errors import AuthenticationError as AuthenticationError
    from tinkex.errors import BadRequestError as BadRequestError
    from tinkex.errors import BillingError as BillingError
    from tinkex.errors import CheckpointError as CheckpointError
    from tinkex.errors import CircuitOpenError as CircuitOpenError
    from tinkex.errors import ClientClosedError as ClientClosedError
    from tinkex.errors import ConfigurationError as ConfigurationError
    from tinkex.errors import ConflictError as ConflictError
    from tinkex.errors import ConnectError as ConnectError
    from tinkex.errors import DecodeError as DecodeError
    from tinkex.errors import DivergedError as DivergedError
    from tinkex.errors import DownloadIncompleteError as DownloadIncompleteError
    from tinkex.errors import FutureLostError as FutureLostError
    from tinkex.errors import FutureTimeoutError as FutureTimeoutError
    from tinkex.errors import GoneError as GoneError
    from tinkex.errors import MissingCredentialsError as MissingCredentialsError
    from tinkex.errors import MissingDependencyError as MissingDependencyError
    from tinkex.errors import NotFoundError as NotFoundError
    from tinkex.errors import PayloadTooLargeError as PayloadTooLargeError
    from tinkex.errors import PermissionDeniedError as PermissionDeniedError
    from tinkex.errors import ProxyError as ProxyError
    from tinkex.errors import RateLimitError as RateLimitError
    from tinkex.errors import ReadTimeoutError as ReadTimeoutError
    from tinkex.errors import RegularizerTimeoutError as RegularizerTimeoutError
    from tinkex.errors import RequestFailedError as RequestFailedError
    from tinkex.errors import ServerError as ServerError
    from tinkex.errors import SessionLostError as SessionLostError
    from tinkex.errors import TinkexError as TinkexError
    from tinkex.errors import TLSError as TLSError
    from tinkex.errors import TokenizerError as TokenizerError
    from tinkex.errors import TransportError as TransportError
    from tinkex.errors import UnprocessableError as UnprocessableError
    from tinkex.errors import UnsafeArchiveError as UnsafeArchiveError
    from tinkex.errors import ValidationError as ValidationError
    from tinkex.errors import VersionNotSupportedError as VersionNotSupportedError
    from tinkex.observability import events as events
    from tinkex.observability import metrics as metrics
    from tinkex.observability import telemetry as telemetry
    from tinkex.observability import training_log as training_log
    from tinkex.observability.logging import enable_logging as enable_logging
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
    "__version__": "tinkex._base.version",
    "Secret": "tinkex._base.secret",
    "Config": "tinkex.config",
    "Future": "tinkex._core.futures",
    "as_completed": "tinkex._core.futures",
    "wait": "tinkex._core.futures",
    "ApiError": "tinkex.errors",
    "AuthenticationError": "tinkex.errors",
    "BadRequestError": "tinkex.errors",
    "BillingError": "tinkex.errors",
    "CheckpointError": "tinkex.errors",
    "CircuitOpenError": "tinkex.errors",
    "ClientClosedError": "tinkex.errors",
    "ConfigurationError": "tinkex.errors",
    "ConflictError": "tinkex.errors",
    "ConnectError": "tinkex.errors",
    "DecodeError": "tinkex.errors",
    "DivergedError": "tinkex.errors",
    "DownloadIncompleteError": "tinkex.errors",
    "FutureLostError": "tinkex.errors",
    "FutureTimeoutError": "tinkex.errors",
    "GoneError": "tinkex.errors",
    "MissingCredentialsError": "tinkex.errors",
    "MissingDependencyError": "tinkex.errors",
    "NotFoundError": "tinkex.errors",
    "PayloadTooLargeError": "tinkex.errors",
    "PermissionDeniedError": "tinkex.errors",
    "ProxyError": "tinkex.errors",
    "RateLimitError": "tinkex.errors",
    "ReadTimeoutError": "tinkex.errors",
    "RegularizerTimeoutError": "tinkex.errors",
    "RequestFailedError": "tinkex.errors",
    "ServerError": "tinkex.errors",
    "SessionLostError": "tinkex.errors",
    "TLSError": "tinkex.errors",
    "TinkexError": "tinkex.errors",
    "TokenizerError": "tinkex.errors",
    "TransportError": "tinkex.errors",
    "UnprocessableError": "tinkex.errors",
    "UnsafeArchiveError": "tinkex.errors",
    "ValidationError": "tinkex.errors",
    "VersionNotSupportedError": "tinkex.errors",
    "enable_logging": "tinkex.observability.logging",
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
# Modules that are also attributes of the package.
_MODULES = {
    "checkpoints": "tinkex.checkpoints",
    "errors": "tinkex.errors",
    "events": "tinkex.observability.events",
    "local": "tinkex.local",
    "losses": "tinkex.losses",
    "metrics": "tinkex.observability.metrics",
    "multipart": "tinkex._core.multipart",
    "recipes": "tinkex.recipes",
    "recovery": "tinkex.recovery",
    "regularizers": "tinkex.regularizers",
    "retry": "tinkex.retry",
    "telemetry": "tinkex.observability.telemetry",
    "training_log": "tinkex.observability.training_log",
    "types": "tinkex.types",
}

__all__ = [
    "AdamParams",
    "ApiError",
    "AuthenticationError",
    "BadRequestError",
    "BillingError",
    "CheckpointError",
    "CircuitOpenError",
    "ClientClosedError",
    "Config",
    "ConfigurationError",
    "ConflictError",
    "ConnectError",
    "Datum",
    "DecodeError",
    "DivergedError",
    "DownloadIncompleteError",
    "EncodedTextChunk",
    "ForwardBackwardOutput",
    "Future",
    "FutureLostError",
    "FutureTimeoutError",
    "GoneError",
    "LoraConfig",
    "MissingCredentialsError",
    "MissingDependencyError",
    "ModelInput",
    "NotFoundError",
    "PayloadTooLargeError",
    "PermissionDeniedError",
    "ProxyError",
    "RateLimitError",
    "ReadTimeoutError",
    "RegularizerTimeoutError",
    "RequestFailedError",
    "RestClient",
    "RetryConfig",
    "SampleResponse",
    "SampledSequence",
    "SamplingClient",
    "SamplingParams",
    "Secret",
    "ServerError",
    "ServiceClient",
    "SessionLostError",
    "TLSError",
    "TensorData",
    "TinkexError",
    "Tokenizer",
    "TokenizerError",
    "TrainingClient",
    "TransportError",
    "UnprocessableError",
    "UnsafeArchiveError",
    "ValidationError",
    "VersionNotSupportedError",
    "__version__",
    "as_completed",
    "checkpoints",
    "enable_logging",
    "errors",
    "events",
    "get_tokenizer",
    "losses",
    "metrics",
    "multipart",
    "recipes",
    "recovery",
    "regularizers",
    "retry",
    "telemetry",
    "training_log",
    "types",
    "wait",
]


def __getattr__(name: str) -> Any:
    import importlib

    if name in _MODULES:
        return importlib.import_module(_MODULES[name])
    if name not in _HOMES:
        raise AttributeError(f"module 'tinkex' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES, *_MODULES})
