"""Hold traces to one span for each call with its requests inside, and requests to carry them."""

from __future__ import annotations

import sys

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from support.scripted import Script, promises, scripted_service
from support.spans import span_exporter

from tinkex import AdamParams, Datum, ModelInput, SamplingParams, ServiceClient
from tinkex.errors import MissingDependencyError, RequestFailedError
from tinkex.local import LocalServer

CANARY = "canary words"


@pytest.fixture
def spans():
    """Return a function that lists the spans that ended in this test."""
    exporter = span_exporter()
    return lambda: list(exporter.get_finished_spans())


def named(spans: list[ReadableSpan], name: str) -> list[ReadableSpan]:
    return [span for span in spans if span.name == name]


def children(spans: list[ReadableSpan], parent: ReadableSpan) -> list[str]:
    return [
        span.name
        for span in spans
        if span.parent is not None and span.parent.span_id == parent.context.span_id
    ]


def sampling(script: Script, *polls: object) -> Script:
    script.on("POST create_sampling_session", {"sampling_session_id": "sam"})
    script.on("POST asample", {"request_id": "a"})
    return script.on("POST retrieve_future", *polls)


def test_a_call_is_a_span_with_its_request_and_its_polls_inside(spans) -> None:
    """Submission and polls are its children, whichever thread did them, in the caller's own span."""
    done = {"sequences": [{"tokens": [5], "stop_reason": "length"}]}
    script = sampling(Script(), {"type": "try_again", "request_id": "a"}, done)
    with scripted_service(script, tracing=True) as service:
        sampler = service.create_sampling_client(base_model="m")
        with trace.get_tracer("program").start_as_current_span("step") as outer:
            sampler.sample(ModelInput.from_ints([1])).result(timeout=30)
    (call,) = named(spans(), "tinkex.sample")
    assert call.parent is not None
    assert call.parent.span_id == outer.get_span_context().span_id
    assert children(spans(), call) == ["POST asample", *["POST retrieve_future"] * 2]
    assert call.attributes == {
        "tinkex.operation": "sample", "tinkex.session_id": "S",
        "tinkex.model": "m", "tinkex.request_id": "a",
    }  # fmt: skip
    assert call.status.is_ok or call.status.is_unset


def test_a_request_carries_the_context_of_its_span(spans) -> None:
    """W3C traceparent: the call's trace, and the request's own span."""
    script = sampling(Script(), {"sequences": [{"tokens": [5], "stop_reason": "length"}]})
    with scripted_service(script, tracing=True) as service:
        sampler = service.create_sampling_client(base_model="m")
        sampler.sample(ModelInput.from_ints([1])).result(timeout=30)
    (request,) = named(spans(), "POST asample")
    context = request.context
    sent = script.sent("asample")[0].headers["traceparent"]
    assert sent.startswith(f"00-{context.trace_id:032x}-{context.span_id:016x}-")


def test_all_attempts_of_a_request_are_one_span(spans) -> None:
    """It says how often it was sent, and ends well."""
    script = Script().on("GET get_server_capabilities", 503, {"supported_models": []})
    with scripted_service(script, tracing=True) as service:
        service.get_server_capabilities()
    (request,) = named(spans(), "GET get_server_capabilities")
    assert request.attributes["http.request.resend_count"] == 1
    assert request.attributes["http.response.status_code"] == 200
    assert request.status.status_code.name != "ERROR"


@pytest.mark.holds("S4")
def test_a_failed_call_is_an_error_of_its_class_alone(spans) -> None:
    """What the error says may quote a prompt, so no span has it."""
    script = sampling(Script(), {"error": CANARY, "category": "user"})
    with scripted_service(script, tracing=True) as service:
        sampler = service.create_sampling_client(base_model="m")
        with pytest.raises(RequestFailedError):
            sampler.sample(ModelInput.from_ints([1])).result(timeout=30)
    (call,) = named(spans(), "tinkex.sample")
    assert call.status.status_code.name == "ERROR"
    assert call.attributes["error.type"] == "RequestFailedError"
    assert CANARY not in "".join(span.to_json() for span in spans())


def test_a_header_of_the_users_own_is_left_alone(spans) -> None:
    """Whoever passes a traceparent has a trace of their own."""
    script = Script().on("GET get_server_capabilities", {"supported_models": []})
    mine = f"00-{'1' * 32}-{'2' * 16}-01"
    with scripted_service(script, tracing=True, default_headers={"Traceparent": mine}) as service:
        service.get_server_capabilities()
    assert script.sent("get_server_capabilities")[0].headers["traceparent"] == mine


def test_a_failing_propagator_leaves_the_request_as_it_was(spans, monkeypatch) -> None:
    """The request goes without a trace, and nothing else changes."""
    script = Script().on("GET get_server_capabilities", {"supported_models": []})
    with scripted_service(script, tracing=True) as service:
        assert service._transport.tracer is not None

        def fail(*args: object) -> None:
            raise RuntimeError(CANARY)

        monkeypatch.setattr(service._transport.tracer._propagator, "inject", fail)
        service.get_server_capabilities()
    assert "traceparent" not in script.sent("get_server_capabilities")[0].headers


def test_a_failing_exporter_hurts_no_call(spans, monkeypatch) -> None:
    """A processor of the program's that raises when spans begin or end is not the call's problem."""
    script = sampling(Script(), {"sequences": [{"tokens": [5], "stop_reason": "length"}]})

    def fail(*args: object, **kwargs: object) -> None:
        raise RuntimeError(CANARY)

    provider = trace.get_tracer_provider()
    for moment in ("on_start", "on_end"):
        with monkeypatch.context() as patch:
            patch.setattr(provider._active_span_processor, moment, fail)
            with scripted_service(script, tracing=True) as service:
                sampler = service.create_sampling_client(base_model="m")
                result = sampler.sample(ModelInput.from_ints([1])).result(timeout=30)
        assert result.sequences[0].tokens == [5]


def test_tracing_is_off_unless_asked_for(spans) -> None:
    """No span and no header, though OpenTelemetry is there."""
    script = Script().on("GET get_server_capabilities", {"supported_models": []})
    with scripted_service(script) as service:
        service.get_server_capabilities()
    assert spans() == []
    assert "traceparent" not in script.sent("get_server_capabilities")[0].headers


def test_without_opentelemetry_the_error_names_the_command(monkeypatch) -> None:
    """Asking for traces without the package is told when the client is made."""
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with (
        pytest.raises(MissingDependencyError, match=r"pip install 'tinkex\[otel\]'"),
        scripted_service(Script(), tracing=True),
    ):
        pass


def test_a_training_session_is_a_trace_on_a_real_connection(spans) -> None:
    """Each call of a step is a span, and none is left open when its result was fetched."""
    with (
        LocalServer() as server,
        ServiceClient(base_url=server.base_url, tracing=True) as service,
    ):
        training = service.create_lora_training_client("tinkex/nano", rank=4)
        datum = Datum(ModelInput.from_ints([1, 2]), {"target_tokens": [2, 3]})
        output, step = training.train_step([datum], "cross_entropy", AdamParams())
        output.result()
        step.result()
        custom = training.forward_backward_custom(
            [datum], lambda data, logprobs: (logprobs[0].sum(), {}, [[1.0, 1.0]])
        )
        custom.result()
        sampler = training.save_weights_and_get_sampling_client()
        list(sampler.sample_stream(ModelInput.from_ints([1]), SamplingParams(max_tokens=2)))
    found = spans()
    for operation in ("create_model", "forward_backward", "optim_step", "save_weights_for_sampler"):
        (call,) = named(found, f"tinkex.{operation}")
        assert children(found, call), operation
    (call,) = named(found, "tinkex.forward_backward_custom")
    assert {"tinkex.forward", "POST forward_backward"} <= set(children(found, call))
    (call,) = named(found, "tinkex.sample_stream")
    assert children(found, call) == ["POST stream_sample"]
    assert not [span for span in found if span.status.status_code.name == "ERROR"]


def test_promises_of_several_models_do_not_mix(spans) -> None:
    """Requests done by shared threads are inside of their own calls."""
    script = Script().on("POST create_sampling_session", {"sampling_session_id": "sam"})
    done = {"sequences": [{"tokens": [5], "stop_reason": "length"}]}
    promises(script, "POST asample", *[done] * 20)
    with scripted_service(script, tracing=True) as service:
        sampler = service.create_sampling_client(base_model="m")
        for future in [sampler.sample(ModelInput.from_ints([1])) for _ in range(20)]:
            future.result(timeout=30)
    calls = named(spans(), "tinkex.sample")
    assert len(calls) == 20
    for call in calls:
        assert children(spans(), call) == ["POST asample", "POST retrieve_future"]
