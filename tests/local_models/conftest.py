"""The shipped model folder and the corpus generator, which lies outside the package."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "tinkex" / "local" / "models" / "tiny-chat"


@pytest.fixture(scope="session")
def folder() -> Path:
    return FOLDER


def _pretrain(module: str) -> ModuleType:
    """Import a module of tools/pretrain by path, as a package of its own."""
    package = "tiny_chat_pretrain"
    if package not in sys.modules:
        place = ROOT / "tools" / "pretrain"
        spec = importlib.util.spec_from_file_location(
            package, place / "__init__.py", submodule_search_locations=[str(place)]
        )
        assert spec is not None
        assert spec.loader is not None
        sys.modules[package] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[package])
    return importlib.import_module(f"{package}.{module}")


@pytest.fixture(scope="session")
def corpus() -> ModuleType:
    return _pretrain("corpus")


@pytest.fixture(scope="session")
def chat() -> ModuleType:
    return _pretrain("chat")


@pytest.fixture(scope="session")
def questions() -> ModuleType:
    return _pretrain("questions")


@pytest.fixture(scope="session")
def lexicon() -> ModuleType:
    return _pretrain("lexicon")
