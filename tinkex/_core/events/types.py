"""The events that the SDK emits, one class each.

Their fields are names, numbers and ids. None holds a header, a body, a prompt, an error message or a
local path. Durations and delays are in seconds.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from attrs import frozen

from tinkex._core.events.bus import Event

Outcome = Literal["ok", "error", "cancelled"]


@frozen(kw_only=True)
class HttpRequest(Event):
    """A request to the server, with all its attempts; the base class of its three events.

    Attributes:
        operation: The operation id of openapi.yaml, such as ``asample``.
        method: GET, POST, ….
        path: The path, without the query.
        base_url: The server.
        pool: The name of the client's connection pool, its setting `http_pool`.
        caller: The call that the request serves, such as ``forward_backward`` for a poll.
        model: The base model of the call, if the client knows it.
        session_id: The session, if there is one yet.
    """

    name: ClassVar[str] = "tinkex.http.request"
    operation: str
    method: str
    path: str
    base_url: str
    pool: str = "default"
    caller: str | None = None
    model: str | None = None
    session_id: str | None = None


@frozen(kw_only=True)
class HttpRequestStart(HttpRequest):
    """A request starts."""

    name: ClassVar[str] = "tinkex.http.request.start"


@frozen(kw_only=True)
class HttpRequestStop(HttpRequest):
    """A response was received.

    Attributes:
        status_code: The HTTP status.
        result: "ok" for 2xx, and for a poll's 408, which means "not yet"; else "error".
        duration: Seconds from the first attempt to the end of the response; to its head if it is
            streamed.
        retries: Attempts before the one with the response.
        sent_bytes: Bytes of the request's body.
        received_bytes: Bytes of the decompressed response body; 0 if it is streamed.
    """

    name: ClassVar[str] = "tinkex.http.request.stop"
    status_code: int
    result: Literal["ok", "error"]
    duration: float
    retries: int = 0
    sent_bytes: int = 0
    received_bytes: int = 0


@frozen(kw_only=True)
class HttpRequestException(HttpRequest):
    """A request ended without a usable response.

    Attributes:
        error_type: The class of the error.
        duration: Seconds from the first attempt to the end of the last.
        retries: Attempts after the first one.
        sent_bytes: Bytes of the request's body.
    """

    name: ClassVar[str] = "tinkex.http.request.exception"
    error_type: str
    duration: float
    retries: int = 0
    sent_bytes: int = 0


@frozen(kw_only=True)
class RetryAttempt(Event):
    """An attempt at an operation that can be retried.

    Attributes:
        operation: The operation id, or the name given to `tinkex.retry.with_retry`.
        attempt: Counted from 0, as in the header X-Stainless-Retry-Count.
        session_id: The session, if there is one.
    """

    name: ClassVar[str] = "tinkex.retry.attempt"
    operation: str
    attempt: int
    session_id: str | None = None


@frozen(kw_only=True)
class RetryAttemptStart(RetryAttempt):
    """An attempt starts."""

    name: ClassVar[str] = "tinkex.retry.attempt.start"


@frozen(kw_only=True)
class RetryAttemptStop(RetryAttempt):
    """An attempt succeeded; `duration` counts from the start of the first one."""

    name: ClassVar[str] = "tinkex.retry.attempt.stop"
    duration: float


@frozen(kw_only=True)
class RetryAttemptRetry(RetryAttempt):
    """An attempt failed and will be retried.

    Attributes:
        duration: Seconds since the first attempt began.
        delay: Seconds until the next attempt.
        error_type: The class of the error.
        status_code: The HTTP status, if there was a response.
    """

    name: ClassVar[str] = "tinkex.retry.attempt.retry"
    duration: float
    delay: float
    error_type: str
    status_code: int | None = None


@frozen(kw_only=True)
class RetryAttemptFailed(RetryAttempt):
    """The last attempt failed.

    Attributes:
        duration: Seconds since the first attempt began.
        error_type: The class of the error.
        status_code: The HTTP status, if there was a response.
    """

    name: ClassVar[str] = "tinkex.retry.attempt.failed"
    duration: float
    error_type: str
    status_code: int | None = None


@frozen(kw_only=True)
class FutureEvent(Event):
    """The base class of a `Future`'s events.

    Attributes:
        operation: The call, such as ``forward_backward``.
        subject: The id of the model or sampling session.
        model: The base model, if the client knows it.
        request_id: The server's request id, once there is one.
        session_id: The session.
    """

    name: ClassVar[str] = "tinkex.future"
    operation: str
    subject: str | None = None
    model: str | None = None
    request_id: str | None = None
    session_id: str | None = None


@frozen(kw_only=True)
class FutureStart(FutureEvent):
    """A future was created."""

    name: ClassVar[str] = "tinkex.future.start"


@frozen(kw_only=True)
class FutureStop(FutureEvent):
    """A future is done.

    Attributes:
        outcome: "ok", "error" or "cancelled".
        duration: Seconds since the call.
        error_type: The class of the error, if it failed.
    """

    name: ClassVar[str] = "tinkex.future.stop"
    outcome: Outcome
    duration: float
    error_type: str | None = None


@frozen(kw_only=True)
class FutureTrouble(FutureEvent):
    """The base class of a future's problems.

    Attributes:
        error_type: The class of the error.
        status_code: The HTTP status, if there was a response.
        category: The party that can fix the problem: "user", "server" or "unknown".
        duration: Seconds since the call.
    """

    name: ClassVar[str] = "tinkex.future.trouble"
    error_type: str
    duration: float
    status_code: int | None = None
    category: str | None = None


@frozen(kw_only=True)
class FutureTimeout(FutureTrouble):
    """A wait timed out; the future stays valid."""

    name: ClassVar[str] = "tinkex.future.timeout"


@frozen(kw_only=True)
class FutureApiError(FutureTrouble):
    """The server refused the request, or lost its result."""

    name: ClassVar[str] = "tinkex.future.api_error"


@frozen(kw_only=True)
class FutureConnectionError(FutureTrouble):
    """The server was unreachable for too long."""

    name: ClassVar[str] = "tinkex.future.connection_error"


@frozen(kw_only=True)
class FutureRequestFailed(FutureTrouble):
    """The job was accepted and failed."""

    name: ClassVar[str] = "tinkex.future.request_failed"


@frozen(kw_only=True)
class FutureValidationError(FutureTrouble):
    """A response or a request does not conform to the API."""

    name: ClassVar[str] = "tinkex.future.validation_error"


@frozen(kw_only=True)
class TokensUsed(Event):
    """The number of tokens of one call.

    Attributes:
        operation: The call: forward, forward_backward, sample, sample_stream or compute_logprobs.
        model: The base model, or its checkpoint if the client does not know the base.
        trained: Tokens of which gradients were computed.
        prompted: Tokens that were only read: prompts, and the data of `forward`.
        sampled: Tokens that were sampled.
        session_id: The session.
    """

    name: ClassVar[str] = "tinkex.tokens.used"
    operation: str
    model: str | None = None
    trained: int = 0
    prompted: int = 0
    sampled: int = 0
    session_id: str | None = None


@frozen(kw_only=True)
class CustomLoss(Event):
    """The evaluation of a custom loss.

    Attributes:
        regularizer_count: The number of regularizers.
        track_grad_norms: Whether gradient norms are computed.
    """

    name: ClassVar[str] = "tinkex.custom_loss"
    regularizer_count: int
    track_grad_norms: bool


@frozen(kw_only=True)
class CustomLossStart(CustomLoss):
    """A custom loss is about to be evaluated."""

    name: ClassVar[str] = "tinkex.custom_loss.start"


@frozen(kw_only=True)
class CustomLossStop(CustomLoss):
    """A custom loss was evaluated.

    Attributes:
        duration: Seconds.
        loss_total: The loss with its regularizers.
        regularizer_total: The regularizers alone.
    """

    name: ClassVar[str] = "tinkex.custom_loss.stop"
    duration: float
    loss_total: float
    regularizer_total: float


@frozen(kw_only=True)
class CustomLossException(CustomLoss):
    """The evaluation of a custom loss or of a regularizer failed."""

    name: ClassVar[str] = "tinkex.custom_loss.exception"
    duration: float
    error_type: str


@frozen(kw_only=True)
class RegularizerCompute(Event):
    """The evaluation of one regularizer.

    Attributes:
        regularizer_name: Its name in the pipeline.
        weight: Its weight.
    """

    name: ClassVar[str] = "tinkex.regularizer.compute"
    regularizer_name: str
    weight: float


@frozen(kw_only=True)
class RegularizerComputeStart(RegularizerCompute):
    """A regularizer is about to be evaluated."""

    name: ClassVar[str] = "tinkex.regularizer.compute.start"


@frozen(kw_only=True)
class RegularizerComputeStop(RegularizerCompute):
    """A regularizer was evaluated.

    Attributes:
        duration: Seconds.
        value: Its value.
        contribution: Weight × value.
        grad_norm: The norm of its gradient, if it was computed.
    """

    name: ClassVar[str] = "tinkex.regularizer.compute.stop"
    duration: float
    value: float
    contribution: float
    grad_norm: float | None = None


@frozen(kw_only=True)
class RegularizerComputeException(RegularizerCompute):
    """A regularizer failed."""

    name: ClassVar[str] = "tinkex.regularizer.compute.exception"
    duration: float
    error_type: str
