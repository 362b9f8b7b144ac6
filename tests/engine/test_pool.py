"""How many threads BLAS may use while the engine runs."""

from __future__ import annotations

from support.alone import call_alone
from threadpoolctl import ThreadpoolController

from tinkex.local.engine.pool import blas_threads, single_threaded_blas


def threads() -> int:
    """Return the number of threads BLAS may use now."""
    libraries = ThreadpoolController().select(user_api="blas").lib_controllers
    return max((library.num_threads or 1 for library in libraries), default=1)


def the_smallest_limit_rules() -> None:
    with ThreadpoolController().limit(limits=2, user_api="blas"):
        with blas_threads(2):
            assert threads() == 2
            with single_threaded_blas():
                assert threads() == 1
                with blas_threads(2):
                    assert threads() == 1
            assert threads() == 2
        assert threads() == 2


def a_limit_raises_nothing() -> None:
    with ThreadpoolController().limit(limits=1, user_api="blas"), blas_threads(8):
        assert threads() == 1


def test_smallest_blas_limit_rules_and_the_setting_comes_back() -> None:
    """Nested limits never raise the thread count, and the last one to leave restores it."""
    call_alone(the_smallest_limit_rules)


def test_blas_limit_never_exceeds_what_the_process_had() -> None:
    """A process that is held to one thread stays there."""
    call_alone(a_limit_raises_nothing)
