"""What `tinkex.types` offers, and how it shows in a notebook."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime

import pytest

from tinkex import types

NOW = datetime(2026, 11, 24, 1, 2, 3, tzinfo=UTC)


@pytest.mark.parametrize("name", types.__all__)
def test_every_name_resolves_and_is_listed(name: str) -> None:
    """Each public type can be had by its name, and `dir` shows it."""
    assert getattr(types, name) is getattr(types, name)
    assert name in dir(types)


def test_an_unknown_name_is_an_attribute_error() -> None:
    """A mistyped type fails as any other attribute does."""
    with pytest.raises(AttributeError, match="Datumm"):
        types.Datumm  # noqa: B018


def checkpoint(name: str) -> types.Checkpoint:
    return types.Checkpoint(
        checkpoint_id=f"weights/{name}",
        checkpoint_type="training",
        time=NOW,
        tinker_path=f"tinker://r/weights/{name}",
    )


@pytest.mark.holds("S19")
def test_a_list_of_checkpoints_is_a_table_in_a_notebook() -> None:
    """One row for each checkpoint, and what a server wrote cannot become markup."""
    page = types.CheckpointsListResponse(checkpoints=[checkpoint("a"), checkpoint("<script>x")])
    html = page._repr_html_()
    assert html.count("<tr>") == 3
    assert "<th>tinker_path</th>" in html
    assert "<script>" not in html
    assert "&lt;script&gt;x" in html
    assert "2026-11-24 01:02:03+00:00" in html


def test_one_object_is_a_table_of_its_fields() -> None:
    """Each field is a row; nothing that repr hides is shown."""
    assert "<td>checkpoint_type</td><td>training</td>" in checkpoint("a")._repr_html_()
    request = types.LoadWeightsRequest(
        path="tinker://r/weights/a", optimizer=True, weights_access_token="tml-canary"
    )
    assert "tml-canary" not in request._repr_html_() + repr(request)


def test_a_long_table_is_cut_and_says_so() -> None:
    """A notebook cell shows a hundred rows and counts the rest."""
    page = types.CheckpointsListResponse(checkpoints=[checkpoint(str(i)) for i in range(103)])
    assert page._repr_html_().endswith("<p>and 3 more</p>")


def test_answers_are_frozen_comparable_and_picklable() -> None:
    """A value from the server is a value: equal by content, not to be changed, and it travels."""
    one, same = checkpoint("a"), checkpoint("a")
    assert one == same
    assert hash(one) == hash(same)
    assert pickle.loads(pickle.dumps(one)) == one
    with pytest.raises(AttributeError):
        one.tinker_path = "x"  # type: ignore[misc]
