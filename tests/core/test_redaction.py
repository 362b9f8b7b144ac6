"""What others wrote is masked, then cleaned, then cut, whatever the way in."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinkex._base import redaction
from tinkex._base.redaction import MASK, hide, redact, safe_text
from tinkex._base.secret import Secret
from tinkex._core.failures import api_error, decode_error
from tinkex._core.response import Headers, Response
from tinkex.errors import ApiError, TinkexError, ValidationError

KEY = "tml-canary-of-redaction-0123456789"
# As long as the tokens that servers sign.
TOKEN = "eyJ" + "canary" * 200
ODD = 'canary/päss "word"\\%&+?'


@pytest.fixture(autouse=True)
def known() -> None:
    """Register the canaries, as code that begins to use a secret does."""
    hide(Secret(KEY), TOKEN, ODD)


@pytest.mark.holds("S22")
@pytest.mark.parametrize(
    "form",
    [
        KEY,
        ODD,
        quote(ODD, safe=""),
        quote(ODD, safe="").lower(),
        json.dumps(ODD)[1:-1],
        json.dumps(ODD, ensure_ascii=False)[1:-1],
    ],
)
def test_a_secret_is_masked_in_every_form_that_a_server_may_repeat(form: str) -> None:
    """As it is, quoted for a URL in either case, and inside of JSON."""
    assert redact(f"<{form}>") == f"<{MASK}>"


def test_a_short_password_is_masked_where_it_stands_alone() -> None:
    """A weak password may be a word: the words that contain it stay readable."""
    hide("mops")
    assert redact("user:mops@proxy says mops, not mopstein") == (
        f"user:{MASK}@proxy says {MASK}, not mopstein"
    )


def test_what_is_too_short_to_be_a_secret_shreds_no_text() -> None:
    """Neither an empty secret nor a letter is looked for."""
    hide("", "a", None)
    assert redact("a banana") == "a banana"


def test_the_user_part_of_a_url_is_masked_without_being_registered() -> None:
    """What stands before the @ of a URL is a password as a rule."""
    assert (
        redact("see http://me:hunter2@host/x and me@host")
        == f"see http://{MASK}@host/x and me@host"
    )


def test_the_registry_forgets_what_was_used_longest_ago(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that changes its key every hour for a year does not slow down its errors."""
    monkeypatch.setattr(redaction, "_MOST", 3)
    monkeypatch.setattr(redaction, "_known", {})
    monkeypatch.setattr(redaction, "_inside", ())
    monkeypatch.setattr(redaction, "_alone", None)
    for number in range(3):
        hide(f"secret-number-{number}")
    hide("secret-number-0")
    hide("secret-number-3")
    assert redact("secret-number-1") == "secret-number-1"
    assert [redact(f"secret-number-{number}") for number in (0, 2, 3)] == [MASK] * 3


def test_threads_may_hide_and_redact_at_once() -> None:
    """Every client of a process registers its key here."""
    texts: list[str] = []

    def use(number: int) -> None:
        for part in range(20):
            hide(secret := f"secret-of-thread-{number}-{part:02}")
            texts.append(redact(f"{secret}."))

    threads = [threading.Thread(target=use, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert texts == [f"{MASK}."] * 80


def shown(error: TinkexError) -> str:
    notes = "".join(getattr(error, "__notes__", ()))
    return f"{error!s} {error!r} {error.args} {vars(error)} {notes}"


def with_message(text: str) -> TinkexError:
    return TinkexError(text)


def with_later_hint(text: str) -> TinkexError:
    error = TinkexError("it broke")
    error.message += f"; the server says: {text}"
    return error


def with_ids(text: str) -> TinkexError:
    return TinkexError("it broke", request_id=text, session_id=text)


def with_attempts(text: str) -> TinkexError:
    error = TinkexError("it broke")
    error.attempts = (f"0.1 s: {text}",)
    return error


def with_note(text: str) -> TinkexError:
    error = TinkexError("it broke")
    error.add_note(text)
    return error


def reply(
    content: bytes = b"", headers: dict[str, str] | None = None, reason: str = ""
) -> Response:
    return Response(400, Headers((headers or {}).items()), content, reason)


WAYS_IN: list[Callable[[str], TinkexError]] = [
    with_message,
    with_later_hint,
    with_ids,
    with_attempts,
    with_note,
    lambda text: ApiError("it broke", status_code=500, body=text),
    lambda text: ValidationError(text, path=f"data[{text}]"),
    lambda text: api_error(reply(text.encode()), "a call"),
    lambda text: api_error(reply(json.dumps({"detail": text}).encode()), "a call"),
    lambda text: api_error(
        reply(json.dumps({"detail": [{"loc": [text], "msg": text}]}).encode()), "a call"
    ),
    lambda text: api_error(reply(json.dumps({"request_id": text}).encode()), "a call"),
    lambda text: api_error(reply(headers={"x-request-id": text}), "a call"),
    lambda text: api_error(reply(reason=text), "a call"),
    lambda text: decode_error(text.encode(), text, "a call", text),
]  # fmt: skip


@pytest.mark.holds("S22")
@pytest.mark.parametrize("raised", WAYS_IN)
@pytest.mark.parametrize("secret", [KEY, TOKEN])
def test_no_way_in_lets_a_secret_through_not_even_half_of_one(
    raised: Callable[[str], TinkexError], secret: str
) -> None:
    """Wherever a text is cut, what it is cut from has no secret in it any more."""
    for before in (0, 90, 190, 195, 1_990, 3_990, 7_990):
        text = "x" * before + secret * 40
        assert "canary" not in shown(raised(text))


@pytest.mark.holds("S22")
@pytest.mark.parametrize("raised", WAYS_IN)
def test_every_way_in_is_cleaned_and_bounded(raised: Callable[[str], TinkexError]) -> None:
    """A terminal gets no orders and a log file no novel."""
    error = raised("\x1b[2J\u202e\x00\r" * 20_000)
    texts = [str(error), error.request_id or "", getattr(error, "body", ""), *error.attempts]
    texts += getattr(error, "__notes__", [])
    assert all(c.isprintable() or c == "\n" for text in texts for c in text)
    assert max(map(len, texts)) < 5_000


@given(st.text(), st.integers(1, 50))
def test_passing_the_gate_twice_changes_nothing(text: str, longest: int) -> None:
    """A layer further out adds to a message that has passed already."""
    once = safe_text(text, longest)
    assert safe_text(once, longest) == once
    assert len(once) <= longest
