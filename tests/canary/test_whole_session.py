"""A whole session with everything that can tell something switched on, and not one canary out of it.

The embedded server runs in the same process, so its lines and those of uvicorn are read too.
"""

from __future__ import annotations

import json
import logging
import pickle
import re
import subprocess
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from attrs import evolve
from support.spans import span_exporter

from tinkex import AdamParams, Config, Datum, ModelInput, SamplingParams, ServiceClient, events
from tinkex._core.transport import Transport
from tinkex.checkpoints import download
from tinkex.errors import TinkexError
from tinkex.local import LocalServer
from tinkex.observability.events import Event
from tinkex.observability.metrics import Metrics
from tinkex.observability.telemetry import capture_exceptions
from tinkex.observability.training_log import TrainingLog
from tinkex.testing import Fault

KEY = "tml-canary-key-0123456789abcdef"
CLOUDFLARE = "canary-cloudflare-secret-0123456789"
QUERY = "canary-query-value"
TOKEN = "canary-access-token-0123456789"
PROMPT = "The canary sings at dawn behind the vault"
PARROT = f"you sent {KEY} and {CLOUDFLARE}"
SIGNATURE = re.compile(r"signature=[0-9a-f]{16,}")

# Each sort of failure that the client lives through, and one that repeats what it was sent.
FAULTS = [
    Fault(on="create_session", status=503, headers={"retry-after": "0.01"}, body=PARROT),
    Fault(on="forward_backward", reset=True),
    Fault(on="optim_step", status=500, body={"detail": PARROT}),
    Fault(on="retrieve_future", nth=2, status=502, body=PARROT),
    Fault(on="asample", status=429, headers={"retry-after": "0.01"}, body={"detail": PARROT}),
    Fault(on="send_telemetry", status=500, body=PARROT),
    Fault(on="get_sampler", times=None, status=400, body={"detail": PARROT}),
]


class Tale:
    """Gather everything that a session tells, from wherever it comes."""

    def __init__(self) -> None:
        self.parts: list[tuple[str, str]] = []
        self.prompt_tokens: list[int] = []

    def add(self, where: str, what: object) -> None:
        self.parts.append((where, what if isinstance(what, str) else repr(what)))

    def leaks(self) -> list[str]:
        """Return where a canary was heard, and which."""
        words = [KEY, CLOUDFLARE, QUERY, TOKEN, PROMPT, PROMPT[4:20]]
        # The prompt's ids are the prompt, to whoever has the tokenizer.
        words.append(", ".join(str(token) for token in self.prompt_tokens[:6]))
        found = [f"{where}: {word}" for where, text in self.parts for word in words if word in text]
        return found + [
            f"{where}: {match[0]}"
            for where, text in self.parts
            for match in SIGNATURE.finditer(text)
        ]


class Everything(logging.Handler):
    """Keep each line as a formatter would write it, with its traceback and its arguments."""

    def __init__(self, tale: Tale) -> None:
        super().__init__(logging.NOTSET)
        self.tale = tale
        self.names: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        self.names.add(record.name)
        self.tale.add(f"log {record.name}", logging.Formatter().format(record))
        self.tale.add(f"arguments of {record.name}", record.args)


@pytest.fixture
def tale() -> Tale:
    return Tale()


@pytest.fixture
def lines(tale: Tale) -> Iterator[Everything]:
    """Turn every logger there is to DEBUG, those of httpx, httpcore and the server too."""
    names = [*logging.root.manager.loggerDict, "httpx", "httpcore.http11", "httpcore.connection"]
    names += ["tinkex", "uvicorn", "uvicorn.error", "uvicorn.access", "asyncio"]
    before = {name: logging.getLogger(name).level for name in ["", *names]}
    handler = Everything(tale)
    logging.getLogger().addHandler(handler)
    for name in before:
        logging.getLogger(name).setLevel(logging.DEBUG)
    yield handler
    logging.getLogger().removeHandler(handler)
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)


def shown(error: BaseException) -> str:
    """Return all that an error reporter finds: message, attributes, and frames with their locals.

    Frames of this file and of the standard library hold what the test itself wrote down.
    """
    parts = [str(error), repr(error), repr(vars(error))]
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        told = traceback.TracebackException.from_exception(current, capture_locals=True)
        parts += ["".join(told.format_exception_only())]
        parts += [f"{f.name} {f.locals}" for f in told.stack if f.filename != __file__]
        request = getattr(current, "_request", None)
        parts.append("" if request is None else str(request.headers.raw))
        current = current.__cause__ or current.__context__
    return "\n".join(parts)


def live(service: ServiceClient, tale: Tale, folder: Path) -> None:
    """Train, sample in every way, save, download, log, and fail."""
    training = service.create_lora_training_client("tinkex/nano", rank=4, seed=0)
    tokens = training.get_tokenizer().encode(PROMPT)
    tale.prompt_tokens = tokens
    prompt = ModelInput.from_ints(tokens)
    datum = Datum(
        ModelInput.from_ints(tokens[:-1]),
        {"target_tokens": tokens[1:], "weights": [1.0] * (len(tokens) - 1)},
    )
    with TrainingLog(folder / "metrics.jsonl") as log:
        output, step = training.train_step([datum], "cross_entropy", AdamParams())
        log.step(1, loss=output.result().loss)
        step.result()
    saved = training.save_weights_for_sampler("final").result()
    sampler = training.create_sampling_client(saved.path or "")
    params = SamplingParams(max_tokens=4, temperature=0.0)
    futures = [sampler.sample(prompt, 1, params) for _ in range(3)]
    for future in futures:
        future.result()
    list(sampler.sample_stream(prompt, params))
    sampler.compute_logprobs(prompt).result()
    rest = service.create_rest_client()
    got = download(rest, saved.path or "", folder)
    service.session.transport.run(service.session.beat())
    assert service.telemetry is not None
    assert service.telemetry.log("mine", {"file": str(got.folder), "key": KEY})
    for part in (service, training, sampler, rest, futures[0], service.session, service.telemetry):
        tale.add(
            f"repr of {type(part).__name__}", f"{part!r} {part} {getattr(part, '__dict__', '')}"
        )
        if part is sampler:
            tale.add("a pickled sampler", pickle.dumps(part).decode("latin-1"))
            continue
        with pytest.raises(TypeError):
            pickle.dumps(part)
    tale.add("config", f"{service.config!r} {service.config.describe()}")
    with pytest.raises(TypeError):
        pickle.dumps(service.config)


def fail(service: ServiceClient, tale: Tale) -> None:
    """Meet errors that a server, a path and a job may bring, and keep what they show."""
    training = service.create_lora_training_client("tinkex/nano", rank=4)
    sampler = service.create_sampling_client(base_model="tinkex/nano")
    rest = service.create_rest_client()
    sampler._base_model = None
    missing = "tinker://no-run:train:0/weights/none"
    attempts: list[Any] = [
        sampler.get_base_model,
        lambda: service.create_training_client_from_state(missing, weights_access_token=TOKEN),
        lambda: rest.get_training_run("no-run"),
        lambda: rest.copy_weights(missing, weights_access_token=TOKEN),
        lambda: training.load_state(missing, TOKEN).result(),
        lambda: service.create_sampling_client(base_model="no-such-model"),
    ]
    for attempt in attempts:
        with pytest.raises(TinkexError) as caught, capture_exceptions(service.telemetry):
            attempt()
        tale.add(f"error {type(caught.value).__name__}", shown(caught.value))
        again = pickle.loads(pickle.dumps(caught.value))
        tale.add(f"pickled {type(caught.value).__name__}", shown(again))


@pytest.mark.holds("S1", "S2", "S3", "S4", "S6")
@pytest.mark.parametrize("by_httpx", [False, True], ids=["own", "httpx"])
def test_a_whole_session_tells_no_secret_no_prompt_and_no_signed_url(
    tale: Tale, lines: Everything, tmp_path: Path, by_httpx: bool
) -> None:
    """Logs, events, metrics, spans, telemetry, reprs, pickles and tracebacks hold no canary (S1-S4)."""
    exporter = span_exporter()
    heard: list[Event] = []
    reading = events.attach_logger("debug", [Event])
    with (
        events.subscribe(heard.append),
        Metrics() as metrics,
        LocalServer(tmp_path / "data", api_key=KEY, faults=FAULTS) as server,
    ):
        config = Config.resolve(
            environ={}, base_url=server.base_url, api_key=KEY, telemetry=True, tracing=True,
            dump_headers=True, cf_access_client_id="id", cf_access_client_secret=CLOUDFLARE,
            default_query={"signature": QUERY}, default_headers={"X-My-Token": TOKEN},
        )  # fmt: skip
        sent: list[bytes] = []
        transport = Transport(
            config,
            http_transport=Recorded(sent) if by_httpx else None,
            jitter=lambda _: 0.01,
        )
        with ServiceClient(config=config, transport=transport) as service:
            live(service, tale, tmp_path)
            fail(service, tale)
        faults = server.faults
    events.detach(reading)

    for event in heard:
        tale.add(f"event {event.name}", event)
        tale.add(f"fields of {event.name}", json.dumps(event.fields(), default=repr))
    tale.add("metrics", f"{metrics.snapshot()} {metrics.prometheus()} {metrics.ledger.rows()}")
    for span in exporter.get_finished_spans():
        tale.add(f"span {span.name}", span.to_json())
    for body in sent:
        tale.add("telemetry", body.decode())
    tale.add("training log", (tmp_path / "metrics.jsonl").read_text())
    assert tale.leaks() == []

    # It was no idle session: whoever could have told something did.
    assert {fault.on for fault in faults.waiting} <= {
        "get_sampler", "forward_backward", "retrieve_future",
    }  # fmt: skip
    assert {"tinkex.transport", "tinkex.events", "httpx"} <= lines.names
    assert any(name.startswith("httpcore") for name in lines.names)
    assert any(getattr(event, "operation", "") == "download_archive" for event in heard)
    told = {type(event).__name__ for event in heard}
    assert {"HttpRequestStop", "RetryAttemptRetry", "FutureStop", "TokensUsed"} <= told
    assert {"tinkex.sample", "tinkex.forward_backward"} <= {
        span.name for span in exporter.get_finished_spans()
    }
    if by_httpx:
        assert any(b"SESSION_END" in body for body in sent)
        assert any(b"user_error" in body for body in sent)


class Recorded(httpx.HTTPTransport):
    """Send over real connections, and keep what leaves as telemetry."""

    def __init__(self, sent: list[bytes]) -> None:
        super().__init__()
        self.sent = sent

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/telemetry"):
            self.sent.append(request.read())
        return super().handle_request(request)


def test_the_canaries_would_be_heard(tale: Tale, lines: Everything) -> None:
    """Each of them is found wherever it stands, so silence means something."""
    logging.getLogger("tinkex.test").debug("sent %s", {"key": KEY})
    tale.prompt_tokens = [11, 12, 13, 14, 15, 16, 17]
    for text in (
        f"cf={CLOUDFLARE}", f"?access={QUERY}", f"prompt {PROMPT}!", f"locals {TOKEN}",
        "ModelInput(tokens=[11, 12, 13, 14, 15, 16, 17])", f"/archive?signature={'0f' * 32}",
    ):  # fmt: skip
        before = len(tale.leaks())
        tale.add("somewhere", text)
        assert len(tale.leaks()) > before, text
    assert any(leak.startswith("log tinkex.test") for leak in tale.leaks())
    assert any(leak.startswith("arguments of tinkex.test") for leak in tale.leaks())


@pytest.mark.holds("S2")
def test_httpx_and_its_logger_are_left_as_they_are() -> None:
    """Neither the import, a client nor `enable_logging` touches a foreign logger (P45)."""
    code = (
        "import logging\n"
        "def state():\n"
        "    names = ('', 'httpx', 'httpcore', 'urllib3', 'uvicorn', 'asyncio')\n"
        "    found = [logging.getLogger(name) for name in names]\n"
        "    return [(one.level, one.handlers[:], one.filters[:], one.propagate) for one in found]\n"
        "before = state()\n"
        "import httpx, tinkex, tinkex.errors\n"
        "assert type(logging.getLogger('tinkex').handlers[0]) is logging.NullHandler\n"
        "tinkex.enable_logging('debug')\n"
        "with tinkex.ServiceClient(base_url='local', telemetry=True) as service:\n"
        "    service.session\n"
        "assert state() == before\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.holds("S1")
def test_a_copy_of_a_config_keeps_its_secrets_to_itself() -> None:
    """`evolve`, `vars` and `asdict` give no way around the mask."""
    import attrs

    config = Config.resolve(environ={}, base_url="http://127.0.0.1:1", api_key=KEY)
    for copy in (config, evolve(config, timeout=1.0)):
        assert KEY not in f"{copy!r} {attrs.asdict(copy)!r} {copy.api_key:>40}"
