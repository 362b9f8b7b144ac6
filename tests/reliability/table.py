"""The faults and attacks that tinkex is tested against, as data.

Tests are marked with the cases that they cover, as in ``@pytest.mark.holds("F12")``. `docs/reliability.md`
is generated from both (`make generate`), and test_table.py fails on a case without a test.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

TESTS = Path(__file__).resolve().parents[1]


@frozen
class Case:
    """A row: the fault, how tests inject it, and how tinkex reacts.

    `layer` is the way of injection: "clock" with a scripted server and a clock that jumps,
    "socket" on real connections, "any input" by hypothesis, "server" against the embedded server,
    "process" in separate processes.
    """

    id: str
    what: str
    layer: str
    does: str


@frozen
class Holder:
    """A test that covers some of the cases."""

    path: str
    name: str
    cases: tuple[str, ...]


FAULTS = (
    Case("F1", "nothing listens at the address", "clock, socket",
         "`ConnectError` after three attempts, which names host and port; each attempt is logged. If the server responded before, retries last longer"),
    Case("F2", "the host's name cannot be resolved", "clock",
         "`ConnectError`: “cannot resolve the host”, after three attempts at most"),
    Case("F3", "the server accepts the connection and never responds", "clock, socket",
         "each attempt ends after `timeout` (60 s); then retries, then `ReadTimeoutError` with the history"),
    Case("F4", "the connection is reset after the request was sent", "socket",
         "retried with the same bytes, `seq_id` and idempotency key: it is applied once"),
    Case("F5", "the connection is reset during the response", "socket", "as F4"),
    Case("F6", "the response is shorter than its Content-Length", "socket",
         "a partial response is discarded: retried if that is safe, else `TransportError` or `DecodeError`"),
    Case("F7", "a kept connection was closed while idle", "socket",
         "detected before sending; if it breaks just then, the same bytes are sent again over a new connection if that is safe"),
    Case("F8", "503 with Retry-After on a submit", "clock", "waits exactly as long as the server asks"),
    Case("F9", "503 with Retry-After on a poll", "clock", "waits exactly as long as the server asks"),
    Case("F10", "polls fail with 500 indefinitely", "clock",
         "polls with growing back-off; at the deadline the server's error is raised, with the history, and polling stops"),
    Case("F11", "polls return “not yet” at once instead of being held", "clock", "polls with growing back-off, up to 2 s"),
    Case("F12", "429 with Retry-After on a sample", "clock",
         "all samplers in the process that use this server and key wait that long, and then increase their rate gradually"),
    Case("F13", "Retry-After that is very large, in the past, negative, NaN or not a time", "clock, any input",
         "beyond 120 s the error is raised with `retry_after`; an invalid value is ignored; a wait is never negative"),
    Case("F14", "402, the account has no credit", "clock", "`BillingError` at once, without a retry"),
    Case("F15", "401, at the start or after a key was rotated", "clock, socket",
         "`AuthenticationError` at once; if the key comes from a command, a file or a function, it is read again first"),
    Case("F16", "403 on a poll", "clock", "`PermissionDeniedError` with the request id, at once"),
    Case("F17", "404 on a poll, then the result", "clock", "the result: a request may take a moment to be known on all servers"),
    Case("F18", "404 on polls indefinitely", "clock",
         "after two minutes `FutureLostError`, which says whether the call can be submitted again; samples are submitted again automatically"),
    Case("F19", "410 on a poll", "clock", "`FutureLostError`: the result has expired"),
    Case("F20", "a success whose body is HTML, empty, broken text, null, of another type, or has unknown fields", "clock, any input",
         "`DecodeError` with content type and the redacted beginning; unknown fields and values are accepted"),
    Case("F21", "the job itself failed", "clock, server", "`RequestFailedError` with its category and request id; the server's own failures are marked `retryable`"),
    Case("F22", "a huge result", "clock, socket",
         "fetched when its announced size fits the budget (`response_bytes`), which is always released"),
    Case("F23", "the queue is paused and resumed", "clock", "observers receive every change once, in order; at most one log line per minute"),
    Case("F24", "409 after a submit whose response was lost", "clock, server",
         "if it was the same call, it counts as accepted and its result is waited for; a save is looked up under its name; else `ConflictError`, which says which request used the number"),
    Case("F25", "a submit is refused with 400", "clock, server", "the next call uses its number: no gap stalls the model"),
    Case("F26", "the parts of a batch arrive out of order, or one fails", "any input, server",
         "results are combined in order; the error names the part; no deadlock"),
    Case("F27", "`result(timeout=5)` gives up", "clock",
         "`FutureTimeoutError` with the last known state; the future stays valid, and its result is still fetched"),
    Case("F28", "Ctrl-C in a wait, a submit or a download, and twice", "process, socket",
         "the program ends at once with status 130, whatever the server does; the future stays valid, no sequence number is lost, and a partial download is kept"),
    Case("F29", "SIGTERM, the end of the program, `del`, fork, `os._exit`", "process",
         "the server is notified of the outcome, or the session expires; no hang; a forked child shares no connection and reports it"),
    Case("F30", "the heartbeat fails, hangs or is late", "clock",
         "a warning at the second miss; 404 or 410 make the next call raise `SessionLostError`; the user's thread never crashes"),
    Case("F31", "several threads use one TrainingClient", "any input, server",
         "calls are numbered without gaps or duplicates in the order of sending; no deadlock"),
    Case("F32", "the server lacks optional routes (404, 405, 501)", "clock, server", "everything else works; the call that needs one says that this server may not support it"),
    Case("F33", "the wall clock jumps an hour, either way", "clock", "nothing: waits and deadlines use monotonic time"),
    Case("F34", "a download is cut", "socket", "resumes, checks the length, and is written atomically"),
    Case("F35", "the archive's host ignores Range", "socket", "starts over; the file is right"),
    Case("F36", "the archive changed between two attempts", "socket", "starts over instead of splicing"),
    Case("F37", "the signed URL expires during the download", "socket", "signed again and resumed"),
    Case("F38", "no length, compression, an empty archive, a full disk", "socket", "works, or one clear error before anything is written"),
    Case("F39", "the target exists, cannot be written, or another process downloads the same", "socket",
         "refused by name; a lock keeps the second out; `force` replaces only what a download left"),
    Case("F40", "the server is still building the archive", "socket", "waited for until the deadline, with progress"),
    Case("F41", "a proxy is set, exempted, asks for a password (407), or dies", "socket",
         "used or bypassed according to the variables; `ProxyError` names it without its password; a request that may have arrived is not retried"),
    Case("F42", "the certificate is self-signed, for another host, or expired", "socket",
         "`TLSError` with a way out; never a silent downgrade; a custom CA or self-signed certificate by `verify` or SSL_CERT_FILE, a certificate of the client by `client_cert`; `verify=False` warns"),
    Case("F43", "thousands of futures at once", "socket", "few threads and connections; no file descriptor is left after closing"),
    Case("F44", "every call fails for minutes", "clock", "all calls together retry only as often as the shared budget allows"),
    Case("F45", "the server loses a run at step k", "server",
         "the recovery policy restores a checkpoint with its optimizer and continues at the right step, a limited number of times"),
    Case("F46", "thousands of samples take seconds each, and the server holds their polls", "socket",
         "all polls are held at the same time, none is cut short, and samples need no threads"),
    Case("F47", "more samples than slots", "clock",
         "first come, first served; each is woken when a slot is released; waiting uses no CPU"),
    Case("F48", "the client is closed while futures are pending", "clock",
         "each fails with `ClientClosedError` at once: waited for, in `wait`, with callbacks, or between two attempts"),
    Case("F49", "a response that arrives byte by byte, in head, body or trailers", "socket",
         "`timeout` limits the entire attempt; `result(timeout)` returns on time"),
    Case("F50", "an excessively large response, compressed or not", "socket",
         "`DecodeError` that names the limit (512 MiB uncompressed), as soon as it is exceeded"),
    Case("F51", "`x-should-retry: false`, or a wait beyond the caller's deadline", "clock, socket", "one attempt, for every kind of call"),
    Case("F52", "end of file in a TLS handshake or on an encrypted connection", "socket",
         "`ConnectError` or `TransportError`, retried like any other; never reported as a certificate error"),
    Case("F58", "a result whose log probabilities have another shape than the targets", "any input", "refused, naming the datum; flat ones are brought into shape"),
    Case("F59", "the server's database is lost, emptied or older than its folder; foreign files lie in the folder; `checkpoints` is a link", "server, process",
         "complete checkpoints are found again by their manifest; unknown files are moved aside and logged; a folder that is not the server's, or a link in it, is refused"),
    Case("F60", "the clock jumps by an hour, or the machine sleeps", "clock, server", "sessions and models are kept, at the local server too: durations use a monotonic clock; work in progress continues"),
    Case("F61", "NO_PROXY and proxy URLs of every shape", "any input", "read as other programs read them, or a `ConfigurationError` that names the variable and nothing of the password"),
    Case("F64", "only 64 files may be open, and a thousand samples want connections", "process", "they share the available connections"),
)  # fmt: skip

ATTACKS = (
    Case("S1", "the key in a repr, vars, pickle or comparison", "server", "shown as `tml-...last4` at most; clients and secrets refuse to be pickled"),
    Case("S2", "the key in a log line, at any level, of any package", "server, socket", "never: a session with every logger at DEBUG contains none of the secrets"),
    Case("S3", "the key in an error, its traceback or its variables", "clock, socket", "errors hold no live request; a server's text is redacted"),
    Case("S4", "the key or a prompt in telemetry", "clock", "only listed fields are sent; off by default, and always with DO_NOT_TRACK"),
    Case("S5", "a redirect to another host, scheme or port", "clock, socket", "never followed with credentials; a download's client has none; never from https to http"),
    Case("S6", "the signature of a download URL in logs, errors or progress", "socket", "the query is never shown"),
    Case("S7", "an untrusted handle, path or variable chooses the host", "clock", "only the configuration chooses it; plain http to another machine needs `allow_insecure=True`"),
    Case("S8", "an archive with links, devices, `..`, absolute or colliding names", "any input", "refused before anything is written under the target's name"),
    Case("S9", "an archive that is a decompression bomb", "any input", "stopped at its limits of size, ratio and count; nothing is left"),
    Case("S10", "names of exported files that leave the folder", "socket", "refused"),
    Case("S11", "the target is replaced by a link while unpacking", "socket", "unpacked in a fresh private folder, then renamed"),
    Case("S12", "code in downloaded data (pickle, torch)", "any input", "never run: only bounded safetensors headers are read; no module of tinkex unpickles or evaluates"),
    Case("S13", "code beside a tokenizer or in a template", "socket", "never run; templates are rendered in a sandbox"),
    Case("S14", "the file that holds the key is readable by others, or a link", "process", "written atomically with mode 0600 in a folder of mode 0700; refused if others can read it or it is a link"),
    Case("S15", "TINKER_CREDENTIAL_CMD hangs, floods, prints secrets to stderr", "process",
         "run without a shell where it parses, with a time limit, bounded output and unread stderr; kept until it expires"),
    Case("S16", "line ends in headers or metadata, `../`, `?` or `#` in ids", "socket", "refused by name before anything is sent; every part of a path is quoted"),
    Case("S17", "a password in the proxy's URL", "clock, socket", "redacted everywhere"),
    Case("S18", "terminal escape sequences in a server's text", "any input", "shown as a replacement character, never sent to the terminal"),
    Case("S19", "formulas in exported CSV, HTML in notebooks", "any input", "cells that would be formulas start with an apostrophe; HTML is escaped"),
    Case("S20", "a model card with the server's text", "server", "quoted and cut to a bounded length"),
    Case("S21", "a dependency with a vulnerability", "process", "development tools are pinned; the lowest and the newest versions are tested; the generated client records its sources; `make audit` checks for known vulnerabilities; no code is downloaded at run time"),
    Case("S22", "a server's text in reason phrase, request id, long message or note", "any input", "secrets are masked before the text is cut, control characters replaced, the length bounded"),
    Case("S23", "a misspelt `apikey=`, a key in the URL, settings built directly", "process", "refused without showing it; no frame variable, repr or error holds it"),
    Case("S24", "another user of the machine and the embedded server", "process", "every request needs a key that is random for each process; only the client in it has that key"),
    Case("S25", "`tinkex serve` beyond the loopback interface", "server, process", "it needs a key or an explicit option; Host and Origin must be allowed names"),
    Case("S26", "a token of another key, of an open server, or made from a token", "server", "refused: a token is bound to its key and cannot be exchanged for another"),
    Case("S27", "an uploaded loss whose values or arrays grow without end", "server", "limited in size when it is created and in size and time when it runs, in time slices shared with other sessions"),
    Case("S28", "line breaks and escapes in what a client sends to be logged", "server", "one line for each record, control characters escaped"),
)  # fmt: skip

# Cases whose tests are still being written; empty before a release.
AWAITED: frozenset[str] = frozenset()

CASES = {case.id: case for case in (*FAULTS, *ATTACKS)}


def holders() -> Iterator[Holder]:
    """Yield the tests that say which cases they hold, by path and place in the file."""
    for path in sorted(TESTS.rglob("test_*.py")):
        text = path.read_text(encoding="utf-8")
        if "pytest.mark.holds" not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                cases = tuple(case for mark in node.decorator_list for case in _cases(mark))
                if cases:
                    yield Holder(path.relative_to(TESTS).as_posix(), node.name, cases)


def _cases(decorator: ast.expr) -> tuple[str, ...]:
    if not isinstance(decorator, ast.Call) or ast.unparse(decorator.func) != "pytest.mark.holds":
        return ()
    return tuple(ast.literal_eval(argument) for argument in decorator.args)
