"""Programs that are interrupted, end, or fork, while a server holds what they wait for.

The server lets nothing go before the program has ended, so that a program which waited for it would
never end: what is held here without measuring time is that nothing waits.
"""

from __future__ import annotations

import os
import signal
import subprocess
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import programs
from support.archives import checkpoint
from support.extent import ALL, extent
from support.held_server import held_server
from support.interrupts import interrupt
from support.nano import nano_url
from support.raw_server import RawServer
from support.stuck_server import StuckServer, stuck_server

import tinkex.checkpoints

BEGIN = """
import gc, os, signal, sys, threading, time
# A shell that starts its jobs in the background lets them ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)
import tinkex
service = tinkex.ServiceClient(base_url={url!r})
"""
TRAINING = 'training = service.create_lora_training_client("B")\n'
COUNT = extent("FUTURES", 600, 2000)
MANY = f"""
sampler = service.create_sampling_client(base_model="B")
prompt = tinkex.ModelInput.from_ints([1])
futures = [sampler.sample(prompt, 1, tinkex.SamplingParams()) for _ in range({COUNT})]
sys.stdin.readline()
print(time.process_time(), flush=True)
"""
# As shells count it: 128 + SIGINT.
INTERRUPTED = -signal.SIGINT


started: list[subprocess.Popen[str]] = []


@pytest.fixture(autouse=True)
def _nothing_goes_on() -> Iterator[None]:
    yield
    for program in started:
        program.kill()
        program.wait()
        for pipe in (program.stdin, program.stdout, program.stderr):
            assert pipe is not None
            pipe.close()
    started.clear()


def start(url: str, program: str, *options: str, afresh: bool = ALL) -> subprocess.Popen[str]:
    code = BEGIN.format(url=url) + textwrap.dedent(program)
    pipe = subprocess.PIPE
    started.append(
        programs.start(
            ["-c", code], options=options, afresh=afresh, stdin=pipe, stdout=pipe, stderr=pipe
        )
    )
    return started[-1]


def ended(program: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Return status, output and messages of a program that must end by itself."""
    try:
        out, messages = program.communicate(timeout=60)
    finally:
        program.kill()
    return program.returncode, out, messages


def finishes(server: StuckServer) -> list[str]:
    return [body["reason"]["type"] for body in server.bodies("finish")]


@pytest.mark.holds("F28")
def test_ctrl_c_in_a_wait_ends_the_program_and_tells_the_server() -> None:
    """The poll is still held when the program has ended, as interrupted."""
    with stuck_server(retrieve_future=99) as server:
        program = start(server.url, TRAINING + "training.optim_step().result()")
        server.wait_for("retrieve_future")
        interrupt(program)
        status, _, messages = ended(program)
        assert (status, finishes(server)) == (INTERRUPTED, ["interrupted"])
    assert messages.rstrip().endswith("KeyboardInterrupt")


WAITS = {
    "result": ("retrieve_future", "training.optim_step().result()"),
    "exception": ("retrieve_future", "training.optim_step().exception(3600)"),
    "wait": ("retrieve_future", "tinkex.wait([training.optim_step()])"),
    "as_completed": ("retrieve_future", "list(tinkex.as_completed([training.optim_step()]))"),
    "an asyncio program": (
        "retrieve_future",
        """
        import asyncio
        async def main():
            await training.optim_step()
        asyncio.run(main())
        """,
    ),
    "a sample": (
        "retrieve_future",
        """
        sampler = service.create_sampling_client(base_model="B")
        sampler.sample(tinkex.ModelInput.from_ints([1]), 1, tinkex.SamplingParams()).result()
        """,
    ),
    "sample_many": (
        "retrieve_future",
        """
        sampler = service.create_sampling_client(base_model="B")
        list(sampler.sample_many([tinkex.ModelInput.from_ints([1])], 1, tinkex.SamplingParams()))
        """,
    ),
    "sample_stream": (
        "stream_sample",
        """
        sampler = service.create_sampling_client(base_model="B")
        list(sampler.sample_stream(tinkex.ModelInput.from_ints([1]), tinkex.SamplingParams()))
        """,
    ),
    "create_sampling_client": (
        "create_sampling_session",
        'service.create_sampling_client(base_model="B")',
    ),
    "create_lora_training_client": (
        "create_model",
        'service.create_lora_training_client("B")',
    ),
    "a session": (
        "create_session",
        'tinkex.ServiceClient(base_url=service.base_url).create_sampling_client(base_model="B")',
    ),
    "submitting": ("optim_step", "training.optim_step()"),
    "saving": ("save_weights_for_sampler", "training.save_weights_and_get_sampling_client()"),
    "a REST call": ("training_runs", "service.create_rest_client().list_training_runs()"),
    "pages": ("training_runs", "list(service.create_rest_client().iter_training_runs())"),
    "download": (
        "archive",
        """
        import tempfile
        path = "tinker://M:train:0/weights/w"
        with tempfile.TemporaryDirectory() as folder:
            service.create_rest_client().download_checkpoint(path, folder)
        """,
    ),
    "a pause between attempts": ("", "training.optim_step()"),
    "close": ("finish", "service.close()"),
}


@pytest.mark.holds("F28")
@pytest.mark.parametrize("name", WAITS)
def test_ctrl_c_returns_within_a_second_from_every_wait(name: str) -> None:
    """Whatever is held, the caller has its KeyboardInterrupt at once, and the program ends."""
    route, wait = WAITS[name]
    # A session before has been created unheld.
    first = 2 if route in ("create_session", "create_model") else 1
    with stuck_server() as server:
        program = start(
            server.url,
            TRAINING
            + "sys.stdin.readline()\ntry:\n"
            + textwrap.indent(textwrap.dedent(wait), "    ")
            + "\nexcept KeyboardInterrupt:\n    print(time.monotonic())\n",
        )
        server.wait_for("create_model")
        server.holds = {route: 99}
        server.busy = set() if route else {"optim_step"}
        assert program.stdin is not None
        program.stdin.write("go\n")
        program.stdin.flush()
        server.wait_for(route or "optim_step", first)
        sent = time.monotonic()
        interrupt(program)
        # What the program says on its way out is heard.
        server.holds = {}
        status, out, messages = ended(program)
    assert status == 0, messages
    assert float(out) - sent < 5, out


@pytest.mark.holds("F28")
def test_ctrl_c_in_a_submit_leaves_the_number_to_the_same_call() -> None:
    """Whether it arrived is unknown; the same call goes out in the same bytes, and is applied once."""
    with stuck_server(optim_step=1) as server:
        program = start(
            server.url,
            TRAINING
            + textwrap.dedent("""
            try:
                training.optim_step(tinkex.AdamParams(learning_rate=0.5))
            except KeyboardInterrupt:
                print("interrupted", flush=True)
            print(training.optim_step(tinkex.AdamParams(learning_rate=0.5)).result().metrics)
            training.optim_step().result()
            """),
        )
        server.wait_for("optim_step")
        interrupt(program)
        status, out, messages = ended(program)
        first, second, third = server.bodies("optim_step")
    assert (status, out) == (0, "interrupted\n{}\n"), messages
    assert first == second
    assert (first["seq_id"], third["seq_id"]) == (1, 2)


@pytest.mark.holds("F28")
def test_a_second_ctrl_c_does_not_wait_for_the_farewell() -> None:
    """The server holds the farewell too; whoever presses twice gets out at once."""
    with stuck_server(retrieve_future=99, finish=99) as server:
        program = start(
            server.url, "with service:\n    " + TRAINING + "    training.optim_step().result()\n"
        )
        server.wait_for("retrieve_future")
        interrupt(program)
        server.wait_for("finish")
        interrupt(program)
        assert ended(program)[0] == INTERRUPTED


@pytest.mark.holds("F28")
def test_ctrl_c_in_a_download_keeps_what_came(tmp_path: Path) -> None:
    """The next program asks for the rest alone."""
    path = "tinker://S:train:0/sampler_weights/final"
    whole = checkpoint()
    half = len(whole) // 2
    name = "S_train_0_sampler_weights_final"

    def play(number: int, request: bytes) -> bytes:
        if b"/api/v1/" in request:
            location = f"http://127.0.0.1:{raw.port}/file?signature=x"
            return (
                f"HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n".encode()
            )
        first = half if b"range: bytes=" in request.lower() else 0
        head = f'HTTP/1.1 {206 if first else 200} OK\r\netag: "v1"\r\ncontent-length: {len(whole) - first}\r\n'
        head += f"content-range: bytes {first}-{len(whole) - 1}/{len(whole)}\r\n" if first else ""
        # The first answer stops in the middle and says no more.
        return head.encode() + b"\r\n" + (whole[first:] if first else whole[:half])

    raw = RawServer()
    raw.play = play
    try:
        program = start(
            raw.url,
            f"""
            import tinkex.checkpoints
            def show(have, total):
                if have == {half}:
                    print("half", flush=True)
            tinkex.checkpoints.download(service.create_rest_client(), {path!r}, {str(tmp_path)!r}, progress=show)
            """,
        )
        assert program.stdout is not None
        assert program.stdout.readline() == "half\n"
        interrupt(program)
        status, _, messages = ended(program)
        assert status == INTERRUPTED, messages
        assert [found.name for found in tmp_path.iterdir()] == [f".{name}.partial"]
        with tinkex.ServiceClient(base_url=raw.url) as service:
            done = tinkex.checkpoints.download(service.create_rest_client(), path, tmp_path)
    finally:
        raw.close()
    assert done.folder == tmp_path / name
    assert f"bytes={half}-".encode() in raw.received[-1]


@pytest.mark.holds("F29")
@pytest.mark.parametrize(
    ("program", "reason"),
    [
        pytest.param("training.optim_step()", ["success"], id="a future that nobody waits for"),
        pytest.param(
            "training.optim_step().add_done_callback(lambda _: None)\nthreading.Event().wait(0.2)",
            ["success"],
            id="one with a callback",
        ),
        pytest.param(
            "future = training.optim_step()\ndel future, training, service\ngc.collect()",
            ["success"],
            id="all names deleted",
        ),
        pytest.param("training.optim_step()\nos._exit(0)", [], id="os._exit"),
        pytest.param("training.optim_step()\nservice.close()", ["success"], id="closed"),
    ],
)
def test_a_program_that_ends_waits_for_no_result(program: str, reason: list[str]) -> None:
    """Polls are held for ever; the program ends, says farewell where it can, and complains of nothing."""
    with stuck_server(retrieve_future=99) as server:
        # Development mode tells of sockets and threads that are left.
        status, out, messages = ended(
            start(server.url, TRAINING + program, "-X", "dev", "-W", "error")
        )
        assert (status, messages) == (0, "")
        assert finishes(server) == reason
    assert out == ""


@pytest.mark.holds("F29")
@pytest.mark.slow
@pytest.mark.parametrize("last", ["", "service.close()"])
def test_a_program_with_many_samples_in_flight_ends_within_a_second(last: str) -> None:
    """Each poll is held for an hour; with close() or without, the program does not wait.

    What it computes to end is measured: the time that others take from it is not its own.
    """
    with held_server(3600) as server:
        # Its use of the CPU is told to a parent only.
        program = start(server.url, MANY + last, afresh=True)
        facts = server.facts(held=COUNT)
        assert facts["held"] == COUNT
        assert program.stdin is not None
        assert program.stderr is not None
        assert program.stdout is not None
        program.stdin.write("go\n")
        program.stdin.close()
        began = time.monotonic()
        messages = program.stderr.read()
        _, status, used = os.wait4(program.pid, 0)
        took = time.monotonic() - began
        program.returncode = os.waitstatus_to_exitcode(status)
        facts = server.facts()
    assert (program.returncode, messages) == (0, "")
    assert facts["finish"] == 1
    before = float(program.stdout.read())
    assert used.ru_utime + used.ru_stime - before < 1
    # The polls are held for an hour; a busy machine takes seconds for what takes one.
    assert took < 15


@pytest.mark.holds("F29")
@pytest.mark.parametrize("last", ["", "os.kill(os.getpid(), signal.SIGTERM)"])
def test_a_server_that_takes_no_farewell_does_not_keep_a_program(last: str) -> None:
    """The farewell has a time of its own; the session expires at the server."""
    with stuck_server(finish=99) as server:
        status, _, messages = ended(start(server.url, TRAINING + last))
        assert status == (143 if last else 0), messages
        assert len(finishes(server)) == 1


@pytest.mark.holds("F29")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_uses_no_connection_of_its_parent() -> None:
    """Each old object tells the child so in one sentence, a new client works, and the parent continues."""
    with stuck_server() as server:
        program = TRAINING + textwrap.dedent("""
            import concurrent.futures
            import time
            from tinkex.recovery import RecoveryExecutor, RecoveryPolicy
            from tinkex.tinker._calls import Calls
            from tinkex.tinker._futures import Result
            sampler = service.create_sampling_client(base_model="B")
            prompt, params = tinkex.ModelInput.from_ints([1]), tinkex.SamplingParams()
            training.optim_step().result()
            print("ready", flush=True)
            sys.stdin.readline()
            held = training.optim_step()
            official = Result(lambda value: value).follow(held)
            threaded = service.submit(time.sleep, 60)
            calls, executor = Calls(), RecoveryExecutor()
            # Its thread waits for more work.
            calls.submit(int).result()
            unsent = Result(lambda value: value, calls.submit(time.sleep, 60))
            child = os.fork()
            if child == 0:
                for call in (
                    training.optim_step,
                    held.result,
                    lambda: tinkex.wait([held])[0].pop().result(),
                    lambda: list(tinkex.as_completed([held])).pop().result(),
                    lambda: concurrent.futures.wait([held]).done.pop().result(),
                    lambda: next(concurrent.futures.as_completed([held])).result(),
                    lambda: calls.submit(training.optim_step).result(),
                    lambda: executor.recover("r", service, RecoveryPolicy(enabled=True)),
                    lambda: sampler.sample(prompt, 1, params).result(),
                    lambda: next(iter(sampler.sample_stream(prompt, params))),
                    service.create_rest_client().list_training_runs,
                    lambda: service.create_sampling_client(base_model="B"),
                ):
                    try:
                        call()
                    except tinkex.errors.ClientClosedError as error:
                        print("forked" in str(error), flush=True)
                for future in concurrent.futures.wait([held, official, threaded, unsent]).done:
                    print("forked" in str(future.exception()), flush=True)
                with tinkex.ServiceClient(base_url=service.base_url) as new:
                    new.create_lora_training_client("B").optim_step()
                sys.exit(7)
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
            sys.stdin.readline()
            print(held.result().metrics)
            """)
        child = start(server.url, program)
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        server.holds = {"retrieve_future": 2}
        child.stdin.write("go\n")
        child.stdin.flush()
        assert [child.stdout.readline() for _ in range(16)] == ["True\n"] * 16
        assert child.stdout.readline() == "7\n"
        server.holds = {}
        server.ended.set()
        child.stdin.write("go\n")
        status, out, messages = ended(child)
    assert (status, out) == (0, "{}\n"), messages
    assert finishes(server) == ["success", "success"]
    assert [body["seq_id"] for body in server.bodies("optim_step")] == [1, 2, 1]


WHOLE = """
service.create_rest_client().list_training_runs()
training = service.create_lora_training_client(base_model="tinkex/nano", rank=4)
datum = tinkex.Datum(
    tinkex.ModelInput.from_ints([1, 2]), {"target_tokens": [2, 3], "weights": [1.0, 1.0]}
)
for future in training.train_step([datum], "cross_entropy"):
    future.result()
sampler = training.save_weights_and_get_sampling_client()
prompt, params = tinkex.ModelInput.from_ints([1]), tinkex.SamplingParams(max_tokens=3)
futures = [sampler.sample(prompt, 1, params) for _ in range(20)]
tinkex.wait(futures)
list(sampler.sample_many([prompt] * 3, 1, params))
assert list(sampler.sample_stream(prompt, params))
stream = sampler.sample_stream(prompt, params)
next(stream)
stream.close()
async def wait():
    await sampler.sample(prompt, 1, params)
import asyncio, tempfile
asyncio.run(wait())
path = training.save_state("w").result().path
with tempfile.TemporaryDirectory() as folder:
    service.create_rest_client().download_checkpoint(path, folder)
"""


@pytest.mark.holds("F29")
@pytest.mark.parametrize(
    "last",
    ["", "service.close()", "del sampler, training, service, futures, stream\ngc.collect()"],
    ids=["left open", "closed", "deleted"],
)
def test_a_whole_session_warns_of_nothing(last: str) -> None:
    """In development mode, with warnings as errors: no socket, thread, task or coroutine is left."""
    status, out, messages = ended(start(nano_url(), WHOLE + last, "-X", "dev", "-W", "error"))
    assert (status, out, messages) == (0, "", "")
