"""Faults: what can be said, and what a client on a real socket then sees."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from local.wire import serve_process, served

import tinkex
from tinkex.local import LocalServer
from tinkex.testing import Fault, FaultError, FaultPlan, load_faults


def test_describing_faults_needs_no_server_packages() -> None:
    """`tinkex.testing` imports where the extra `local` is not installed."""
    code = "import sys\nfor name in ('starlette', 'uvicorn', 'jsonschema_rs'): sys.modules[name] = None\nimport tinkex.testing"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "no effect"),
        ({"status": 99}, "status: must be from 200"),
        ({"status": True}, "status: expected a whole number"),
        ({"status": 503, "reset": True}, "reset: cannot be combined with status"),
        ({"headers": {"a": "b"}, "reset": True}, "status: is required"),
        ({"status": 503, "headers": {"a": "b\r\nc: d"}}, "headers: cannot be sent"),
        ({"reset": True, "nth": 0}, "nth: must be at least 1"),
        ({"cut_after": -1}, "cut_after: must be at least 0"),
        ({"hold": float("nan")}, "hold: must be finite"),
        ({"latency": "1"}, "latency: expected seconds"),
        ({"duplicate": True, "applied": False}, "applied: may be false only"),
    ],
)
def test_a_senseless_fault_is_refused_by_its_field(fields: dict[str, Any], message: str) -> None:
    """What contradicts itself is an error where it is written, not when it is played."""
    with pytest.raises(FaultError, match=message):
        Fault(**fields)


def test_faults_are_counted_per_operation() -> None:
    """`nth`, `every` and `times` say at which requests of the operation a fault is played."""
    plan = FaultPlan([Fault(on="a", nth=2, every=3, times=2, status=500)])
    met = [plan.take("a", "POST", "/a") is not None for _ in range(10)]
    assert [number for number, hit in enumerate(met, 1) if hit] == [2, 5]
    assert plan.take("b", "POST", "/b") is None
    assert [entry.number for entry in plan.played] == [2, 5]
    assert plan.waiting == []
    plan.clear()
    assert len(plan) == 0
    assert len(plan.played) == 2


def test_a_status_is_answered_instead_of_the_server() -> None:
    """The second request meets it, with its headers and body; the others do not."""
    fault = Fault(
        on="healthz", nth=2, status=503, headers={"retry-after": "4"}, body={"detail": "busy"}
    )
    with served(faults=[fault]) as (server, wire):
        answers = [wire.http.get("healthz") for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 503, 200]
        assert answers[1].headers["retry-after"] == "4"
        assert answers[1].json() == {"detail": "busy"}
        assert [entry.fault for entry in server.faults.played] == [fault]


@pytest.mark.holds("F5")
def test_a_cut_announces_the_full_length() -> None:
    """Headers promise the whole body, the connection closes after n bytes of it."""
    with served(faults=[Fault(on="healthz", cut_after=3)]) as (_, wire):
        with wire.http.stream("GET", "healthz") as answer:
            pieces = answer.iter_raw()
            got = next(pieces)
            with pytest.raises(httpx.RemoteProtocolError):
                next(pieces)
        assert int(answer.headers["content-length"]) > 3
        assert got == b'{"s'
        assert wire.get("healthz") == {"status": "ok"}


@pytest.mark.holds("F6")
def test_a_truncated_answer_is_whole_to_http_and_not_to_json() -> None:
    """The length fits the shortened body."""
    with served(faults=[Fault(on="healthz", truncate=3)]) as (_, wire):
        answer = wire.http.get("healthz")
        assert (answer.status_code, answer.content) == (200, b'{"s')


@pytest.mark.holds("F4")
def test_a_reset_is_a_reset_and_the_request_took_effect() -> None:
    """The client sees ECONNRESET; what it asked for was done, unless `applied` says otherwise."""
    faults = [Fault(on="create_session", reset=True)]
    with served(faults=faults) as (server, wire):
        with pytest.raises(httpx.ReadError) as caught:
            wire.session()
        assert "reset" in str(caught.value).lower()
        assert len(wire.get("sessions")["sessions"]) == 1
        server.faults.add(Fault(on="create_session", reset=True, applied=False))
        with pytest.raises(httpx.ReadError):
            wire.session()
        assert len(wire.get("sessions")["sessions"]) == 1
        wire.session()
        assert len(server.faults.played) == 2


def test_a_duplicate_is_taken_twice_and_numbered_work_once() -> None:
    """Two sessions come of a repeated create_session; an optimizer step is still taken once."""
    with served() as (server, wire):
        server.faults.add(Fault(on="create_session", duplicate=True))
        model = wire.model(wire.session())
        assert len(wire.get("sessions")["sessions"]) == 2
        expected = [model.step() for _ in range(3)]
    with served() as (server, wire):
        model = wire.model()
        server.faults.add(Fault(on="optim_step", duplicate=True, times=None))
        server.faults.add(Fault(on="forward_backward", duplicate=True, times=None))
        assert [model.step() for _ in range(3)] == expected


def test_an_answer_can_be_lost_after_the_work_was_done() -> None:
    """`applied=True` beside a status: done, and answered with an error."""
    with served(faults=[Fault(on="create_session", status=502, applied=True)]) as (_, wire):
        failed = wire.send("create_session", tags=[], sdk_version="1", user_metadata=None)
        assert failed.status_code == 502
        assert len(wire.get("sessions")["sessions"]) == 1


def test_a_held_answer_meets_the_clients_timeout() -> None:
    """The request is taken, its answer does not come in time."""
    with served(faults=[Fault(on="healthz", hold=1.0)]) as (_, wire):
        with pytest.raises(httpx.ReadTimeout):
            wire.http.get("healthz", timeout=0.05)
        assert wire.get("healthz") == {"status": "ok"}


@pytest.mark.holds("F4")
def test_training_ends_the_same_under_faults() -> None:
    """Resets, cuts, duplicates and errors change the time, never the weights."""
    inputs = {"target_tokens": [6, 7, 8, 9], "weights": [1.0] * 4}
    data = [tinkex.Datum(tinkex.ModelInput.from_ints([5, 6, 7, 8]), inputs)]

    def losses(server: LocalServer) -> list[float]:
        with tinkex.ServiceClient(base_url=server.base_url, api_key="tml-t") as service:
            training = service.create_lora_training_client("tinkex/nano", rank=4, seed=0)
            found = []
            for _ in range(4):
                first = training.forward_backward(data, "cross_entropy")
                training.optim_step(tinkex.AdamParams(learning_rate=1e-2)).result()
                found.append(first.result().loss)
            return found

    with LocalServer() as server:
        expected = losses(server)
    faults = [
        Fault(on="forward_backward", nth=2, reset=True),
        Fault(on="forward_backward", nth=4, cut_after=5),
        Fault(on="optim_step", nth=1, duplicate=True),
        Fault(on="optim_step", nth=3, status=503, headers={"retry-after": "0"}),
        Fault(on="retrieve_future", nth=2, status=503, headers={"retry-after": "0"}),
        Fault(on="retrieve_future", nth=5, reset=True),
    ]
    with LocalServer(faults=faults) as server:
        assert losses(server) == expected
        assert server.faults.waiting == []


@pytest.mark.parametrize("name", ["faults.json", "faults.toml"])
def test_a_file_of_faults_is_played_by_serve(tmp_path: Path, name: str) -> None:
    """`tinkex serve --faults FILE --latency MS` plays them in a process of its own."""
    file = tmp_path / name
    file.write_text(
        '{"faults": [{"on": "healthz", "nth": 2, "status": 503, "times": "always"}]}'
        if name.endswith("json")
        else '[[faults]]\non = "healthz"\nnth = 2\nstatus = 503\ntimes = "always"\n'
    )
    arguments = ("--faults", str(file), "--latency", "1")
    with serve_process(tmp_path / "data", *arguments) as (_, wire):
        codes = [wire.http.get("healthz").status_code for _ in range(3)]
        assert codes == [200, 503, 503]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[{]", "faults.json: "),
        ('{"fault": []}', "expected 'faults' at the top"),
        ("{}", "expected 'faults' at the top"),
        ('[{"reset": true}, {"on": "x", "stat": 1}]', r"faults\[1\]\.stat: unknown field"),
        ('[{"status": 9}]', r"faults\[0\]\.status: must be"),
        ("[3]", r"faults\[0\]\.on: expected a table"),
    ],
)
def test_a_wrong_file_is_refused_by_entry_and_field(
    tmp_path: Path, text: str, message: str
) -> None:
    """The message leads to the place to mend."""
    file = tmp_path / "faults.json"
    file.write_text(text)
    with pytest.raises(FaultError, match=message):
        load_faults(file)


def test_an_unknown_operation_is_refused_with_those_there_are() -> None:
    """A misspelt `on` would never be played, so it is an error."""
    with pytest.raises(ValueError, match=r"no operation 'retreive_future'.*retrieve_future"):
        LocalServer(faults=[Fault(on="retreive_future", reset=True)])
