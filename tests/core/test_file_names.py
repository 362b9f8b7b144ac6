"""Files are named so that every operating system accepts it."""

from __future__ import annotations

import pytest

from tinkex._base.file_names import portable_name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("session-1:train:0_weights_a", "session-1_train_0_weights_a"),
        ("../S", ".._S"),
        ('a<b>"c|d?*\\e', "a_b__c_d___e"),
        ("line\nbreak\x7f", "line_break_"),
        ("ends. .", "ends___"),
        ("größer-1.jsonl", "größer-1.jsonl"),
    ],
)
def test_what_some_system_refuses_is_replaced(text: str, name: str) -> None:
    """Also a dot or a space at the end, which Windows drops."""
    assert portable_name(text) == name
