"""What a server says reaches people as text, and nothing that would act on it."""

from __future__ import annotations

import logging
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.calls import CAPABILITIES, STEP
from support.clock import FakeClock
from support.extent import examples
from support.scripted import Script, scripted_service

from tinkex import Config, types
from tinkex.errors import ConfigurationError, RequestFailedError, TinkexError, ValidationError

# Orders to a terminal (ECMA-48), to a line printer, and to whoever reads from right to left.
HOSTILE = st.text(
    st.sampled_from("\x1b\x9b\x07\x08\x00\r\t\u202e\u2066\u200f[]2J;0m<>&\"'=+@a"), max_size=40
)
CLEAR = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202e\r\x00"
RELAXED = settings(
    max_examples=examples(30),
)


def assert_text(shown: str) -> None:
    assert [c for c in shown if not c.isprintable() and c != "\n"] == []


@pytest.mark.holds("S18")
@RELAXED
@given(said=HOSTILE)
@example(said=CLEAR)
def test_an_error_gives_a_terminal_no_orders(said: str) -> None:
    """Whatever the body of an error is, its message is text."""
    script = Script()
    bodies: list[Any] = [
        (400, {"detail": said}),
        (500, {"error": said, "category": said}),
        (422, {"detail": [{"loc": [said], "msg": said}]}),
        (404, said.encode()),
        (200, said.encode(), {"content-type": "text/html"}),
    ]
    with scripted_service(script, FakeClock(), max_retries=0) as service:
        for body in bodies:
            script.on(CAPABILITIES, body)
            with pytest.raises(TinkexError) as caught:
                service.get_server_capabilities()
            assert_text(str(caught.value))


@pytest.mark.holds("S18")
@RELAXED
@given(said=HOSTILE)
@example(said=CLEAR)
def test_a_failed_job_gives_a_terminal_no_orders(
    said: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the reason of a failure nor that of a pause, nor the greeting of a session."""
    caplog.clear()
    script = Script().on("POST create_model", {"model_id": "M"}).on(STEP, {"request_id": "r"})
    script.on("POST create_session", {"session_id": "S", "warning_message": said or "x"})
    script.on(
        "POST retrieve_future",
        {"type": "try_again", "request_id": "r", "queue_state": "paused_capacity", "queue_state_reason": said},
        {"error": said, "category": "user"},
    )  # fmt: skip
    with caplog.at_level(logging.INFO, "tinkex"), scripted_service(script, FakeClock()) as service:
        step = service.create_lora_training_client("base").optim_step()
        with pytest.raises(RequestFailedError) as caught:
            step.result()
    assert_text(str(caught.value))
    for record in caplog.records:
        assert_text(record.getMessage())


class Tags(HTMLParser):
    """Collect the tags and attributes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen |= {tag, *(name for name, _ in attrs)}


TABLE = {"table", "thead", "tbody", "tr", "th", "td", "p"}


@pytest.mark.holds("S19")
@RELAXED
@given(said=HOSTILE, name=HOSTILE)
@example(said="<script>alert(1)</script>", name='"><img src=x onerror=alert(1)>')
def test_a_notebook_is_shown_tables_and_no_markup_of_a_servers(said: str, name: str) -> None:
    """Names, labels and metrics become cells; the page has no tag but the table's, and no attribute."""
    from datetime import UTC, datetime

    checkpoint = types.Checkpoint(
        checkpoint_id=said,
        checkpoint_type="training",
        time=datetime(2026, 1, 1, tzinfo=UTC),
        tinker_path=name,
        user_metadata={name: said},
    )
    output = types.ForwardBackwardOutput("x", [], {said: 1.0, name: 2.0})
    listed = types.CheckpointsListResponse(checkpoints=[checkpoint])
    for shown in (checkpoint, listed, output):
        page = Tags()
        page.feed(shown._repr_html_())
        page.close()
        assert page.seen <= TABLE


@pytest.mark.holds("S16")
@pytest.mark.parametrize("setting", ["default_headers", "proxy_headers"])
@pytest.mark.parametrize(
    "pair",
    [
        ("X-A", "b\r\nX-Evil: 1"),
        ("X-A\r\nX-Evil", "1"),
        ("X-A", "b\x00"),
        ("X A", "b"),
        ("X-A", "\u00e9\u20ac"),
    ],
)
def test_no_setting_begins_a_header_of_its_own(setting: str, pair: tuple[str, str]) -> None:
    """Names and values are checked before there is anything to send them."""
    with pytest.raises(ConfigurationError, match=setting):
        Config.resolve(base_url="http://127.0.0.1:9", environ={}, **{setting: dict([pair])})


@pytest.mark.holds("S16")
def test_line_ends_in_labels_stay_inside_the_body(script: Script, clock: FakeClock) -> None:
    """Tags, metadata and names travel as JSON, where a line end is two harmless characters."""
    evil = "a\r\nX-Evil: 1"
    script.on("POST create_model", {"model_id": "M"})
    with scripted_service(
        script, clock, tags=[evil], user_metadata={evil: evil}, display_name=evil
    ) as service:
        service.create_lora_training_client("base", user_metadata={evil: evil})
    for got in script.received:
        assert "x-evil" not in got.headers
    assert script.bodies("create_session")[0]["user_metadata"] == {evil: evil}


@pytest.mark.holds("S16")
@pytest.mark.parametrize("name", ["../x", "a/b", "a?b", "a#b", "a\r\nb", "", ".", "..", "\x00"])
def test_names_that_would_change_a_path_are_refused_before_anything_is_sent(
    script: Script, clock: FakeClock, name: str
) -> None:
    """Names of checkpoints become parts of paths, at the server and here."""
    script.on("POST create_model", {"model_id": "M"})
    with scripted_service(script, clock) as service:
        training = service.create_lora_training_client("base")
        before = len(script.received)
        for save in (training.save_state, training.save_weights_for_sampler):
            with pytest.raises(ValidationError, match="name"):
                save(name)
        assert len(script.received) == before


@pytest.mark.holds("S16")
def test_ids_of_any_kind_stay_one_part_of_a_path() -> None:
    """Each character that could end it is quoted, or the id is refused."""
    script = Script()
    with scripted_service(script, FakeClock()) as service:
        rest = service.create_rest_client()
        for evil in ("../x", "a/../../b", "a?x=1", "a#b", "a b", "a%2f..", "a\\..\\b", "é"):
            for ask in (rest.get_training_run, rest.get_session):
                before = len(script.received)
                with pytest.raises(TinkexError):
                    ask(evil)
                for got in script.received[before:]:
                    path, _, query = got.url.partition("/api/v1/")[2].partition("?")
                    assert path.count("/") == 1, path
                    assert query in ("", "access_scope=owned")
