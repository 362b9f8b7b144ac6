"""A model's requests go out in order, each under the next number, without a gap."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from attrs import define, field
from hypothesis import given, settings
from hypothesis import strategies as st
from support.clock import FakeClock
from support.extent import examples
from support.interrupts import interrupted
from support.scripted import Script
from tinkex_generated.api.training import forward_backward, optim_step
from tinkex_generated.api.weights import save_weights
from tinkex_generated.models import (
    AdamParams,
    ForwardBackwardInput,
    ForwardBackwardRequest,
    OptimStepRequest,
    OptimStepResponse,
    SaveWeightsRequest,
)
from tinkex_generated.types import Request

from tinkex._core.session import Session
from tinkex._core.submission import LookUp, NameLookup, SubmissionQueue, future
from tinkex.errors import (
    ApiError,
    AuthenticationError,
    BadRequestError,
    BillingError,
    ClientClosedError,
    ConflictError,
    ConnectError,
    DecodeError,
    PayloadTooLargeError,
    RateLimitError,
    RequestFailedError,
    ServerError,
    SessionLostError,
    TinkexError,
    TransportError,
    UnprocessableError,
    ValidationError,
)

STEP = "POST optim_step"
BATCH = "POST forward_backward"
SAVE = "POST save_weights"
POLL = "POST retrieve_future"
DOWN = httpx.ReadTimeout("no answer")
USED = {"detail": "Training request sequence number was reused"}


def step(rate: float = 1e-4) -> Callable[[int], Request]:
    return lambda seq: optim_step.build_request(
        body=OptimStepRequest(model_id="M", seq_id=seq, adam_params=AdamParams(learning_rate=rate))
    )


def part(loss: str = "cross_entropy") -> Callable[[int], Request]:
    return lambda seq: forward_backward.build_request(
        body=ForwardBackwardRequest(
            model_id="M",
            seq_id=seq,
            forward_backward_input=ForwardBackwardInput(data=[], loss_fn=loss),
        )
    )


def save(name: str) -> Callable[[int], Request]:
    return lambda seq: save_weights.build_request(
        body=SaveWeightsRequest(model_id="M", path=name, seq_id=seq)
    )


@pytest.fixture
def queue(session: Session) -> SubmissionQueue:
    return SubmissionQueue(session)


def submit(queue: SubmissionQueue, *builders: Callable[[int], Request], **settings: Any) -> Any:
    arguments = {"request_type": "OptimStep", "parse": OptimStepResponse.from_dict, **settings}
    return queue.submit(builders, **arguments)


def numbers(script: Script, *operations: str) -> list[int]:
    """Return the numbers under which requests were sent, repetitions left out."""
    seen = [
        (got.headers["x-idempotency-key"], got.json["seq_id"])
        for got in script.received
        if got.route.rpartition("/")[2] in (operations or ("optim_step", "forward_backward", "save_weights"))
    ]  # fmt: skip
    return [seq for _, seq in dict.fromkeys(seen)]


def accepted(request: httpx.Request) -> dict[str, str]:
    return {"request_id": f"r-{json.loads(request.content)['seq_id']}"}


# Order


def test_numbers_begin_at_one_and_have_no_gap(queue: SubmissionQueue, script: Script) -> None:
    """Every accepted request takes the next number, whatever it asks for."""
    script.on(STEP, accepted).on(BATCH, accepted).on(SAVE, accepted)
    submit(queue, part())
    submit(queue, part(), part(), part(), combine=list)
    submit(queue, step())
    submit(queue, save("a"))
    assert numbers(script) == [1, 2, 3, 4, 5, 6]


@pytest.mark.holds("F31")
def test_threads_get_numbers_without_gap_or_repetition_in_the_order_of_sending(
    queue: SubmissionQueue, script: Script
) -> None:
    """The parts of one call stay together, from however many threads (F31)."""
    script.on(BATCH, accepted)

    def work(name: str) -> None:
        for _ in range(10):
            submit(queue, part(name), part(name), part(name), combine=list)

    threads = [threading.Thread(target=work, args=(f"loss-{i}",)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert numbers(script) == list(range(1, 181))
    names = [
        body["forward_backward_input"]["loss_fn"] for body in script.bodies("forward_backward")
    ]
    assert all(len(set(names[i : i + 3])) == 1 for i in range(0, 180, 3))


def test_submitting_does_not_wait_for_results(
    session: Session, queue: SubmissionQueue, script: Script
) -> None:
    """Many requests are on their way before the first result is asked for."""
    submitted = threading.Event()

    def result(request: httpx.Request) -> Any:
        assert submitted.wait(10)
        return {"metrics": {"n": float(json.loads(request.content)["request_id"][2:])}}

    script.on(STEP, accepted).on(POLL, result)
    futures = [future(session, submit(queue, step()), "optim_step") for _ in range(20)]
    assert not any(one.done() for one in futures)
    submitted.set()
    assert [one.request_id for one in futures] == [f"r-{i}" for i in range(1, 21)]
    assert [one.result().metrics["n"] for one in reversed(futures)] == [
        float(i) for i in range(20, 0, -1)
    ]


def test_the_first_poll_tells_how_long_submitting_took(
    session: Session, queue: SubmissionQueue, script: Script, clock: FakeClock
) -> None:
    """The server learns the round trip of the promise."""

    def slowly(request: httpx.Request) -> Any:
        clock.advance(1.25)
        return accepted(request)

    script.on(STEP, slowly).on(POLL, {})
    future(session, submit(queue, step()), "optim_step").result()
    poll = script.sent("retrieve_future")[0]
    assert poll.headers["x-tinker-create-promise-roundtrip-time"] == "1.250000"


def test_a_result_that_comes_at_once_is_no_promise(
    session: Session, queue: SubmissionQueue, script: Script
) -> None:
    """Some servers answer a request with its result; in a batch every part is sent all the same."""
    script.on(STEP, {"metrics": {"x": 2.0}})
    result = future(session, submit(queue, step()), "optim_step")
    assert result.result().metrics == {"x": 2.0}
    script.on(BATCH, {"metrics": {"n": 1.0}}, accepted, {"metrics": {"n": 3.0}})
    script.on(POLL, {"metrics": {"n": 2.0}})
    work = submit(
        queue, part(), part(), part(), parse=lambda body: body["metrics"]["n"], combine=list
    )
    assert future(session, work, "forward_backward").result() == [1.0, 2.0, 3.0]
    assert numbers(script) == [1, 2, 3, 4]


# Refusals


@pytest.mark.holds("F25")
@pytest.mark.parametrize(
    ("status", "error"),
    [(400, BadRequestError), (401, AuthenticationError), (402, BillingError), (413, PayloadTooLargeError),
     (422, UnprocessableError), (404, ApiError), (403, ApiError)],
)  # fmt: skip
def test_a_refused_request_leaves_its_number_to_the_next(
    queue: SubmissionQueue, script: Script, status: int, error: type[ApiError]
) -> None:
    """The server waits for no number that it has refused (F25)."""
    script.on(STEP, status, accepted)
    with pytest.raises(error) as caught:
        submit(queue, step())
    assert "not known" not in str(caught.value)
    assert caught.value.session_id == "S"
    submit(queue, step(rate=2e-4))
    assert numbers(script) == [1, 1]


def test_bad_data_sends_nothing(queue: SubmissionQueue, script: Script) -> None:
    """A mistake in the last part of a batch stops the first one too."""

    def bad(seq: int) -> Request:
        raise ValidationError("is NaN", path="data[3]")

    script.on(BATCH, accepted)
    with pytest.raises(ValidationError):
        submit(queue, part(), part(), bad, combine=list)
    assert script.paths() == []
    submit(queue, part())
    assert numbers(script) == [1]


def test_a_batch_that_breaks_off_says_what_was_accepted(
    queue: SubmissionQueue, script: Script
) -> None:
    """The gradients of accepted parts stand, so the same call again would count them twice."""
    script.on(BATCH, accepted, accepted, (422, {"detail": "bad token"}))
    with pytest.raises(UnprocessableError, match="bad token") as caught:
        submit(queue, part(), part(), part(), part(), combine=list)
    assert "2 of 4 parts of this batch were accepted" in str(caught.value)
    assert "load your last checkpoint" in str(caught.value)
    assert "make the same call again" not in str(caught.value)
    script.on(BATCH, accepted)
    submit(queue, part())
    assert numbers(script) == [1, 2, 3, 3]


def test_a_batch_that_breaks_off_without_an_answer_does_not_advise_to_repeat_it(
    queue: SubmissionQueue, script: Script
) -> None:
    """Under new numbers the parts that were accepted would be applied twice."""
    script.on(BATCH, accepted, DOWN)
    with pytest.raises(TransportError) as caught:
        submit(queue, part(), part(), combine=list)
    assert "1 of 2 parts" in str(caught.value)
    assert "make the same call again" not in str(caught.value)


# Unknown fates


@pytest.mark.parametrize(
    ("failure", "error"),
    [(DOWN, TransportError), (503, ServerError), (429, RateLimitError), (httpx.ConnectError("x"), ConnectError),
     ((200, b"<html>portal</html>"), DecodeError), ((200, b"null"), DecodeError), ((200, {"metrics": 5}), DecodeError)],
    ids=str,
)  # fmt: skip
def test_the_same_call_again_is_sent_under_the_same_number_in_the_same_bytes(
    queue: SubmissionQueue, script: Script, failure: Any, error: type[TinkexError]
) -> None:
    """Whether or not the first one arrived, the server applies the two once."""
    script.on(STEP, failure)
    with pytest.raises(error, match="make the same call again, and it is applied exactly once"):
        submit(queue, step())
    script.on(STEP, accepted)
    submit(queue, step())
    assert len({got.content for got in script.sent("optim_step")}) == 1
    submit(queue, step())
    assert script.bodies("optim_step")[-1]["seq_id"] == 2


@pytest.mark.holds("F24")
def test_another_call_after_an_unknown_fate_learns_what_became_of_it(
    queue: SubmissionQueue, script: Script
) -> None:
    """The conflict shows that the first one arrived; its number is used, and the calls go on (F24)."""
    script.on(BATCH, DOWN)
    with pytest.raises(TransportError):
        submit(queue, part())
    script.on(STEP, (409, USED), accepted)
    with pytest.raises(ConflictError) as caught:
        submit(queue, step())
    assert "The forward_backward before it, whose fate was unknown, did arrive" in str(caught.value)
    assert "call optim_step again" in str(caught.value)
    submit(queue, step())
    assert numbers(script, "optim_step") == [1, 2]


def test_a_refusal_in_between_does_not_make_the_fate_known(
    queue: SubmissionQueue, script: Script
) -> None:
    """A request that was refused says nothing about the one before it."""
    script.on(BATCH, DOWN)
    with pytest.raises(TransportError):
        submit(queue, part())
    script.on(STEP, 400, (409, USED), accepted)
    with pytest.raises(BadRequestError):
        submit(queue, step())
    with pytest.raises(ConflictError, match="did arrive"):
        submit(queue, step())
    submit(queue, step())
    assert numbers(script, "optim_step") == [1, 1, 2]


@pytest.mark.holds("F28")
def test_an_interrupted_submission_does_not_block_the_model(
    queue: SubmissionQueue, script: Script
) -> None:
    """After Ctrl-C it is unknown whether the request arrived, and the next call finds out (F28)."""
    with interrupted() as answer:
        script.on(BATCH, answer)
        submit(queue, part())
    script.on(STEP, (409, USED), accepted)
    with pytest.raises(ConflictError, match="did arrive"):
        submit(queue, step())
    submit(queue, step())
    assert numbers(script, "optim_step") == [1, 2]


def looked_up(*, is_taken: bool | None) -> LookUp:
    async def look_up(_: float) -> NameLookup:
        return NameLookup(is_taken=is_taken)

    return look_up


@pytest.mark.parametrize(
    "said",
    [
        {"detail": "checkpoint 'a' exists already"},
        {"detail": "checkpoint tinker://r/weights/seq2seq-best already exists"},
        USED,
    ],
    ids=["name", "name like a number", "number"],
)
def test_a_name_that_is_taken_uses_no_number(
    queue: SubmissionQueue, script: Script, said: dict[str, str]
) -> None:
    """What the name holds decides, whatever the words; or the server would wait for a number indefinitely."""
    script.on(STEP, DOWN)
    with pytest.raises(TransportError):
        submit(queue, step())
    script.on(SAVE, (409, said), (409, said), accepted)
    with pytest.raises(ConflictError) as caught:
        submit(queue, save("a"), look_up=looked_up(is_taken=True))
    assert "did arrive" not in str(caught.value)
    with pytest.raises(ConflictError, match="did arrive"):
        submit(queue, save("b"), look_up=looked_up(is_taken=False))
    submit(queue, save("b"), look_up=looked_up(is_taken=False))
    assert numbers(script, "save_weights") == [1, 1, 2]


def test_where_the_server_does_not_say_who_holds_a_name_the_next_step_finds_out(
    queue: SubmissionQueue, script: Script
) -> None:
    """A conflict that may be of the name or of the number moves no number."""
    script.on(STEP, DOWN)
    with pytest.raises(TransportError):
        submit(queue, step())
    script.on(SAVE, (409, USED))
    with pytest.raises(ConflictError) as caught:
        submit(queue, save("a"), look_up=looked_up(is_taken=None))
    assert "did arrive" not in str(caught.value)
    script.on(STEP, (409, USED), accepted)
    with pytest.raises(ConflictError, match="did arrive"):
        submit(queue, step())
    submit(queue, step())
    assert numbers(script) == [1, 1, 1, 2]


@pytest.mark.holds("F24")
def test_a_conflict_without_an_unknown_fate_uses_no_number(
    queue: SubmissionQueue, script: Script
) -> None:
    """If nothing is unsure, a conflict is a refusal like any other."""
    script.on(STEP, (409, USED), accepted)
    with pytest.raises(ConflictError):
        submit(queue, step())
    submit(queue, step())
    assert numbers(script) == [1, 1]


@define
class Server:
    """Accept numbers in order, know repetitions by their bytes, and lose answers as told."""

    faults: list[str]
    applied: list[bytes] = field(factory=list)

    def __call__(self, request: httpx.Request) -> Any:
        seq = json.loads(request.content)["seq_id"]
        fault = self.faults.pop() if self.faults else ""
        if fault == "refuse":
            return 422
        if fault == "lose request":
            return httpx.ReadTimeout("lost")
        assert seq <= len(self.applied) + 1, f"a gap before number {seq}"
        if seq <= len(self.applied):
            if self.applied[seq - 1] != request.content:
                return 409, USED
        else:
            self.applied.append(request.content)
        if fault == "lose answer":
            return httpx.ReadTimeout("lost")
        return {"request_id": f"r-{seq}"}


@pytest.mark.holds("F31")
@settings(max_examples=examples(60))
@given(
    faults=st.lists(
        st.sampled_from(["", "", "refuse", "lose request", "lose answer"]), max_size=60
    ),
    again=st.lists(st.booleans(), min_size=12, max_size=12),
)
def test_faults_never_make_a_gap_and_never_apply_a_call_twice(
    make_transport: Any, script: Script, faults: list[str], again: list[bool]
) -> None:
    """Whatever is lost or refused, and whatever the caller does next, each call counts at most once."""
    server = Server(list(faults))
    session = Session(make_transport(max_retries=1))
    queue = SubmissionQueue(session)
    script.on(STEP, server)
    for number, repeat in enumerate(again):
        rate = 1.0 + number
        for _ in range(1 + repeat * 3):
            try:
                submit(queue, step(rate))
            except TinkexError:
                continue
            break
    rates = [json.loads(content)["adam_params"]["learning_rate"] for content in server.applied]
    assert len(set(rates)) == len(rates)
    assert rates == sorted(rates)
    session.close()
    script.received.clear()


# The end


def test_a_queue_that_is_closed_takes_nothing(queue: SubmissionQueue, script: Script) -> None:
    """An unloaded model says so before anything is sent."""
    queue.close()
    with pytest.raises(ClientClosedError, match="unloaded"):
        submit(queue, step())
    assert script.paths() == []


@pytest.mark.holds("F30")
def test_a_lost_session_takes_nothing(
    session: Session, queue: SubmissionQueue, script: Script
) -> None:
    """The next call after the server ended the session says so (F30)."""
    script.on("POST session_heartbeat", 410)
    session.transport.run(session.beat())
    with pytest.raises(SessionLostError):
        submit(queue, step())
    assert script.paths() == []


# After a failed job


@define
class _NumberedServer:
    """A server whose jobs fail when asked to, and that says what it expects of numbers.

    With `keeps_number` a failed job leaves its number, and jobs out of turn fail (TuFT); else a used
    number is refused for another request and repeated for the same one (SkyRL).
    """

    keeps_number: bool
    applied: list[int] = field(factory=list)
    _expected: int = 1
    _used: dict[int, tuple[bytes, str]] = field(factory=dict)
    _results: dict[str, Any] = field(factory=dict)

    def on(self, script: Script) -> None:
        script.on(STEP, self._take).on(POLL, lambda got: self._results[got_id(got)])

    def _take(self, request: httpx.Request) -> Any:
        body = json.loads(request.content)
        number = body["seq_id"]
        if not self.keeps_number and number in self._used:
            bytes_, name = self._used[number]
            return {"request_id": name} if bytes_ == request.content else (409, USED)
        name = f"job-{len(self._results)}"
        self._used[number] = (request.content, name)
        self._results[name] = self._run(number, body["adam_params"]["learning_rate"])
        return {"request_id": name}

    def _run(self, number: int, rate: float) -> Any:
        if self.keeps_number and number != self._expected:
            return 409, {"detail": f"expected {self._expected}, got {number}"}
        if rate == BAD:
            return 422, {"detail": "the job failed"}
        self._expected = number + 1
        self.applied.append(number)
        return {"metrics": {}}


BAD = 13.0


def got_id(request: httpx.Request) -> str:
    return str(json.loads(request.content)["request_id"])


@pytest.mark.parametrize("keeps_number", [True, False])
@pytest.mark.parametrize("failures", [1, 2, 3])
def test_after_a_failed_job_the_server_is_asked_which_number_is_next(
    session: Session, script: Script, queue: SubmissionQueue, keeps_number: bool, failures: int
) -> None:
    """Some servers use up a failed job's number, some do not; the model goes on with both."""
    server = _NumberedServer(keeps_number)
    server.on(script)
    outcome(session, queue, step())
    for _ in range(failures):
        with pytest.raises(RequestFailedError):
            outcome(session, queue, step(BAD))
    for _ in range(2):
        outcome(session, queue, step())
    assert len(server.applied) == 3
    assert server.applied[-1] == server.applied[-2] + 1


@pytest.mark.parametrize("keeps_number", [True, False])
def test_requests_that_were_on_their_way_behind_a_failed_job_do_not_hide_its_number(
    session: Session, script: Script, queue: SubmissionQueue, keeps_number: bool
) -> None:
    """Those out of turn failed as well; the number to go on with is the one of the first."""
    server = _NumberedServer(keeps_number)
    server.on(script)
    sent = [submit(queue, step(rate)) for rate in (1e-4, BAD, 2e-4, 3e-4)]
    for work in sent:
        with contextlib.suppress(RequestFailedError):
            future(session, work, "optim_step").result()
    outcome(session, queue, step(4e-4))
    outcome(session, queue, step(5e-4))
    assert len(server.applied) == (3 if keeps_number else 5)


def outcome(session: Session, queue: SubmissionQueue, builder: Callable[[int], Request]) -> Any:
    return future(session, submit(queue, builder), "optim_step").result()
