"""Three canaries, a whole session with every logger at DEBUG, and not one chirp."""

from __future__ import annotations

import logging
import pickle
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from support import calls
from support.calls import CAPABILITIES, STEP
from support.raw_server import GOOD, RawServer
from support.scripted import BASE_URL, Script

import tinkex
from tinkex import Config, Datum, ModelInput, SamplingParams, ServiceClient
from tinkex._core.transport import Transport
from tinkex.errors import ConfigurationError, TinkexError

CANARIES = {
    "api_key": "tml-canary-key-0123456789",
    "cf_access_client_secret": "canary-cloudflare-secret",
    "default_query": {"signature": "canary-query"},
}
PARROT = "your key is tml-canary-key-0123456789 and your secret is canary-cloudflare-secret"


@pytest.fixture
def everything_logged(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """Turn every logger that exists to DEBUG, those of httpx and httpcore too."""
    names = [
        *logging.root.manager.loggerDict,
        "httpx",
        "httpcore",
        "httpcore.http11",
        "httpcore.connection",
    ]
    before = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.DEBUG)
    with caplog.at_level(logging.DEBUG):
        yield caplog
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)


def logged(caplog: pytest.LogCaptureFixture) -> str:
    return "\n".join(f"{record.getMessage()} {record.exc_text or ''}" for record in caplog.records)


def shown(error: BaseException) -> str:
    """Return all that an error reporter could find on an error and in its frames, but this file's."""
    parts = [str(error), repr(error), repr(vars(error)), repr(getattr(error, "attempts", ""))]
    for cause in (error, error.__cause__, error.__context__):
        if cause is None:
            continue
        told = traceback.TracebackException.from_exception(cause, capture_locals=True)
        for frame in told.stack:
            if frame.filename != __file__:
                parts.append(f"{frame.name} {frame.locals}")
        parts.append("".join(told.format_exception_only()))
        request = getattr(cause, "_request", None)
        parts.append("" if request is None else str(request.headers.raw))
    return "\n".join(parts)


@pytest.mark.holds("S1", "S2")
def test_a_whole_session_tells_no_secret(script: Script, clock: Any, everything_logged) -> None:
    """Session, calls, retries, polls, heartbeat, failure and farewell leave no trace of a key (S1, S2)."""
    script.on("POST create_session", 503, {"session_id": "S", "warning_message": "hello"})
    script.on(CAPABILITIES, 500, httpx.ReadError("reset"), {"supported_models": []})
    script.on("POST create_model", {"request_id": "m"})
    script.on("POST optim_step", {"request_id": "o"})
    script.on(
        "POST retrieve_future",
        {"type": "create_model", "model_id": "M"},
        404, 500, {"type": "try_again", "request_id": "o", "queue_state": "paused_capacity"},
        {"error": PARROT, "category": "server"},
    )  # fmt: skip
    config = Config.resolve(base_url=BASE_URL, environ={}, dump_headers=True, **CANARIES)
    transport = Transport(
        config, clock=clock, http_transport=httpx.MockTransport(script), jitter=float
    )
    with ServiceClient(config=config, transport=transport) as service:
        service.get_server_capabilities()
        training = service.create_lora_training_client("base")
        stepped = training.optim_step()
        with pytest.raises(TinkexError) as caught:
            stepped.result()
        transport.run(service.session.beat())
        parts = [service, training, transport, config, stepped, service.session, caught.value]
        told = [repr(part) + str(part) + str(getattr(part, "__dict__", "")) for part in parts]
    sent = {got.headers["x-api-key"] for got in script.received}
    assert sent == {CANARIES["api_key"]}
    assert everything_logged.records
    assert "canary" not in logged(everything_logged)
    assert "canary" not in "".join(told)


FAILURES: list[Any] = [
    (401, {"detail": PARROT}),
    (422, {"detail": [{"loc": [PARROT], "msg": PARROT}]}),
    (500, PARROT.encode()),
    (200, PARROT.encode(), {"content-type": PARROT}),
    (302, {}, {"location": f"https://evil.example.org/?{PARROT}"}),
    httpx.ConnectError(PARROT),
    httpx.ReadError(PARROT),
    httpx.LocalProtocolError(f"Illegal header value b'{PARROT}'"),
    httpx.DecodingError(PARROT),
]


@pytest.mark.holds("S3")
@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
@pytest.mark.parametrize(
    "attempt",
    [
        lambda transport: transport.call(calls.read(), lambda content: _unreadable(content)),
        lambda transport: transport.send(calls.step()),
        lambda transport: _streamed(transport),
    ],
    ids=["call", "send", "stream"],
)
def test_no_error_tells_a_secret_even_if_the_server_repeats_it(
    make_transport, script: Script, everything_logged, failure: Any, attempt: Callable[..., Any]
) -> None:
    """Neither message nor attributes nor frames nor causes hold a key (S3)."""
    transport = make_transport(max_retries=1, **CANARIES)
    script.on(CAPABILITIES, failure).on(STEP, failure)
    error = _error_of(attempt, transport)
    if error is not None:
        assert "canary" not in shown(error)
        assert "canary" not in shown(pickle.loads(pickle.dumps(error)))
    assert "canary" not in logged(everything_logged)


def _error_of(attempt: Callable[..., Any], transport: Transport) -> TinkexError | None:
    try:
        attempt(transport)
    except TinkexError as error:
        return error
    return None


def _unreadable(content: bytes) -> None:
    from tinkex_generated.errors import ParseError

    raise ParseError("", "is not what it should be")


def _streamed(transport: Transport) -> None:
    with transport.stream(calls.read()) as response:
        response.read()


@pytest.fixture
def rude_server() -> Iterator[str]:
    """Answer the first request, and hang up on every other."""
    server = RawServer()
    server.play = lambda number, _: GOOD if number == 1 else None
    yield server.url
    server.close()


@pytest.mark.holds("S2", "S3")
@pytest.mark.parametrize("by_httpx", [True, False], ids=["httpx", "own"])
def test_real_connections_log_no_secret_either(
    rude_server: str, clock: Any, everything_logged, by_httpx: bool
) -> None:
    """Lines at DEBUG, and errors with their frames, show no header that was sent (S2, S3)."""
    config = Config.resolve(base_url=rude_server, environ={}, max_retries=0, **CANARIES)
    transport = Transport(
        config, clock=clock, http_transport=httpx.HTTPTransport() if by_httpx else None
    )
    transport.send(calls.read())
    with pytest.raises(TinkexError) as caught:
        transport.send(calls.publish())
    transport.close()
    assert by_httpx == any(
        record.name.startswith("httpcore") for record in everything_logged.records
    )
    assert "canary" not in logged(everything_logged)
    assert "canary" not in shown(caught.value)


@pytest.mark.holds("S1")
def test_clients_cannot_be_pickled(make_transport) -> None:
    """No pickle carries a key to a file (S1)."""
    transport = make_transport(**CANARIES)
    service = ServiceClient(config=transport.config, transport=transport)
    for part in (transport, transport.config, service, service.create_rest_client()):
        with pytest.raises(TypeError):
            pickle.dumps(part)
    service.close()


def test_logging_that_tinkex_sets_up_shows_tinkexs_lines_alone(capsys, monkeypatch) -> None:
    """enable_logging touches no other logger, and is given a level by name or by TINKER_LOG."""
    logger = logging.getLogger("tinkex")
    handlers, level = list(logger.handlers), logger.level
    # Whatever ran before in this process may have set it up already.
    logger.handlers[:] = []
    try:
        monkeypatch.setenv("TINKER_LOG", "debug")
        tinkex.enable_logging()
        tinkex.enable_logging()
        assert logger.level == logging.DEBUG
        assert len(logger.handlers) == 1
        logging.getLogger("tinkex.transport").debug("shown once")
        logging.getLogger("httpx").debug("not shown")
        assert capsys.readouterr().err.count("shown") == 1
        tinkex.enable_logging("error")
        assert logger.level == logging.ERROR
        with pytest.raises(ConfigurationError, match="level must be debug, info"):
            tinkex.enable_logging("loud")
        monkeypatch.setenv("TINKER_LOG", "loud")
        with pytest.raises(ConfigurationError, match="TINKER_LOG must be debug, info"):
            tinkex.enable_logging()
    finally:
        logger.handlers[:] = handlers
        logger.setLevel(level)


def _on(operation: str, *answers: Any) -> Script:
    script = Script().on("POST create_model", {"model_id": "M"})
    script.on("POST create_sampling_session", {"sampling_session_id": "S"})
    return script.on(operation, *answers)


def _trained(service: ServiceClient) -> object:
    datum = Datum(ModelInput.from_ints([1]), {"target_tokens": [1], "weights": [1.0]})
    training = service.create_lora_training_client("base")
    return training.forward_backward([datum], "cross_entropy").result()


def _sampled(service: ServiceClient) -> object:
    sampler = service.create_sampling_client(base_model="base")
    return sampler.sample(ModelInput.from_ints([1]), 1, SamplingParams(max_tokens=2)).result()


def _sample_streamed(service: ServiceClient) -> object:
    sampler = service.create_sampling_client(base_model="base")
    return list(sampler.sample_stream(ModelInput.from_ints([1]), SamplingParams(max_tokens=2)))


def _archived(service: ServiceClient) -> object:
    return service.create_rest_client().get_checkpoint_archive_url("tinker://R/weights/a")


EVENTS = {"content-type": "text/event-stream"}
ARCHIVE = "GET training_runs/R/checkpoints/weights/a/archive"
PROMISED = {"request_id": "r"}
ECHOES: list[tuple[Callable[[ServiceClient], object], Script]] = [
    (_trained, _on("POST create_session", {"session": PARROT})),
    (_trained, _on("POST forward_backward", {"nonsense": PARROT})),
    (_trained, _on("POST forward_backward", (400, {"detail": PARROT}))),
    (_trained, _on("POST forward_backward", (409, {"detail": PARROT}))),
    *(
        (_trained, _on("POST forward_backward", PROMISED).on("POST retrieve_future", answer))
        for answer in (
            {"error": PARROT, "category": "user"},
            {"status": "failed", "error": {"message": PARROT}},
            {"loss_fn_outputs": PARROT},
            {"loss_fn_outputs": [{"logprobs": {"data": [PARROT]}}]},
            {"loss_fn_outputs": [], "metrics": {PARROT: PARROT}},
            (400, {"detail": PARROT}),
            (200, PARROT.encode()),
        )
    ),
    *(
        (_sampled, _on("POST asample", PROMISED).on("POST retrieve_future", answer))
        for answer in (
            {"error": PARROT},
            {"sequences": PARROT},
            {"sequences": [{"tokens": [PARROT]}]},
        )
    ),
    *(
        (_sample_streamed, _on("POST stream_sample", answer))
        for answer in (
            (200, f'data: {{"error":"{PARROT}"}}\n\n'.encode(), EVENTS),
            (200, f"data: {'x' * 190}{PARROT}\n\n".encode(), EVENTS),
            (200, b"x", {"content-type": PARROT}),
            (400, {"detail": PARROT}),
        )
    ),
    (_archived, _on(ARCHIVE, (302, b"", {"location": f"ftp://{PARROT}"}))),
    (_archived, _on(ARCHIVE, (404, {"detail": PARROT}))),
]


@pytest.mark.holds("S3", "S22", "S23")
@pytest.mark.parametrize(("call", "script"), ECHOES)
def test_no_call_tells_a_key_that_the_server_repeats(
    clock: Any, call: Callable[[ServiceClient], object], script: Script
) -> None:
    """Whatever was decoded stands in no frame variable of ours, and half a key in no message."""
    config = Config.resolve(base_url=BASE_URL, environ={}, max_retries=0, **CANARIES)
    transport = Transport(
        config, clock=clock, http_transport=httpx.MockTransport(script), jitter=float
    )
    with ServiceClient(config=config, transport=transport) as service:
        error = _call_error(call, service)
    assert error is not None
    assert "canary" not in shown(error)


def _call_error(
    call: Callable[[ServiceClient], object], service: ServiceClient
) -> TinkexError | None:
    try:
        call(service)
    except TinkexError as error:
        return error
    return None
