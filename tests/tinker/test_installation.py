"""`import tinker` as tinkex.tinker."""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Iterator

import pytest

import tinkex.tinker


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    finders = list(sys.meta_path)
    yield
    assert sys.meta_path == finders
    assert "tinker" not in sys.modules


def test_libraries_that_import_tinker_get_this_package() -> None:
    """The package, its modules and their names are the very same objects."""
    with tinkex.tinker.install():
        tinker = importlib.import_module("tinker")
        assert tinker is tinkex.tinker
        tensor_data = importlib.import_module("tinker.types.tensor_data")
        assert tensor_data.TensorData is tinkex.tinker.TensorData
        rest = importlib.import_module("tinker.lib.public_interfaces.rest_client")
        assert rest.RestClient is tinkex.tinker.RestClient
        assert tinker.__spec__.name == "tinkex.tinker"


def test_after_the_block_the_name_is_free_again() -> None:
    """What was imported keeps what it has."""
    with tinkex.tinker.install():
        kept = importlib.import_module("tinker").ModelInput
    assert "tinker" not in sys.modules
    assert kept is tinkex.tinker.ModelInput


def test_it_is_refused_where_the_official_package_was_imported_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Half of a program would hold one package's classes, half the other's."""
    monkeypatch.setitem(sys.modules, "tinker", types.ModuleType("tinker"))
    with pytest.raises(RuntimeError, match="before all other imports"):
        tinkex.tinker.install()


def test_installing_twice_is_refused() -> None:
    """The end of the inner block would take it from the outer one."""
    with tinkex.tinker.install(), pytest.raises(RuntimeError, match="already"):
        tinkex.tinker.install()


def test_a_module_that_is_not_there_says_whose_it_is() -> None:
    """So that a missing inner name is not searched for in the official package."""
    with (
        tinkex.tinker.install(),
        pytest.raises(ModuleNotFoundError, match=r"tinkex\.tinker, which is installed as 'tinker'"),
    ):
        importlib.import_module("tinker.proto.anything")
