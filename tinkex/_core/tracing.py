"""OpenTelemetry spans for calls and requests, with W3C trace context."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tinkex._base.version import __version__
from tinkex.errors import MissingDependencyError

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from tinkex._core.operation_context import OperationContext


log = logging.getLogger("tinkex.tracing")


class Tracer:
    """Creates spans through OpenTelemetry's API; the program decides where they are exported.

    Raises:
        MissingDependencyError: OpenTelemetry's API is not installed.
    """

    def __init__(self) -> None:
        try:
            from opentelemetry import trace
            from opentelemetry.trace.propagation import tracecontext
        except ModuleNotFoundError as error:
            raise MissingDependencyError("tracing", "otel") from error
        self._trace = trace
        self._propagator = tracecontext.TraceContextTextMapPropagator()

    def operation(
        self, operation: str, model: str | None, session_id: str, outer: OperationContext | None
    ) -> OperationSpan:
        """Start the span of a call, below an outer call or the caller's current span."""
        attributes = {"tinkex.operation": operation, "tinkex.session_id": session_id}
        if model:
            attributes["tinkex.model"] = model
        span = self._begin(f"tinkex.{operation}", attributes, self._below(outer), "INTERNAL")
        return OperationSpan(span)

    def request(self, method: str, operation: str, context: OperationContext | None) -> RequestSpan:
        """Start the span of a request, below the call that it serves."""
        attributes = {"http.request.method": method, "tinkex.operation": operation}
        parent = self._below(context)
        return RequestSpan(self, self._begin(f"{method} {operation}", attributes, parent, "CLIENT"))

    def headers(self, span: Span, taken: Mapping[str, str]) -> dict[str, str]:
        """Return the headers that carry a span's context, without those that the request has already.

        After a failure there are none, and the request is sent without tracing.
        """
        carrier: dict[str, str] = {}
        try:
            self._propagator.inject(carrier, self._trace.set_span_in_context(span))
        except Exception:
            # Tracing must never fail a request.
            log.debug("a request is sent without trace context", exc_info=True)
            return {}
        names = {name.lower() for name in taken}
        # tracestate is meaningless without its traceparent.
        if "traceparent" in names:
            return {}
        return {name: value for name, value in carrier.items() if name.lower() not in names}

    def _below(self, context: OperationContext | None) -> Any:
        if context is None or context.span is None:
            return None
        return self._trace.set_span_in_context(context.span.span)

    def _begin(self, name: str, attributes: dict[str, str], parent: Any, kind: str) -> Span:
        try:
            tracer = self._trace.get_tracer("tinkex", __version__)
            return tracer.start_span(
                name, context=parent, kind=self._trace.SpanKind[kind], attributes=attributes
            )
        except Exception:
            log.debug("a span could not be started", exc_info=True)
            return self._trace.INVALID_SPAN


class OperationSpan:
    """The span of a call, until its result is available."""

    def __init__(self, span: Span) -> None:
        self.span = span

    def end(self, error: BaseException | None = None, request_id: str | None = None) -> None:
        """End the span; an error is recorded by its class, never by its message."""
        if request_id:
            self.span.set_attribute("tinkex.request_id", request_id)
        _end(self.span, error, is_ok=error is None)


class RequestSpan:
    """The span of one request."""

    def __init__(self, tracer: Tracer, span: Span) -> None:
        self._tracer = tracer
        self._span = span

    def headers(self, taken: Mapping[str, str]) -> dict[str, str]:
        """Return the headers that carry the span's context, without those in `taken`."""
        return self._tracer.headers(self._span, taken)

    def end(
        self,
        status_code: int | None,
        retries: int,
        error: BaseException | None = None,
        *,
        is_ok: bool = False,
    ) -> None:
        """End the span with the outcome of the request."""
        if status_code is not None:
            self._span.set_attribute("http.response.status_code", status_code)
        if retries:
            self._span.set_attribute("http.request.resend_count", retries)
        _end(self._span, error, is_ok=is_ok)


def _end(span: Span, error: BaseException | None, *, is_ok: bool) -> None:
    from opentelemetry.trace import Status, StatusCode

    if error is not None:
        span.set_attribute("error.type", type(error).__name__)
    if error is not None or not is_ok:
        span.set_status(Status(StatusCode.ERROR))
    try:
        span.end()
    except Exception:
        log.debug("a span could not be ended", exc_info=True)
