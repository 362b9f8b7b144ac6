"""Everything behind the routes of one server: store, queue, live models, and their upkeep."""

import hashlib
import logging
import secrets
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import orjson
from attrs import field, frozen
from tinkex_generated.models import RequestErrorCategory, RequestFailedResponse

from tinkex._base.secret import Secret
from tinkex.local.adapters import AdapterShelf
from tinkex.local.archive import Archives
from tinkex.local.audit import AuditLog
from tinkex.local.bases import BaseShelf
from tinkex.local.changes import Changes
from tinkex.local.checkpoints import CheckpointRecord, CheckpointTable
from tinkex.local.clock import AwakeClock
from tinkex.local.custom_loss import CustomLoss
from tinkex.local.database import Database
from tinkex.local.datadir import DATABASE_NAME, RESULTS_NAME, DataDir
from tinkex.local.engine import EngineError, SampleResult
from tinkex.local.engine_thread import Deliver, EngineThread, SampleTicket
from tinkex.local.futures import Promise, PromiseBook
from tinkex.local.images import image_tokens
from tinkex.local.journal import Journal
from tinkex.local.keys import KeyRing
from tinkex.local.live import Directory, Keyed, LiveModel, LiveSampler
from tinkex.local.metrics import MetricTable
from tinkex.local.page_access import PageAccess
from tinkex.local.paths import parse_path
from tinkex.local.problem import Problem
from tinkex.local.reconcile import reconcile
from tinkex.local.recordings import Recordings
from tinkex.local.results import SCHEMA as RESULT_SCHEMA
from tinkex.local.results import ResultTable
from tinkex.local.run_log import RunLog
from tinkex.local.runs import RunRecord, RunTable
from tinkex.local.sessions import SessionTable
from tinkex.local.shown_samples import ShownSamples
from tinkex.local.signing import UrlSigner
from tinkex.local.threads import WorkerPool
from tinkex.local.trouble import TroubleLog
from tinkex.local.usage import UsageTable

logger = logging.getLogger("tinkex.local.app_state")


def _secret(value: Secret | str | None) -> Secret | None:
    return Secret.of(value)


@frozen
class Options:
    """The finer settings of a server.

    `long_poll_s` is how long `retrieve_future` and `retrieve_futures` wait before they report that
    there is nothing yet; results
    larger than `inline_bytes` are announced before they are sent, to clients that ask for it;
    larger request bodies than `max_body_bytes` are refused. A client has `header_timeout_s` for the
    header of a request, and as long between two parts of its body. A session that is silent for
    `session_timeout_s` in which the server ran ends. A request of a model waits
    `gap_timeout_s` for the one before it, if that does not arrive. A result is kept for `result_retention_s`, all
    of them may take `result_bytes` on disk. `now` is the clock that expiry goes by, in seconds since
    1970; `monotonic` is the one that silence goes by.
    """

    api_key: Secret | None = field(default=None, converter=_secret, repr=False)
    long_poll_s: float = 25.0
    inline_bytes: int = 2**20
    max_body_bytes: int = 256 * 2**20
    header_timeout_s: float = 60.0
    session_timeout_s: float = 3600.0
    gap_timeout_s: float = 15.0
    result_retention_s: float = 86_400.0
    result_bytes: int = 4 * 2**30
    now: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic


class AppState:
    """The state of one server."""

    def __init__(
        self, data_dir: Path, models: Mapping[str, str | Path] | None, options: Options
    ) -> None:
        self.options = options
        self.now = options.now
        self.awake = AwakeClock(options.monotonic)
        self.changes = Changes()
        # Whether other programs reach this server only as their own embedded one.
        self.is_embedded = False
        self.bases = BaseShelf.with_shipped(models)
        with ExitStack() as opened:
            self.data = DataDir(data_dir)
            opened.callback(self.data.close)
            self.database = Database(data_dir / DATABASE_NAME)
            opened.callback(self.database.close)
            self.result_file = Database(data_dir / RESULTS_NAME, RESULT_SCHEMA)
            opened.callback(self.result_file.close)
            self.audit = AuditLog(self.database, self.now)
            self.usage = UsageTable(self.database, self.now)
            self.journal = Journal(self.result_file)
            self.run_log = RunLog(self.result_file, self.now, self.changes)
            self.sessions = SessionTable(self.database, self.data.server_id, self.now, self.audit)
            self.runs = RunTable(self.database, self.now)
            self.checkpoints = CheckpointTable(self.database, self.data, self.now, self.audit)
            self.archives = Archives(self.data)
            secret = _signing_key(self.database)
            self.signer = UrlSigner(secret, self.now)
            self.keys = KeyRing(self.database, secret, self.now, options.api_key)
            self.page_access = PageAccess(self.keys, self.signer)
            opened.callback(self._write_the_end)
            self.pool = WorkerPool()
            opened.callback(self.pool.close)
            self.engine = EngineThread(self._settle, self._sample, self._begin)
            opened.callback(self.engine.close)
            # What was opened is closed in reverse, by `close` or by a failure up to here.
            self._opened = opened.pop_all()
        self.adapters = AdapterShelf(self.data.staging / "adapters")
        results = ResultTable(
            self.result_file,
            self.now,
            retention_s=options.result_retention_s,
            most_bytes=options.result_bytes,
        )
        self.promises = PromiseBook(
            results, self.now, server_id=self.data.server_id, is_alive=self.data.is_alive
        )
        self.metrics = MetricTable(self.result_file, self.now, self.changes)
        self.shown_samples = ShownSamples(self.result_file, self.now, self.changes)
        self.custom_losses: Directory[CustomLoss] = Directory("custom loss")
        self.troubles = TroubleLog(self.now, self.changes)
        self.models: Directory[LiveModel] = Directory("model")
        self.samplers: Directory[LiveSampler] = Directory("sampling session")
        self.keyed = Keyed()
        self.recordings = Recordings()
        self.last_seen: dict[str, float] = {}

    def start(self) -> None:
        """Clear what dead servers left, and start to compute."""
        self.data.bury_dead(
            lambda server_id: self.sessions.finish_server(
                server_id, "the server stopped without ending the session"
            )
        )
        reconcile(self.checkpoints, self.data)
        self.checkpoints.remove_expired()
        self.engine.start()

    def close(self) -> None:
        """Stop computing and close every file."""
        self._opened.close()

    def upkeep(self) -> None:
        """Expire checkpoints, results and inactive sessions that are due."""
        for step in (self._write_behind, self.checkpoints.remove_expired, self.promises.evict):
            try:
                step()
            except (sqlite3.Error, OSError):
                # One that fails (a full disk) must not keep the others from being done.
                logger.exception("a part of the upkeep failed; it is tried again later")
        self.recordings.expire()
        for model in self.models.all():
            model.turns.skip_gap(self.options.gap_timeout_s)
        silent_since = self.awake() - self.options.session_timeout_s
        for session_id, seen in list(self.last_seen.items()):
            if seen < silent_since:
                logger.info("session %s has been silent for too long: ended", session_id)
                self.end_session(session_id, "cancelled", None, "no heartbeat")

    def active_session(self, session_id: str) -> None:
        """Note a sign of life of a session; 404 if it is unknown, 410 if it is over."""
        if session_id in self.last_seen:
            self.last_seen[session_id] = self.awake()
            return
        record = self.sessions.get(session_id)
        raise Problem(
            410,
            f"session {session_id!r} has ended"
            if record.status != "active"
            else f"session {session_id!r} belongs to another server process",
        )

    def end_session(
        self, session_id: str, status: str, reason: str | None, detail: str | None
    ) -> None:
        """End a session: its models, samplers and results are forgotten, its checkpoints stay."""
        self.last_seen.pop(session_id, None)
        self.sessions.finish(session_id, status, reason, detail)
        for model_id, _ in self.models.take_session(session_id):
            self.engine.drop_lane(model_id)
            why = f": {reason or detail}" if reason or detail else ""
            self.run_log.add(model_id, f"the session ended ({status}{why})")
        self.changes.note()
        for sampler_id, sampler in self.samplers.take_session(session_id):
            sampler.close()
            self.adapters.forget(sampler_id)
        self.custom_losses.take_session(session_id)
        self.keyed.forget(session_id)
        self.recordings.end_session(session_id)
        for promise in self.promises.end_session(session_id):
            self._settle(promise, None, Problem(410, "the session of this request has ended"))

    def image_tokens(self, base_model: str, chunk: Any, loc: tuple[str | int, ...]) -> Any:
        """Return the tokens of an image for a base model, or raise a 400 problem."""
        return image_tokens(chunk, loc, self.bases.get(base_model).base.config, base_model)

    def weights_at(self, text: str) -> tuple[CheckpointRecord, RunRecord]:
        """Return the checkpoint at a tinker:// path and its run, or raise a problem."""
        record = self.checkpoints.get(parse_path(text))
        return record, self.runs.get(record.path.training_run_id)

    def digest(self, operation_id: str, body: Any) -> bytes:
        """Return a fingerprint of a request's meaning: equal for equal requests, however written."""
        option = orjson.OPT_SORT_KEYS | orjson.OPT_SERIALIZE_NUMPY
        text = orjson.dumps([operation_id, body.to_dict()], option=option)
        return hashlib.blake2b(text, digest_size=16).digest()

    def put_sample(self, base_model: str, ticket: SampleTicket) -> None:
        """Queue a sampling request, so that it can be cancelled."""

        def cancel() -> None:
            ticket.cancelled = True

        ticket.promise.cancel = cancel
        self.engine.put_sample(base_model, ticket)

    def end_waits(self) -> None:
        """End every wait, so that connections can close: the server stops."""
        self.changes.closing = True
        for promise in self.promises.close():
            self.fail_as_stopped(promise)
        for sampler in self.samplers.all():
            sampler.close()

    def note_refused(self, status: int, reason: str) -> None:
        """Note a request that was refused at the door; however many there are, they are one entry."""
        self.troubles.add(f"refused at the door ({status})", reason, by_reason=False)

    def succeed(self, promise: Promise, value: Any) -> None:
        """Set a result that needs no computation."""
        self._begin(promise)
        self._settle(promise, value, None)

    def fail(self, promise: Promise, error: Exception) -> None:
        """Set a failure as the result of a promise."""
        self._settle(promise, None, error)

    def fail_as_stopped(self, promise: Promise) -> None:
        """Fail a promise because the server stops."""
        self.fail(promise, Problem(503, "the local server was stopped"))

    def _write_behind(self) -> None:
        """Write buffered data."""
        self.runs.flush()
        self.usage.flush()
        self.journal.flush()
        self.run_log.flush()

    def _write_the_end(self) -> None:
        self._write_behind()
        self.sessions.finish_server(self.data.server_id, "the server was stopped")

    def _settle(self, promise: Promise, value: Any, error: BaseException | None) -> None:
        failed = error is not None
        try:
            payload = encode(_failure(error) if error is not None else value)
        except Exception as unexpected:
            logger.exception("the result of %s cannot be written", promise.request_id)
            payload, failed = encode(_failure(unexpected)), True
        if error is not None:
            self._note_failure(promise, error)
        if self.promises.settle(promise, payload, failed=failed):
            self.journal.add(promise)
        self.changes.note()

    def _note_failure(self, promise: Promise, error: BaseException) -> None:
        if self.promises.closing:
            # What stops with the server has not failed by itself.
            return
        self.troubles.add(promise.operation or promise.request_id, str(error))
        if self.models.find(promise.track) is not None:
            self.run_log.add(promise.track, f"{promise.operation} failed: {error}", "error")

    def _begin(self, promise: Promise) -> None:
        promise.began_at = self.now()
        self.changes.note()

    def _sample(self, base: str, tickets: Sequence[SampleTicket], deliver: Deliver) -> None:
        loaded = self.bases.get(base)
        jobs = []
        for ticket in tickets:
            adapter = None
            if ticket.adapter_key is not None:
                adapter = self.adapters.get(ticket.adapter_key, ticket.adapter_folder, loaded.base)
            jobs.append(ticket.make(adapter))

        def done(index: int, result: SampleResult) -> None:
            session_id = tickets[index].promise.session_id
            sampled = sum(len(sequence.tokens) for sequence in result.sequences)
            self.usage.add("sampling_prefill", base, session_id, len(jobs[index].prompt))
            self.usage.add("sampling_sample", base, session_id, sampled)
            # Before the result, so that a client that has it finds it on the page.
            if (key := tickets[index].adapter_key) is not None:
                vocabulary = loaded.base.config.vocab_size
                self.shown_samples.add(key, jobs[index], result, loaded.decode, vocabulary)
            deliver(index, result)

        loaded.sampler.sample(jobs, done)


def encode(value: Any) -> bytes:
    """Return the JSON bytes of a generated model, or of plain data."""
    tree = value.to_dict() if hasattr(value, "to_dict") else value
    return orjson.dumps(tree, option=orjson.OPT_SERIALIZE_NUMPY)


def _failure(error: BaseException) -> RequestFailedResponse:
    if isinstance(error, Problem):
        category: RequestErrorCategory = "user" if error.status < 500 else "server"
        return RequestFailedResponse(error=str(error), category=category)
    if isinstance(error, EngineError):
        return RequestFailedResponse(error=str(error), category="user")
    logger.error("a job failed", exc_info=error)
    return RequestFailedResponse(
        error=f"internal error of the local server: {type(error).__name__}: {error}",
        category="server",
    )


def _signing_key(database: Database) -> bytes:
    """Return the key that signs download URLs, the same for every server on this folder."""
    database.execute(
        "INSERT OR IGNORE INTO settings VALUES ('signing_key', ?)", (secrets.token_bytes(32),)
    )
    row = database.row("SELECT value FROM settings WHERE key = 'signing_key'")
    if row is None:
        raise RuntimeError("the database lost its signing key")
    return bytes(row["value"])
