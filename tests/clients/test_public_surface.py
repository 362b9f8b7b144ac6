"""Every public method of the clients is type-checked as a user writes it, and listed in the docs."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tinkex import Future, RestClient, SamplingClient, ServiceClient, TrainingClient

ROOT = Path(__file__).parents[2]
CLIENTS = (ServiceClient, TrainingClient, SamplingClient, RestClient, Future)
# How they are made, or stepped by what waits for them; users are handed them.
NOT_FOR_USERS = {
    ("TrainingClient", "create"),
    ("SamplingClient", "create"),
    ("RestClient", "clock"),
    ("Future", "step"),
    ("Future", "abandon"),
    ("Future", "running"),
    ("Future", "add_done_callback"),
}


def public() -> list[tuple[str, str]]:
    found = []
    for client in CLIENTS:
        ours = [home for home in client.__mro__ if home.__module__.startswith("tinkex")]
        names = {name for home in ours for name in vars(home) if not name.startswith("_")}
        found += [(client.__name__, name) for name in sorted(names)]
    return [entry for entry in found if entry not in NOT_FOR_USERS]


def attributes(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}


@pytest.mark.parametrize(("client", "name"), public())
def test_a_public_name_is_type_checked_and_listed(client: str, name: str) -> None:
    """A method added to a client has to be used in tests/typing and shows up in docs/api.md."""
    assert name in attributes(ROOT / "tests/typing/public_api.py")
    section = (ROOT / "docs/api.md").read_text(encoding="utf-8").partition(f"### {client}\n")[2]
    assert f"\n- `{name}" in section.partition("\n### ")[0]
