"""The tinker:// names of checkpoints."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinkex.errors import ValidationError
from tinkex.types import CheckpointPath, ParsedCheckpointTinkerPath

NAMES = st.text(
    st.characters(exclude_categories=["C", "Z"], exclude_characters="/?#\\"), min_size=1
)
KINDS = {"weights": "training", "sampler_weights": "sampler", "external_weights": "external"}


@given(NAMES, st.sampled_from(sorted(KINDS)), NAMES)
def test_a_path_comes_back_as_it_was(run: str, kind: str, name: str) -> None:
    """Parsing and printing are inverse for every name that a checkpoint can have."""
    if {run, name} & {".", ".."}:
        return
    text = f"tinker://{run}/{kind}/{name}"
    path = CheckpointPath.parse(text)
    assert str(path) == text
    assert (path.training_run_id, path.kind, path.name) == (run, kind, name)
    assert (path.checkpoint_type, path.checkpoint_id) == (KINDS[kind], f"{kind}/{name}")
    assert CheckpointPath(run, kind, name) == path
    official = ParsedCheckpointTinkerPath.from_tinker_path(text)
    assert (official, official.tinker_path) == (path, text)


@pytest.mark.parametrize("name", ["s1", *KINDS])
def test_a_path_may_leave_out_the_kind_of_weights_to_sample_from(name: str) -> None:
    """It is printed as it was written, and names the same checkpoint as the long form.

    SkyRL gives such a path for each name, also for one that reads like a kind.
    """
    short = CheckpointPath.parse(f"tinker://model_1/{name}")
    long = CheckpointPath.parse(f"tinker://model_1/sampler_weights/{name}")
    assert str(short) == f"tinker://model_1/{name}"
    assert short.long == str(long) == long.long
    assert (short.kind, short.name, short.checkpoint_type) == ("sampler_weights", name, "sampler")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "run/weights/a",
        "http://run/weights/a",
        "tinker://",
        "tinker://run",
        "tinker://run/weights/",
        "tinker:///weights/a",
        "tinker://run/weights/a/b",
        "tinker://run//a",
        "tinker://run/other/a",
        "tinker://run/Weights/a",
        "tinker://../weights/a",
        "tinker://run/weights/..",
        "tinker://./weights/a",
        "tinker://run/weights/a?x=1",
        "tinker://run/weights/a#x",
        "tinker://run/weights/a\\b",
        "tinker://run/weights/a b",
        "tinker://run/weights/a\n",
        "tinker://run/weights/a\x7f",
        "tinker://run/weights/\u202ea",
        None,
        7,
    ],
    ids=repr,
)
def test_other_forms_are_refused(text: object) -> None:
    """Anything but two or three plain names behind the scheme is a ValidationError that shows the path."""
    with pytest.raises(ValidationError, match="checkpoint path"):
        CheckpointPath.parse(text)


@pytest.mark.parametrize("parts", [("a/b", "weights", "c"), ("a", "b", "c"), ("a", "weights", "")])
def test_parts_that_no_path_can_hold_are_refused(parts: tuple[str, str, str]) -> None:
    """A path made of parts is as strict as a parsed one."""
    with pytest.raises(ValidationError, match="checkpoint path"):
        CheckpointPath(*parts)
