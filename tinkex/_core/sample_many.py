"""Sampling of many prompts with bounded concurrency; results are yielded as they arrive."""

from __future__ import annotations

import queue
from collections.abc import Callable, Generator, Iterable
from typing import Any

from tinkex._core.futures import Future
from tinkex._core.session import Session
from tinkex.types import ModelInput, SampleResponse

# Interval at which a wait checks whether the session was closed; no result comes after that.
LOOK_UP = 1.0

Sampled = Generator[tuple[int, SampleResponse], None, None]


def sample_each(
    session: Session,
    prompts: Iterable[ModelInput],
    sample: Callable[[ModelInput], Future[SampleResponse]],
    max_in_flight: int,
    return_exceptions: bool,
) -> Generator[tuple[int, Any], None, None]:
    """Yield (index of the prompt, response) as results arrive; see `SamplingClient.sample_many`.

    Prompts are taken from their iterable only as slots become free. Pending samples are cancelled when
    the caller stops iterating.
    """
    numbered = enumerate(prompts)
    pending: dict[int, Future[SampleResponse]] = {}
    finished: queue.SimpleQueue[int] = queue.SimpleQueue()
    exhausted = False
    try:
        while True:
            while not exhausted and len(pending) < max_in_flight:
                item = next(numbered, None)
                if item is None:
                    exhausted = True
                    break
                index, prompt = item
                pending[index] = sample(prompt)
                pending[index].when_done(_report(finished, index))
            if not pending:
                return
            index = _next(session, finished)
            future = pending.pop(index)
            error = future.exception()
            if error is None:
                yield index, future.result()
            elif return_exceptions and isinstance(error, Exception):
                yield index, error
            else:
                raise error
    finally:
        for future in pending.values():
            future.cancel()


def _report(finished: queue.SimpleQueue[int], index: int) -> Callable[[Any], None]:
    return lambda _: finished.put(index)


def _next(session: Session, finished: queue.SimpleQueue[int]) -> int:
    while True:
        try:
            return finished.get(timeout=LOOK_UP)
        except queue.Empty:
            session.check()
