"""What holds for all tests."""

from __future__ import annotations

import gc
import logging
import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import none
from support.extent import ALL, examples

# The tests run on all cores already. More threads in BLAS wait for each other, which costs a quarter of the CPU time.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# Containers often set it. What the tests' programs print must arrive without it.
os.environ.pop("PYTHONUNBUFFERED", None)

# A shell lets what it starts with `&` ignore Ctrl-C, and so would every program that the tests start and
# interrupt: it would run to its end instead.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


# How long an example takes is the machine's affair. In the short form the same examples come each time: what chance
# finds is found by those who look for it (`make test-all`), not by whoever changes something else.
settings.register_profile(
    "steady",
    deadline=None,
    max_examples=examples(100),
    derandomize=not ALL,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("steady")


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """Undo what a test's program set up for the process, such as the command line's --debug."""
    logger = logging.getLogger("tinkex")
    handlers, level = list(logger.handlers), logger.level
    yield
    logger.handlers[:] = handlers
    logger.setLevel(level)


# Folders with many programs; with the files that have tests marked slow they begin, so that none runs alone at the end.
LONG = ("docs", "examples")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the longest files begin."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow and item.path.parent.name not in LONG)


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Leave what was collected out of each later collection of garbage: a tenth of the CPU time."""
    # With its first example Hypothesis makes a generator and asks who holds it. From Python 3.14 on, that is
    # something that exists already, and what is frozen is not found.
    given(none())(settings(max_examples=1, database=None)(lambda _: None))()
    gc.collect()
    gc.freeze()


# Files whose tests share what takes long to make run in one process, or each process would make it; the site is
# even built in one place.
TOGETHER = {
    "codegen": "tests/codegen/",
    "site": ("tests/docs/test_site", "tests/docs/test_search.py"),
}


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Give each process of pytest-xdist whole files, and all of those that share something."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            shared = (name for name, files in TOGETHER.items() if nodeid.startswith(files))
            return next(shared, super()._split_scope(nodeid))

    return Scheduling(config, log)
