"""A secret shows itself to nobody but the wire."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
import traceback

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinkex._base.secret import Secret
from tinkex.config import Config

KEY = "tml-canary-0123456789-wxyz"


@attrs.frozen
class _Holder:
    key: Secret


@dataclasses.dataclass
class _OldHolder:
    key: Secret


@pytest.mark.holds("S1")
@pytest.mark.parametrize(
    "show",
    [
        repr,
        str,
        lambda secret: f"{secret}",
        lambda secret: f"{secret!r:>40}",
        lambda secret: f"{secret:>40}",
        lambda secret: "%s %r" % (secret, secret),  # noqa: UP031 - it is one of the ways
        lambda secret: str([secret]),
        lambda secret: str(attrs.asdict(_Holder(secret))),
        lambda secret: str(dataclasses.asdict(_OldHolder(secret))),
        lambda secret: str(_Holder(secret)),
        lambda secret: repr(copy.deepcopy({"key": secret})),
    ],
)
def test_no_way_of_showing_a_secret_shows_it(show) -> None:
    """Every way from an object to text gives the masked form."""
    shown = show(Secret(KEY))
    assert KEY not in shown
    assert "canary" not in shown


def test_a_key_is_known_by_its_prefix_and_its_last_four_characters() -> None:
    """People can tell which key is in use (C8, with fewer characters than the reference shows)."""
    assert Secret("tml-abcdef123456").masked() == "tml-...3456"
    assert Secret("eyJhbGciOi.abc.wxyz").masked() == "eyJ...wxyz"


@pytest.mark.parametrize("text", ["abcd", "tml-abcd", "", "http://user:hunter2@h", "cloudflare-s3"])
def test_short_keys_and_secrets_of_other_kinds_are_masked_whole(text: str) -> None:
    """The end of a proxy's URL or of a short key would be most of a password (C8)."""
    assert Secret(text).masked() == "****"


@pytest.mark.holds("S1")
def test_a_secret_cannot_be_pickled() -> None:
    """Pickles travel to files and other machines."""
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(Secret(KEY))
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(Config.resolve(api_key=KEY, environ={}))
    with pytest.raises(TypeError):
        json.dumps({"key": Secret(KEY)})


def test_a_secret_has_no_attributes_to_list() -> None:
    """vars() finds nothing on a secret, and nothing in the clear on what holds one."""
    with pytest.raises(TypeError):
        vars(Secret(KEY))


def test_a_copy_of_a_secret_is_the_secret() -> None:
    """Settings that hold a secret can be copied like any others."""
    secret = Secret(KEY)
    assert copy.copy(secret) is secret
    assert copy.deepcopy([secret])[0].reveal() == KEY


def test_a_traceback_with_variables_shows_only_the_masked_form() -> None:
    """Error reporters that record the variables of each frame record no secret."""

    def fail(secret: Secret) -> None:
        raise ValueError(f"with {secret}")

    secret = Secret(KEY)
    try:
        fail(secret)
    except ValueError as error:
        shown = "".join(
            traceback.TracebackException.from_exception(error, capture_locals=True).format()
        )
    assert "tml-...wxyz" in shown
    assert KEY not in shown


@given(st.text(), st.text())
def test_secrets_are_equal_when_their_values_are(one: str, other: str) -> None:
    """Equality and hash follow the value, and a bare string equals no secret."""
    assert (Secret(one) == Secret(other)) == (one == other)
    assert hash(Secret(one)) == hash(Secret(one))
    assert Secret(one) != one
    assert bool(Secret(one)) == bool(one)


@given(st.text(alphabet="ab", min_size=1, max_size=5), st.text(alphabet="abc", max_size=30))
def test_redacting_leaves_no_occurrence(value: str, text: str) -> None:
    """However often a secret occurs in a text, it is gone afterwards."""
    assert value not in Secret(value).redact(text).replace("[REDACTED]", "|")


def test_an_empty_secret_redacts_nothing() -> None:
    """Replacing the empty string would shred the text."""
    assert Secret("").redact("abc") == "abc"
