"""The process's event loop."""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing

import pytest
from support.nano import nano_service

from tinkex import ServiceClient
from tinkex._core import loop
from tinkex._core.event_loop import EventLoop

__all__ = ["nano_service"]


@pytest.fixture
def busy() -> Iterator[threading.Event]:
    """Keep a callback waiting on the loop in every round, until the event is set."""
    stop = threading.Event()

    def again() -> None:
        if not stop.is_set():
            loop.call_soon(again)

    loop.call_soon(again)
    yield stop
    stop.set()


def test_sockets_are_served_while_callbacks_keep_the_loop_busy(busy: threading.Event) -> None:
    """An encrypted connection of the httpx engine runs on the loop itself."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:

        async def exchange() -> bytes:
            reader, writer = await asyncio.open_connection(*server.getsockname())
            accepted = await asyncio.to_thread(server.accept)
            with closing(accepted[0]) as peer:
                peer.sendall(b"hello")
                received = await reader.readexactly(5)
            writer.close()
            return received

        assert loop.finished(exchange(), set()).result() == b"hello"
    assert not busy.is_set()


def test_an_interrupt_outside_of_a_notebook_imports_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With no file descriptor left, an import would fail in place of the interrupt."""
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    monkeypatch.setitem(sys.modules, "tinkex._base.notebook", None)

    def interrupted(timeout: float | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        loop.wait_for(Future(), done=interrupted)


def test_a_loop_that_is_stopped_before_it_runs_ends_in_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A command that sends nothing exits so soon; what was begun by then is cancelled, without a traceback."""
    may_run = threading.Event()
    set_debug = EventLoop.set_debug

    def set_late(self: EventLoop, enabled: bool) -> None:
        # The constructor calls it as well.
        if hasattr(self, "_waking"):
            may_run.wait(30)
        set_debug(self, enabled)

    monkeypatch.setattr(EventLoop, "set_debug", set_late)
    begun = loop._Loop()
    begun.wait_until_ready()
    ends: list[str] = []

    async def close() -> None:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            ends.append("cancelled")
            raise

    begun.loop.call_soon_threadsafe(lambda: begun.create_task(close()))
    stopping = threading.Thread(target=begun.stop)
    stopping.start()
    stopping.join(0.1)
    may_run.set()
    stopping.join()
    begun.thread.join(30)
    assert ends == ["cancelled"]
    assert begun.loop.is_closed()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_pyqwests_threads_are_seen_until_they_rest(nano_service: ServiceClient) -> None:
    """A process that ends waits for them: Python would abort it if one came back during finalization."""
    rest = nano_service.create_rest_client()
    rest.list_training_runs()
    at_rest = rested()
    with ThreadPoolExecutor(1) as others:
        work = others.submit(lambda: [rest.list_training_runs() for _ in range(20)])
        looks = [loop._foreign_activity()]
        while not work.done():
            looks.append(loop._foreign_activity())
    assert None in looks or len({str(look) for look in looks}) > 2
    assert rested() != at_rest


def rested() -> object:
    """Look until nothing has happened for some looks; return what was seen of the threads."""
    until = time.monotonic() + 30
    same = 0
    while same < 5 and time.monotonic() < until:
        before = loop._foreign_activity()
        threading.Event().wait(0.01)
        same = same + 1 if before and loop._foreign_activity() == before else 0
    assert same == 5
    return before
