"""What the SDK tells of, as classes: one for each thing that may happen.

Their fields are names, numbers and ids. None holds a header, a body, a prompt, a message of an
error, or a path of this machine. Durations and delays are seconds.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from attrs import frozen

from tinkex._core.events.bus import Event

Outcome = Literal["ok", "error", "cancelled"]


@frozen(kw_only=True)
class HttpRequest(Event):
    """Be one request to the server, with all its attempts; listen to it to hear of all three.

    Attributes:
        operation: The operation id of openapi.yaml, such as ``asample``.
        method: GET, POST, ….
        path: The path, without the query.
        base_url: The server.
        pool: The name of the client's connections, its setting `http_pool`.
        caller: The call that the request serves, such as ``forward_backward`` for a poll.
        model: The base model that it is about, as far as the client knows it.
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
    """Say that a request begins."""

    name: ClassVar[str] = "tinkex.http.request.start"


@frozen(kw_only=True)
class HttpRequestStop(HttpRequest):
    """Say that a request was answered.

    Attributes:
        status_code: The HTTP status.
        result: "ok" for 2xx, and for a poll's 408, which says "not yet"; else "error".
        duration: Seconds from the first attempt to the end of the answer; of one that is streamed,
            to its beginning.
        retries: Attempts before the one that was answered.
        sent_bytes: Bytes of the request's body.
        received_bytes: Bytes of the answer's body, unpacked; 0 for one that is streamed.
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
    """Say that a request ended without a usable answer.

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
    """Be one attempt at something that may be tried again.

    Attributes:
        operation: What is tried: an operation id, or the name given to `tinkex.retry.with_retry`.
        attempt: Counted from 0, as in the header X-Stainless-Retry-Count.
        session_id: The session, if there is one.
    """

    name: ClassVar[str] = "tinkex.retry.attempt"
    operation: str
    attempt: int
    session_id: str | None = None


@frozen(kw_only=True)
class RetryAttemptStart(RetryAttempt):
    """Say that an attempt begins."""

    name: ClassVar[str] = "tinkex.retry.attempt.start"


@frozen(kw_only=True)
class RetryAttemptStop(RetryAttempt):
    """Say that an attempt succeeded, so many seconds after the first one began."""

    name: ClassVar[str] = "tinkex.retry.attempt.stop"
    duration: float


@frozen(kw_only=True)
class RetryAttemptRetry(RetryAttempt):
    """Say that an attempt failed and another one follows.

    Attributes:
        duration: Seconds since the first attempt began.
        delay: Seconds to wait before the next.
        error_type: The class of the error.
        status_code: The HTTP status, if there was an answer.
    """

    name: ClassVar[str] = "tinkex.retry.attempt.retry"
    duration: float
    delay: float
    error_type: str
    status_code: int | None = None


@frozen(kw_only=True)
class RetryAttemptFailed(RetryAttempt):
    """Say that an attempt failed and was the last.

    Attributes:
        duration: Seconds since the first attempt began.
        error_type: The class of the error.
        status_code: The HTTP status, if there was an answer.
    """

    name: ClassVar[str] = "tinkex.retry.attempt.failed"
    duration: float
    error_type: str
    status_code: int | None = None


@frozen(kw_only=True)
class FutureEvent(Event):
    """Be something about a `Future`.

    Attributes:
        operation: The call, such as ``forward_backward``.
        subject: The model or sampling session that it belongs to.
        model: The base model, as far as the client knows it.
        request_id: The server's id of it, once there is one.
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
    """Say that a call has its future."""

    name: ClassVar[str] = "tinkex.future.start"


@frozen(kw_only=True)
class FutureStop(FutureEvent):
    """Say that a future is done.

    Attributes:
        outcome: "ok", "error" or "cancelled".
        duration: Seconds since the call.
        error_type: The class of the error, if it is one.
    """

    name: ClassVar[str] = "tinkex.future.stop"
    outcome: Outcome
    duration: float
    error_type: str | None = None


@frozen(kw_only=True)
class FutureTrouble(FutureEvent):
    """Be what went wrong with a future.

    Attributes:
        error_type: The class of the error.
        status_code: The HTTP status, if there was an answer.
        category: Who can mend it: "user", "server" or "unknown".
        duration: Seconds since the call.
    """

    name: ClassVar[str] = "tinkex.future.trouble"
    error_type: str
    duration: float
    status_code: int | None = None
    category: str | None = None


@frozen(kw_only=True)
class FutureTimeout(FutureTrouble):
    """Say that a wait gave up; the future stays valid."""

    name: ClassVar[str] = "tinkex.future.timeout"


@frozen(kw_only=True)
class FutureApiError(FutureTrouble):
    """Say that the server refused, or no longer knows the result."""

    name: ClassVar[str] = "tinkex.future.api_error"


@frozen(kw_only=True)
class FutureConnectionError(FutureTrouble):
    """Say that the server could not be reached for too long."""

    name: ClassVar[str] = "tinkex.future.connection_error"


@frozen(kw_only=True)
class FutureRequestFailed(FutureTrouble):
    """Say that the job was accepted and then failed."""

    name: ClassVar[str] = "tinkex.future.request_failed"


@frozen(kw_only=True)
class FutureValidationError(FutureTrouble):
    """Say that an answer, or what was asked for, is not what the API promises."""

    name: ClassVar[str] = "tinkex.future.validation_error"


@frozen(kw_only=True)
class TokensUsed(Event):
    """Say how many tokens a call took.

    Attributes:
        operation: The call: forward, forward_backward, sample, sample_stream or compute_logprobs.
        model: The base model; its checkpoint if the client knows no more.
        trained: Tokens that gradients were computed for.
        prompted: Tokens that were only read: prompts, and the data of `forward`.
        sampled: Tokens that were drawn.
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
    """Be the evaluation of a loss of the user's own.

    Attributes:
        regularizer_count: Terms beside the loss.
        track_grad_norms: Whether gradients are computed.
    """

    name: ClassVar[str] = "tinkex.custom_loss"
    regularizer_count: int
    track_grad_norms: bool


@frozen(kw_only=True)
class CustomLossStart(CustomLoss):
    """Say that a loss is about to be evaluated."""

    name: ClassVar[str] = "tinkex.custom_loss.start"


@frozen(kw_only=True)
class CustomLossStop(CustomLoss):
    """Say what a loss came to.

    Attributes:
        duration: Seconds.
        loss_total: The loss and its regularizers.
        regularizer_total: The regularizers alone.
    """

    name: ClassVar[str] = "tinkex.custom_loss.stop"
    duration: float
    loss_total: float
    regularizer_total: float


@frozen(kw_only=True)
class CustomLossException(CustomLoss):
    """Say that a loss or one of its regularizers failed."""

    name: ClassVar[str] = "tinkex.custom_loss.exception"
    duration: float
    error_type: str


@frozen(kw_only=True)
class RegularizerCompute(Event):
    """Be the evaluation of one regularizer.

    Attributes:
        regularizer_name: Its name in the pipeline.
        weight: What it is multiplied by.
    """

    name: ClassVar[str] = "tinkex.regularizer.compute"
    regularizer_name: str
    weight: float


@frozen(kw_only=True)
class RegularizerComputeStart(RegularizerCompute):
    """Say that a regularizer is about to be evaluated."""

    name: ClassVar[str] = "tinkex.regularizer.compute.start"


@frozen(kw_only=True)
class RegularizerComputeStop(RegularizerCompute):
    """Say what a regularizer came to.

    Attributes:
        duration: Seconds.
        value: Its value.
        contribution: Weight × value.
        grad_norm: The norm of its gradient, if that was computed.
    """

    name: ClassVar[str] = "tinkex.regularizer.compute.stop"
    duration: float
    value: float
    contribution: float
    grad_norm: float | None = None


@frozen(kw_only=True)
class RegularizerComputeException(RegularizerCompute):
    """Say that a regularizer failed."""

    name: ClassVar[str] = "tinkex.regularizer.compute.exception"
    duration: float
    error_type: str
