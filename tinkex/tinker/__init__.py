"""The official package's names and forms, for programs that were written for it.

>>> import tinkex.tinker as tinker
>>> service_client = tinker.ServiceClient(base_url="local")
>>> training_client = service_client.create_lora_training_client("tinkex/nano").result()

Libraries that say ``import tinker`` themselves get this package after `install`. It translates names and
forms, and holds no logic of the protocol. Names load when they are first used; they need the extra
``tinkex[tinker]``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from tinkex.tinker._version import __title__ as __title__
from tinkex.tinker._version import __version__ as __version__

if TYPE_CHECKING:
    from httpx import Timeout as Timeout

    from tinkex.tinker import auth as auth
    from tinkex.tinker import types as types
    from tinkex.tinker._exceptions import APIConnectionError as APIConnectionError
    from tinkex.tinker._exceptions import APIError as APIError
    from tinkex.tinker._exceptions import APIResponseValidationError as APIResponseValidationError
    from tinkex.tinker._exceptions import APIStatusError as APIStatusError
    from tinkex.tinker._exceptions import APITimeoutError as APITimeoutError
    from tinkex.tinker._exceptions import AuthenticationError as AuthenticationError
    from tinkex.tinker._exceptions import BadRequestError as BadRequestError
    from tinkex.tinker._exceptions import BillingError as BillingError
    from tinkex.tinker._exceptions import ConflictError as ConflictError
    from tinkex.tinker._exceptions import InternalServerError as InternalServerError
    from tinkex.tinker._exceptions import NotFoundError as NotFoundError
    from tinkex.tinker._exceptions import PermissionDeniedError as PermissionDeniedError
    from tinkex.tinker._exceptions import RateLimitError as RateLimitError
    from tinkex.tinker._exceptions import RequestFailedError as RequestFailedError
    from tinkex.tinker._exceptions import TinkerError as TinkerError
    from tinkex.tinker._exceptions import UnprocessableEntityError as UnprocessableEntityError
    from tinkex.tinker._request_options import RequestOptions as RequestOptions
    from tinkex.tinker.installation import install as install
    from tinkex.tinker.lib.experimental import ExperimentalWarning as ExperimentalWarning
    from tinkex.tinker.lib.public_interfaces import AdminClient as AdminClient
    from tinkex.tinker.lib.public_interfaces import APIFuture as APIFuture
    from tinkex.tinker.lib.public_interfaces import (
        BackcompatSamplingClientFuture as BackcompatSamplingClientFuture,
    )
    from tinkex.tinker.lib.public_interfaces import (
        BackcompatTrainingClientFuture as BackcompatTrainingClientFuture,
    )
    from tinkex.tinker.lib.public_interfaces import LossHandle as LossHandle
    from tinkex.tinker.lib.public_interfaces import PerDatumLossFn as PerDatumLossFn
    from tinkex.tinker.lib.public_interfaces import RestClient as RestClient
    from tinkex.tinker.lib.public_interfaces import SamplingClient as SamplingClient
    from tinkex.tinker.lib.public_interfaces import ServiceClient as ServiceClient
    from tinkex.tinker.lib.public_interfaces import TrainingClient as TrainingClient
    from tinkex.tinker.types import AdamOptimizerConfig as AdamOptimizerConfig
    from tinkex.tinker.types import AdamParams as AdamParams
    from tinkex.tinker.types import Checkpoint as Checkpoint
    from tinkex.tinker.types import CheckpointType as CheckpointType
    from tinkex.tinker.types import Datum as Datum
    from tinkex.tinker.types import DimuonOptimizerConfig as DimuonOptimizerConfig
    from tinkex.tinker.types import DimuonParams as DimuonParams
    from tinkex.tinker.types import DmelChunk as DmelChunk
    from tinkex.tinker.types import EncodedTextChunk as EncodedTextChunk
    from tinkex.tinker.types import ForwardBackwardOutput as ForwardBackwardOutput
    from tinkex.tinker.types import LoraConfig as LoraConfig
    from tinkex.tinker.types import ModelID as ModelID
    from tinkex.tinker.types import ModelInput as ModelInput
    from tinkex.tinker.types import ModelInputChunk as ModelInputChunk
    from tinkex.tinker.types import OptimParams as OptimParams
    from tinkex.tinker.types import OptimStepRequest as OptimStepRequest
    from tinkex.tinker.types import OptimStepResponse as OptimStepResponse
    from tinkex.tinker.types import ParsedCheckpointTinkerPath as ParsedCheckpointTinkerPath
    from tinkex.tinker.types import PromptProvenanceSpan as PromptProvenanceSpan
    from tinkex.tinker.types import SampledProvenanceSpan as SampledProvenanceSpan
    from tinkex.tinker.types import SampledSequence as SampledSequence
    from tinkex.tinker.types import SampleRequest as SampleRequest
    from tinkex.tinker.types import SampleResponse as SampleResponse
    from tinkex.tinker.types import SamplingParams as SamplingParams
    from tinkex.tinker.types import StopReason as StopReason
    from tinkex.tinker.types import TensorData as TensorData
    from tinkex.tinker.types import TensorDtype as TensorDtype
    from tinkex.tinker.types import TrainingRun as TrainingRun

_HOMES = {
    "httpx": "Timeout",
    "tinkex.tinker.installation": "install",
    "tinkex.tinker._exceptions": """
        APIConnectionError APIError APIResponseValidationError APIStatusError APITimeoutError
        AuthenticationError BadRequestError BillingError ConflictError InternalServerError
        NotFoundError PermissionDeniedError RateLimitError RequestFailedError TinkerError
        UnprocessableEntityError
    """,
    "tinkex.tinker.lib.experimental": """
        ExperimentalWarning
    """,
    "tinkex.tinker._request_options": """
        RequestOptions
    """,
    "tinkex.tinker.lib.public_interfaces": """
        APIFuture AdminClient BackcompatSamplingClientFuture BackcompatTrainingClientFuture
        LossHandle PerDatumLossFn RestClient SamplingClient ServiceClient TrainingClient
    """,
    "tinkex.tinker.types": """
        AdamOptimizerConfig AdamParams Checkpoint CheckpointType Datum DimuonOptimizerConfig
        DimuonParams DmelChunk EncodedTextChunk ForwardBackwardOutput LoraConfig ModelID
        ModelInput ModelInputChunk OptimParams OptimStepRequest OptimStepResponse
        ParsedCheckpointTinkerPath PromptProvenanceSpan SampleRequest SampleResponse
        SampledProvenanceSpan SampledSequence SamplingParams StopReason TensorData TensorDtype
        TrainingRun
    """,
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}
_MODULES = frozenset({"auth", "lib", "types"})

__all__ = sorted({*_HOME_OF, "auth", "types", "__title__", "__version__"})  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"tinkex.tinker.{name}")
    if name not in _HOME_OF:
        raise AttributeError(f"module 'tinkex.tinker' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME_OF, *_MODULES})
