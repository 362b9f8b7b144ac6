"""Other threads wake the loop as often as it is asleep, and no callback waits for the next one."""

from __future__ import annotations

import threading

from tinkex._core.event_loop import EventLoop


def test_many_threads_that_call_at_any_moment_are_all_heard() -> None:
    """Also those that come while the loop falls asleep: nobody else would wake it."""
    loop = EventLoop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def call() -> None:
        for _ in range(2000):
            heard = threading.Event()
            loop.call_soon_threadsafe(heard.set)
            assert heard.wait(60)

    callers = [threading.Thread(target=call) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    loop.call_soon_threadsafe(loop.stop)
    thread.join(60)
    loop.close()


def test_a_burst_of_calls_needs_one_signal() -> None:
    """A sleeping loop is signalled once, whatever comes before it looks; then it is asleep again."""
    loop = EventLoop()
    signals = 0
    write = loop._write_to_self

    def counted() -> None:
        nonlocal signals
        signals += 1
        write()

    loop._write_to_self = counted
    heard: list[int] = []
    for burst in (1, 2):
        for number in range(50):
            loop.call_soon_threadsafe(heard.append, number)
        assert signals == burst
        loop.call_soon(loop.stop)
        loop.run_forever()
        assert len(heard) == 50 * burst
    loop.close()
