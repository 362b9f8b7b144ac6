# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""Fetch the result of a promise.

A long poll: the server holds the request for a while, then answers. In this order, the answer
is

1. a TryAgainResponse (`type` is `try_again`): not done, ask again at once; 408 says the same;
2. a FutureMetadataResponse (`status` is `complete_metadata`): done and large, ask again with
   `allow_metadata_only` false;
3. a RequestFailedResponse (has `error`): failed, for good;
4. else the result, the object that the promise's operation names. The caller knows which one
   it waits for and reads it as that.

Results stay for a while, so asking again after a lost answer is safe. 410 says that the
promise has expired: send the original request again. Some servers report a failed request by
400 instead of 3.

POST /api/v1/retrieve_future
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...decode import Reader, fitting, one_of, parse_json
from ...models.create_custom_loss_response import CreateCustomLossResponse
from ...models.create_model_response import CreateModelResponse
from ...models.forward_backward_output import ForwardBackwardOutput
from ...models.future_metadata_response import FutureMetadataResponse
from ...models.future_retrieve_request import FutureRetrieveRequest
from ...models.load_weights_response import LoadWeightsResponse
from ...models.optim_step_response import OptimStepResponse
from ...models.request_failed_response import RequestFailedResponse
from ...models.sample_response import SampleResponse
from ...models.save_weights_external_response_internal import SaveWeightsExternalResponseInternal
from ...models.save_weights_for_sampler_response_internal import (
    SaveWeightsForSamplerResponseInternal,
)
from ...models.save_weights_response import SaveWeightsResponse
from ...models.try_again_response import TryAgainResponse
from ...models.unload_model_response import UnloadModelResponse
from ...types import Request

if TYPE_CHECKING:
    from ...client import Client

__all__ = ("build_request", "parse_response", "sync")

_READ_RESPONSE: Reader[
    TryAgainResponse
    | FutureMetadataResponse
    | RequestFailedResponse
    | ForwardBackwardOutput
    | SampleResponse
    | CreateModelResponse
    | UnloadModelResponse
    | SaveWeightsResponse
    | SaveWeightsForSamplerResponseInternal
    | SaveWeightsExternalResponseInternal
    | LoadWeightsResponse
    | CreateCustomLossResponse
    | OptimStepResponse
] = one_of(
    fitting(
        TryAgainResponse.from_dict, keys=("type", "request_id"), constants={"type": "try_again"}
    ),
    fitting(
        FutureMetadataResponse.from_dict,
        keys=("status", "response_payload_size"),
        constants={"status": "complete_metadata"},
    ),
    fitting(RequestFailedResponse.from_dict, keys=("error",)),
    fitting(ForwardBackwardOutput.from_dict, keys=("loss_fn_output_type", "loss_fn_outputs")),
    fitting(SampleResponse.from_dict, keys=("sequences",), constants={"type": "sample"}),
    fitting(CreateModelResponse.from_dict, keys=("model_id",), constants={"type": "create_model"}),
    fitting(UnloadModelResponse.from_dict, keys=("model_id",), constants={"type": "unload_model"}),
    fitting(SaveWeightsResponse.from_dict, keys=("path",), constants={"type": "save_weights"}),
    fitting(
        SaveWeightsForSamplerResponseInternal.from_dict,
        any_of=("path", "sampling_session_id", "type"),
        constants={"type": "save_weights_for_sampler"},
    ),
    fitting(
        SaveWeightsExternalResponseInternal.from_dict,
        any_of=("path", "size_bytes", "type"),
        constants={"type": "save_weights_external"},
    ),
    fitting(
        LoadWeightsResponse.from_dict,
        any_of=("path", "model_id", "type"),
        constants={"type": "load_weights"},
    ),
    fitting(
        CreateCustomLossResponse.from_dict,
        keys=("loss_id",),
        constants={"type": "create_custom_loss"},
    ),
    fitting(OptimStepResponse.from_dict),
)


def build_request(*, body: FutureRetrieveRequest) -> Request:
    """Describe the request; nothing is sent."""
    headers: dict[str, str] = {"accept": "application/json"}
    return Request(
        operation="retrieve_future",
        method="POST",
        path="/api/v1/retrieve_future",
        headers=headers,
        body=body.to_dict(),
        content_type="application/json",
        secured=True,
    )


def parse_response(
    content: bytes,
) -> (
    TryAgainResponse
    | FutureMetadataResponse
    | RequestFailedResponse
    | ForwardBackwardOutput
    | SampleResponse
    | CreateModelResponse
    | UnloadModelResponse
    | SaveWeightsResponse
    | SaveWeightsForSamplerResponseInternal
    | SaveWeightsExternalResponseInternal
    | LoadWeightsResponse
    | CreateCustomLossResponse
    | OptimStepResponse
):
    """Read the body of a success; raises ParseError for anything else."""
    return parse_json(content, _READ_RESPONSE)


def sync(
    *, client: Client, body: FutureRetrieveRequest
) -> (
    TryAgainResponse
    | FutureMetadataResponse
    | RequestFailedResponse
    | ForwardBackwardOutput
    | SampleResponse
    | CreateModelResponse
    | UnloadModelResponse
    | SaveWeightsResponse
    | SaveWeightsForSamplerResponseInternal
    | SaveWeightsExternalResponseInternal
    | LoadWeightsResponse
    | CreateCustomLossResponse
    | OptimStepResponse
):
    """Send the request once; raises UnexpectedStatus, ParseError or an httpx.HTTPError."""
    return client.exchange(build_request(body=body), parse_response, (200,))
