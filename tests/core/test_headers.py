"""Names that an HTTP header can have."""

from __future__ import annotations

import pytest

from tinkex._base.headers import is_header_name


@pytest.mark.parametrize("name", ["X-Key", "a", "x_1.2", "!#$%&'*+-.^_`|~"])
def test_a_token_is_a_name(name: str) -> None:
    """Letters, digits and the signs that RFC 9110 lists."""
    assert is_header_name(name)


@pytest.mark.parametrize("name", ["", "a b", "a:", "a\n", "\n", "é", "a\0", "a(b)", 'a"', "a/b"])
def test_nothing_else_is(name: str) -> None:
    """Nothing that would end the name or begin another header."""
    assert not is_header_name(name)
