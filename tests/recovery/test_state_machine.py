"""Random interleavings of everything that can happen to training, against the real local server.

TINKEX_MACHINE_EXAMPLES=300 python -m pytest tests/recovery/test_state_machine.py    # the long run
"""

from __future__ import annotations

import contextlib
import gc
import logging
import re
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from attrs import define, field
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from support.clock import FakeClock
from support.extent import extent
from support.ports import lasting_port
from support.stored_weights import assert_same_weights, stored_weights
from support.training import ADAM, NANO_RUN, batch

from tinkex import Config, Datum, Future, ModelInput, ServiceClient, TrainingClient, errors
from tinkex._core.transport import Transport
from tinkex.local import LocalServer
from tinkex.recovery.restore import restore
from tinkex.testing import Fault

EXAMPLES = extent("MACHINE_EXAMPLES", 3, 100)
LONG = EXAMPLES > 10
CANARY = "tml-machine-0123456789abcdef"
LORA = {key: value for key, value in NANO_RUN.items() if key != "base_model"}
SUBMITS = ("forward_backward", "forward_backward_binary", "optim_step", "save_weights")
NO_SUCH_TOKEN = Datum(
    ModelInput.from_ints([5, 6]), {"target_tokens": [6, 10**6], "weights": [1.0, 1.0]}
)

ANSWERED_BADLY = [
    {"status": 503, "headers": {"retry-after": "2"}},
    {"status": 429, "headers": {"retry-after": "2"}},
    {"status": 500},
    {"status": 502, "applied": True},
    {"reset": True},
    {"reset": True, "applied": False},
    {"cut_after": 5},
    {"truncate": 5},
    {"duplicate": True},
    {"hold": 0.02},
    {"latency": 0.02},
]
POLLED_BADLY = [
    {"status": 503, "headers": {"retry-after": "2"}},
    {"status": 500},
    {"status": 404},
    {"status": 408},
    {"status": 400, "body": {}},
    {"reset": True},
    {"cut_after": 5},
    {"duplicate": True},
    {"hold": 0.02},
]


@define
class Entry:
    """One call that was accepted: what it was, and what has become of it."""

    operation: str
    number: int
    future: Future[Any] | None
    outcome: Any = None

    def settle(self, *, lost: bool = False) -> None:
        """Wait for the outcome: a loss, a path, or the class of an error."""
        if self.future is None or self.outcome is not None:
            return
        try:
            result = self.future.result()
        except errors.RequestFailedError as error:
            self.outcome = error.category
        except errors.TinkexError:
            # The server was restarted: what was computed before may be there, the rest is gone.
            assert lost
            self.outcome = "lost"
        else:
            self.outcome = summary(self.operation, result)


def summary(operation: str, result: Any) -> Any:
    """Return what can be compared of a result."""
    if operation == "forward_backward":
        return result.loss
    return result.path if operation == "save_state" else "done"


def call(training: TrainingClient, operation: str, number: int) -> Future[Any]:
    """Make the call that an entry stands for."""
    if operation == "forward_backward":
        return training.forward_backward(batch(number), "cross_entropy")
    if operation == "bad":
        return training.forward_backward([NO_SUCH_TOKEN], "cross_entropy")
    if operation == "optim_step":
        return training.optim_step(ADAM)
    return training.save_state(f"s-{number}")


@define
class Client:
    """A service with one model, and the ledger of its accepted calls, in order."""

    service: ServiceClient
    training: TrainingClient
    ledger: list[Entry] = field(factory=list)
    lost: list[Entry] = field(factory=list)

    def submit(self, operation: str, number: int) -> None:
        """Make a call until it is accepted, as its errors advise."""
        with self.training._queue.turn():
            while True:
                try:
                    future = call(self.training, operation, number)
                except (errors.TransportError, errors.ServerError, errors.RateLimitError):
                    continue
                self.ledger.append(Entry(operation, number, future))
                return

    def go_back(self) -> None:
        """Go on from the last acknowledged checkpoint, or from the beginning."""
        saved = [
            position
            for position, entry in enumerate(self.ledger)
            if entry.operation == "save_state" and str(entry.outcome).startswith("tinker://")
        ]
        kept = saved[-1] + 1 if saved else 0
        self.ledger, lost = self.ledger[:kept], self.ledger[kept:]
        for entry in [*self.ledger, *lost]:
            entry.settle(lost=True)
        self.lost += [*lost]
        if saved:
            self.training = restore(self.service, str(self.ledger[-1].outcome))
        else:
            self.service.renew_session()
            self.training = self.service.create_lora_training_client("tinkex/nano", **LORA)


class Lines(logging.Handler):
    """Look at every line that anything logs."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.secret: list[str] = []
        self.most_attempts = 0

    def emit(self, record: logging.LogRecord) -> None:
        line = record.getMessage()
        if CANARY in line:
            self.secret.append(line)
        if found := re.search(r"; attempt (\d+) in", line):
            self.most_attempts = max(self.most_attempts, int(found[1]))


class Training(RuleBasedStateMachine):
    """Two clients train on a server that misbehaves and restarts."""

    calm: ServiceClient
    calm_data: Path
    handles: int

    @initialize()
    def start(self) -> None:
        self.numbers = iter(range(10**6))
        self.threads, _ = usage()
        self.restarts = 0
        self.lines = Lines()
        self.levels = {name: logging.getLogger(name).level for name in ("", "tinkex", "httpx")}
        logging.getLogger().addHandler(self.lines)
        for name in self.levels:
            logging.getLogger(name).setLevel(logging.DEBUG)
        self.folder = tempfile.TemporaryDirectory(prefix="tinkex-machine-")
        self.data = Path(self.folder.name)
        self.port = lasting_port()
        self.server = LocalServer(data_dir=self.data, port=self.port).start()
        self.clients = [self.client(), self.client()]

    def client(self) -> Client:
        config = Config.resolve(
            environ={}, base_url=self.server.base_url, api_key=CANARY, timeout=20
        )
        transport = Transport(config, clock=FakeClock(), jitter=lambda longest: longest)
        service = ServiceClient(config=config, transport=transport)
        return Client(service, service.create_lora_training_client("tinkex/nano", **LORA))

    which = st.sampled_from([0, 1])

    @rule(who=which, operation=st.sampled_from(["forward_backward", "optim_step", "save_state"]))
    def submit(self, who: int, operation: str) -> None:
        """A call is accepted, in spite of whatever goes wrong on its way."""
        self.clients[who].submit(operation, next(self.numbers))

    @rule(who=which)
    def submit_what_fails(self, who: int) -> None:
        """A call is accepted, and its job fails by the caller's fault; the model is as before."""
        self.clients[who].submit("bad", next(self.numbers))

    @rule(count=st.integers(2, 4))
    def submit_from_threads(self, count: int) -> None:
        """Several threads call both clients at the same time."""
        numbers = [next(self.numbers) for _ in range(count)]

        def work(number: int) -> None:
            client = self.clients[number % 2]
            client.submit("forward_backward", number)
            client.submit("optim_step", number)

        threads = [threading.Thread(target=work, args=[number]) for number in numbers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    @rule(who=which, place=st.floats(0, 0.999))
    def wait(self, who: int, place: float) -> None:
        """Somebody waits for one of the results, not always the oldest."""
        if ledger := self.clients[who].ledger:
            ledger[int(place * len(ledger))].settle()

    @rule(who=which)
    def give_up_waiting(self, who: int) -> None:
        """A wait that is too short leaves the future as it was."""
        for entry in self.clients[who].ledger[-1:]:
            if entry.future is not None and entry.outcome is None:
                with contextlib.suppress(errors.FutureTimeoutError, errors.RequestFailedError):
                    entry.future.result(timeout=0.001)

    @rule(who=which)
    def drop(self, who: int) -> None:
        """Nobody wants to know what becomes of the last call; it is applied all the same."""
        for entry in self.clients[who].ledger[-1:]:
            if entry.operation != "save_state":
                entry.future = None

    @rule(on=st.sampled_from(SUBMITS), what=st.sampled_from(ANSWERED_BADLY))
    def break_a_submit(self, on: str, what: dict[str, Any]) -> None:
        """The next call of a kind goes wrong on its way, or has its answer lost."""
        self.server.faults.add(Fault(on=on, **what))

    @rule(what=st.sampled_from(POLLED_BADLY), nth=st.integers(1, 3))
    def break_a_poll(self, what: dict[str, Any], nth: int) -> None:
        """A look at a result goes wrong."""
        self.server.faults.add(Fault(on="retrieve_future", nth=nth, **what))

    @precondition(lambda self: self.restarts < 2)
    @rule()
    def restart(self) -> None:
        """The server forgets its models; both clients go back to their last checkpoint."""
        self.restarts += 1
        self.server.stop()
        self.server = LocalServer(data_dir=self.data, port=self.port).start()
        for client in self.clients:
            client.go_back()

    @invariant()
    def retries_stay_within_their_bounds(self) -> None:
        """No call has more attempts than the policy allows, and the budget is not overdrawn."""
        for client in getattr(self, "clients", []):
            transport = client.service._transport
            assert 0 <= transport.budget.tokens <= 500
            assert self.lines.most_attempts <= transport.policy.max_attempts

    def teardown(self) -> None:
        if not hasattr(self, "clients"):
            return
        try:
            self.server.faults.clear()
            for client in self.clients:
                self.check(client)
        finally:
            for client in self.clients:
                client.service.close()
            self.server.stop()
            self.folder.cleanup()
            logging.getLogger().removeHandler(self.lines)
            for name, level in self.levels.items():
                logging.getLogger(name).setLevel(level)
        assert self.lines.secret == []
        self.clients.clear()
        gc.collect()
        threads, handles = usage()
        assert threads <= self.threads
        # A leak grows with the examples; connections to the calm server come and go.
        assert handles <= self.handles + 6

    def check(self, client: Client) -> None:
        """Compare with the same calls, each made once, in order, on a server that is well."""
        client.submit("save_state", next(self.numbers))
        for entry in client.ledger:
            entry.settle()
        calm = self.calm.create_lora_training_client("tinkex/nano", **LORA)
        expected = ""
        for entry in client.ledger:
            again = Entry(entry.operation, entry.number, call(calm, entry.operation, entry.number))
            again.settle()
            if entry.operation == "save_state":
                expected = str(again.outcome)
            elif entry.outcome is not None and entry.outcome != "lost":
                assert entry.outcome == again.outcome, entry
        assert_same_weights(
            stored_weights(self.data, str(client.ledger[-1].outcome)),
            stored_weights(self.calm_data, expected),
        )
        calm.discard()


def usage() -> tuple[set[str], int]:
    """Return the threads that are alive and the number of open files."""
    folder = Path("/proc/self/fd")
    names = {f"{one.name} {one.ident}" for one in threading.enumerate()}
    return names, len(list(folder.iterdir())) if folder.exists() else 0


@pytest.fixture
def calm(tmp_path: Path) -> Iterator[ServiceClient]:
    with (
        LocalServer(data_dir=tmp_path) as server,
        ServiceClient(base_url=server.base_url) as service,
    ):
        # What is loaded once and stays, before anything is counted.
        training = service.create_lora_training_client("tinkex/nano", **LORA)
        call(training, "forward_backward", 1).result()
        np.random.default_rng(0)
        yield service


@pytest.mark.slow
@pytest.mark.timeout(300 + 10 * EXAMPLES)
def test_whatever_happens_each_accepted_call_is_applied_once_and_in_order(
    calm: ServiceClient, tmp_path: Path
) -> None:
    """Weights and results are those of the accepted calls alone; nothing leaks, no secret is logged."""
    machine: Callable[[], RuleBasedStateMachine] = type(
        "Machine", (Training,), {"calm": calm, "calm_data": tmp_path, "handles": usage()[1]}
    )
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=25,
            derandomize=not LONG,
            # What fails is shrunk in the long run, where there is time for it.
            phases=list(Phase) if LONG else [Phase.generate],
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
