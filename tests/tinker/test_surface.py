"""The names of the official package, one by one."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import tinkex.tinker

INTEROP = Path(__file__).parents[1] / "interop"


def surface() -> Any:
    spec = importlib.util.spec_from_file_location("surface", INTEROP / "surface.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_each_name_is_what_it_is_in_the_official_package() -> None:
    """Classes, parameters with order and defaults, fields, exceptions; what differs has a reason."""
    script = surface()
    official = json.loads(script.KEPT.read_text(encoding="utf-8"))
    found = script.differences(official, script.describe("tinkex.tinker"))
    assert [line for line in found if script.reason_of(line[0]) is None] == []


def test_each_reason_explains_a_difference() -> None:
    """A reason for what no longer differs would hide the next difference."""
    script = surface()
    official = json.loads(script.KEPT.read_text(encoding="utf-8"))
    paths = [path for path, _ in script.differences(official, script.describe("tinkex.tinker"))]
    for pattern in script.REASONS:
        assert any(script.fnmatch.fnmatch(path, pattern) for path in paths), pattern


def test_a_difference_is_noticed() -> None:
    """In a name, a default, a field and a base class."""
    script = surface()
    ours = script.describe("tinkex.tinker")
    official = {**ours, "TrainingClient.new": "(self)", "Gone": "class"}
    official["ServiceClient.create_sampling_client"] = "(self, model_path='x')"
    official["types.Cursor.offset"] = "field 0: str"
    del official["RateLimitError"]
    paths = {path for path, _ in script.differences(official, ours)}
    assert paths == {
        "TrainingClient.new", "Gone", "ServiceClient.create_sampling_client",
        "types.Cursor.offset", "RateLimitError",
    }  # fmt: skip


def test_importing_it_loads_nothing_heavy() -> None:
    """Names load when they are first used."""
    code = "import sys, tinkex.tinker; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert not loaded & {"pydantic", "numpy", "httpx", "asyncio", "torch", "tinkex.service"}


@pytest.mark.parametrize("name", sorted(tinkex.tinker.__all__))
def test_each_name_can_be_taken(name: str) -> None:
    """Also by `from tinkex.tinker import *`."""
    assert getattr(tinkex.tinker, name) is not None
    assert name in dir(tinkex.tinker)
