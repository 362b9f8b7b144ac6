"""The faults and attacks that tinkex is held to, as data.

A test says with ``@pytest.mark.holds("F12")`` which of these it holds. `docs/reliability.md` is made
from the two together (`make generate`), and test_table.py fails on a case that no test holds.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

TESTS = Path(__file__).resolve().parents[1]


@frozen
class Case:
    """One row: what goes wrong, where it is brought about, and what tinkex does then.

    `layer` says how the tests inject it: "clock" with a scripted server and a clock that jumps,
    "socket" on real connections, "any input" by hypothesis, "server" against the embedded server,
    "process" in processes of their own.
    """

    id: str
    what: str
    layer: str
    does: str


@frozen
class Holder:
    """A test that holds some of the cases."""

    path: str
    name: str
    cases: tuple[str, ...]


FAULTS = (
    Case("F1", "nothing listens at the address", "clock, socket",
         "`ConnectError` after three attempts, which names host and port; each attempt is logged. A server that answered before is waited for"),
    Case("F2", "the host's name cannot be resolved", "clock",
         "`ConnectError`: “cannot resolve the host”, after three attempts at most"),
    Case("F3", "the server accepts the connection and never responds", "clock, socket",
         "each attempt ends after `timeout` (60 s); then retries, then `ReadTimeoutError` with the history"),
    Case("F4", "the connection is reset after the request was sent", "socket",
         "sent again with the same bytes, the same `seq_id` and the same idempotency key: it takes effect once"),
    Case("F5", "the connection is reset in the middle of the answer", "socket", "as F4"),
    Case("F6", "the answer is shorter than it says", "socket",
         "half an answer is none: repeated where that is safe, else `TransportError` or `DecodeError`"),
    Case("F7", "a kept connection was closed while idle", "socket",
         "noticed before sending; if it breaks just then, the same bytes go once more over a new connection where that is safe"),
    Case("F8", "503 with Retry-After on a submit", "clock", "waits exactly as long as the server asks"),
    Case("F9", "503 with Retry-After on a poll", "clock", "waits exactly as long as the server asks"),
    Case("F10", "polls answered 500 for ever", "clock",
         "polls ever more rarely; at the deadline the server's error, with the history; nothing goes on polling"),
    Case("F11", "polls answered “not yet” at once instead of held", "clock", "polls ever more rarely, up to every 2 s"),
    Case("F12", "429 with Retry-After on a sample", "clock",
         "all samplers of the process for this server and key wait that long, and are careful for a while after"),
    Case("F13", "Retry-After that is enormous, past, negative, NaN or no time at all", "clock, any input",
         "beyond 120 s the error is raised with `retry_after`; nonsense counts as not said; no wait is ever negative"),
    Case("F14", "402, the account is out of money", "clock", "`BillingError` at once, without a retry"),
    Case("F15", "401, at the start or after a key was rotated", "clock, socket",
         "`AuthenticationError` at once; where the key comes from a command, a file or a function, it is read once more first"),
    Case("F16", "403 on a poll", "clock", "`PermissionDeniedError` with the request id, at once"),
    Case("F17", "404 on a poll, then the result", "clock", "the result: a promise may take a moment to be known everywhere"),
    Case("F18", "404 on polls for ever", "clock",
         "after two minutes `FutureLostError`, which says whether sending anew is safe; samples are sent anew by themselves"),
    Case("F19", "410 on a poll", "clock", "`FutureLostError`: the result has expired"),
    Case("F20", "a success whose body is HTML, empty, broken text, null, of another type, or has unknown fields", "clock, any input",
         "`DecodeError` with content type and the redacted beginning; unknown fields and values are no mistake"),
    Case("F21", "the job itself failed", "clock, server", "`RequestFailedError` with its category and request id; the server's own failures are marked `retryable`"),
    Case("F22", "a huge result", "clock, socket",
         "announced first and fetched when its bytes fit the budget (`response_bytes`), which is given back whatever happens"),
    Case("F23", "the queue is paused and goes on", "clock", "observers hear every change in order, once; one log line a minute"),
    Case("F24", "409 after a submit whose answer was lost", "clock, server",
         "if it was the same call, it counts as accepted and its result is waited for; a save is looked up under its name; else `ConflictError`, which says what the number went to"),
    Case("F25", "a submit is refused with 400", "clock, server", "its number goes to the next call: no gap that stalls the model"),
    Case("F26", "the parts of a batch arrive out of order, or one fails", "any input, server",
         "results are put together in order; the error names the part; no deadlock"),
    Case("F27", "`result(timeout=5)` gives up", "clock",
         "`FutureTimeoutError` with what is known; the future stays valid, and its result is fetched all the same"),
    Case("F28", "Ctrl-C in a wait, a submit or a download, and twice", "process, socket",
         "the program ends at once with status 130, whatever the server still holds; the future stays valid, the number is not lost, the part of the download is kept"),
    Case("F29", "SIGTERM, the end of the program, `del`, fork, `os._exit`", "process",
         "the server hears how it ended, or the session expires; no hang; a forked child shares no connection and says so"),
    Case("F30", "the heartbeat fails, hangs or comes late", "clock",
         "a warning at the second miss; 404 or 410 make the next call raise `SessionLostError`; the user's thread never crashes"),
    Case("F31", "several threads use one TrainingClient", "any input, server",
         "calls are numbered without gap or repetition in the order of sending; no deadlock"),
    Case("F32", "the server lacks optional routes (404, 405, 501)", "clock, server", "everything else works; the call that needs one says that this server may not support it"),
    Case("F33", "the wall clock jumps an hour, either way", "clock", "nothing: waits and deadlines use monotonic time"),
    Case("F34", "a download is cut", "socket", "goes on where it broke, checks the length, and appears under its name only when whole"),
    Case("F35", "the archive's host ignores Range", "socket", "starts over; the file is right"),
    Case("F36", "the archive changed between two attempts", "socket", "starts over instead of splicing"),
    Case("F37", "the signed URL expires in the middle", "socket", "signed anew, then goes on"),
    Case("F38", "no length, compression, an empty archive, a full disk", "socket", "works, or one clear error before anything is written"),
    Case("F39", "the target exists, cannot be written, or another process downloads the same", "socket",
         "refused by name; a lock keeps the second out; `force` replaces only what a download left"),
    Case("F40", "the archive is still being made", "socket", "waited for until the deadline, with progress"),
    Case("F41", "a proxy is set, exempted, asks for a password (407), or dies", "socket",
         "used or left out as the variables say; `ProxyError` names it without its password; nothing is repeated that may have arrived"),
    Case("F42", "the certificate is self-signed, for another host, or expired", "socket",
         "`TLSError` with a way out; never a silent downgrade; a CA or a self-signed certificate of one's own by `verify` or SSL_CERT_FILE, a certificate of the client by `client_cert`; `verify=False` warns"),
    Case("F43", "thousands of futures at once", "socket", "few threads and connections; no file descriptor is left after closing"),
    Case("F44", "every call fails for minutes", "clock", "all calls together retry only as often as the shared budget allows"),
    Case("F45", "the server loses a run at step k", "server",
         "the recovery policy restores a checkpoint with its optimizer and goes on at the right step, a bounded number of times"),
    Case("F46", "thousands of samples take seconds each, and the server holds their polls", "socket",
         "all polls are held at the same time, none is cut short, and no sample has a thread of its own"),
    Case("F47", "more samples than slots", "clock",
         "first come, first served; each is woken by the one whose slot it takes, and waiting costs nothing"),
    Case("F48", "the client is closed while futures are pending", "clock",
         "each fails with `ClientClosedError` at once: waited for, in `wait`, with callbacks, or between two attempts"),
    Case("F49", "a response that drips, in head, body or trailers", "socket",
         "`timeout` bounds the attempt as a whole; `result(timeout)` returns on time"),
    Case("F50", "a response larger than any should be, packed or not", "socket",
         "`DecodeError` that names the bound (512 MiB unpacked), as soon as it is passed"),
    Case("F51", "`x-should-retry: false`, or a wait beyond the caller's deadline", "clock, socket", "one attempt, for every kind of call"),
    Case("F52", "end of file in a TLS handshake or on an encrypted connection", "socket",
         "`ConnectError` or `TransportError`, repeated like any other; never a matter of certificates"),
    Case("F58", "a result whose log probabilities have another shape than the targets", "any input", "refused, naming the datum; flat ones are brought into shape"),
    Case("F59", "the server's database is lost, emptied or older than its folder; foreign files lie in the folder; `checkpoints` is a link", "server, process",
         "complete checkpoints describe themselves and are offered again; what is unknown is set aside and logged; a folder that is not the server's, or a link in it, is refused"),
    Case("F60", "the clock jumps by an hour, or the machine sleeps", "clock, server", "sessions and models are kept, at the local server too: durations go by a clock that does not jump; what was under way continues"),
    Case("F61", "NO_PROXY and proxy URLs of every shape", "any input", "read as other programs read them, or a `ConfigurationError` that names the variable and nothing of the password"),
    Case("F64", "only 64 files may be open, and a thousand samples want connections", "process", "they take turns over the connections that fit"),
)  # fmt: skip

ATTACKS = (
    Case("S1", "the key in a repr, vars, pickle or comparison", "server", "shown as `tml-...last4` at most; clients and secrets refuse to be pickled"),
    Case("S2", "the key in a log line, at any level, of any package", "server, socket", "never: a session with every logger at DEBUG holds none of the secrets"),
    Case("S3", "the key in an error, its traceback or its variables", "clock, socket", "errors hold no live request; what a server repeats is redacted"),
    Case("S4", "the key or a prompt in telemetry", "clock", "only listed fields leave; off unless asked for, and with DO_NOT_TRACK always"),
    Case("S5", "a redirect to another host, scheme or port", "clock, socket", "never followed with credentials; a download's client has none; never from https to http"),
    Case("S6", "the signature of a download URL in logs, errors or progress", "socket", "the query is never shown"),
    Case("S7", "an untrusted handle, path or variable chooses the host", "clock", "only the configuration chooses it; plain http to another machine needs `allow_insecure=True`"),
    Case("S8", "an archive with links, devices, `..`, absolute or colliding names", "any input", "refused before anything is written under the target's name"),
    Case("S9", "an archive that is a bomb", "any input", "stopped at its limits of size, ratio and count; nothing is left"),
    Case("S10", "names of exported files that leave the folder", "socket", "refused"),
    Case("S11", "the target is replaced by a link while unpacking", "socket", "unpacked in a fresh private folder, then renamed"),
    Case("S12", "code in downloaded data (pickle, torch)", "any input", "never run: only bounded safetensors headers are read; no module of tinkex unpickles or evaluates"),
    Case("S13", "code beside a tokenizer or in a template", "socket", "never run; templates are rendered in a sandbox"),
    Case("S14", "the file that holds the key is readable by others, or a link", "process", "written 0600 in a 0700 folder in one step; refused when others may read it or it is a link"),
    Case("S15", "TINKER_CREDENTIAL_CMD hangs, floods, prints secrets to stderr", "process",
         "run without a shell where it parses, with a time limit, bounded output and unread stderr; kept until it expires"),
    Case("S16", "line ends in headers or metadata, `../`, `?` or `#` in ids", "socket", "refused by name before anything is sent; every part of a path is quoted"),
    Case("S17", "a password in the proxy's URL", "clock, socket", "redacted everywhere"),
    Case("S18", "terminal escape sequences in what a server says", "any input", "shown as a replacement character, never sent to the terminal"),
    Case("S19", "formulas in exported CSV, HTML in notebooks", "any input", "cells that would be formulas begin with an apostrophe; HTML is escaped"),
    Case("S20", "a model card made of the server's words", "server", "quoted and cut to a bounded length"),
    Case("S21", "a dependency with a hole", "process", "development tools are pinned; the lowest and the newest versions are tested; the generated client names what it is made from; `make audit` asks for known holes; no code is fetched when tinkex runs"),
    Case("S22", "a server's words in reason phrase, request id, long message or note", "any input", "secrets are masked before the text is cut, control characters replaced, the length bounded"),
    Case("S23", "a misspelt `apikey=`, a key in the URL, settings built directly", "process", "refused without showing it; no frame variable, repr or error holds it"),
    Case("S24", "another user of the machine and the embedded server", "process", "everything asks for a key that is random in each process; only the client in it has that key"),
    Case("S25", "`tinkex serve` beyond the loopback interface", "server, process", "it needs a key or an explicit word; Host and Origin must name what it was told to answer to"),
    Case("S26", "a token of another key, of an open server, or made from a token", "server", "refused: a token names its key and dies with it, and is exchanged for no other"),
    Case("S27", "an uploaded loss whose values or arrays grow without end", "server", "bounded in size when it is created and in size and time when it runs, by turns with what others compute"),
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
