"""Finding sessions again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from local.wire import Wire, served


@pytest.fixture(scope="module")
def archive() -> Iterator[tuple[Wire, dict[str, str]]]:
    """A server with four sessions, the newest last."""
    with served() as (_, wire):
        ids = {
            "chat": wire.session(display_name="Pirate Chat", user_metadata={"who": "a", "n": "1"}),
            "math": wire.session(display_name="math tutor", user_metadata={"who": "a", "n": "2"}),
            "plain": wire.session(project_id="p"),
            "ended": wire.session(),
        }
        wire.model(ids["plain"]).call("save_weights", path="w")
        reason = {"type": "errored"}
        wire.send(f"sessions/{ids['ended']}/finish", reason=reason, detail="went wrong")
        yield wire, ids


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, ["ended", "plain", "math", "chat"]),
        ({"display_name": "CHAT pir"}, ["chat"]),
        ({"user_metadata": {"who": "a"}}, ["math", "chat"]),
        ({"user_metadata": {"who": "a", "n": "2"}}, ["math"]),
        ({"project_ids": ["p", "q"]}, ["plain"]),
        ({"statuses": [{"type": "client_finished"}]}, ["ended"]),
        ({"statuses": [{"type": "client_finished", "reasons": ["success"]}]}, []),
        ({"statuses": [{"type": "active"}, {"type": "failed"}]}, ["plain", "math", "chat"]),
        ({"owner": {"type": "user", "owner_urns": ["somebody"]}}, []),
        ({"owner": {"type": "own"}, "limit": 2}, ["ended", "plain"]),
    ],
)
def test_sessions_are_found_by(
    archive: tuple[Wire, dict[str, str]], query: dict[str, Any], found: list[str]
) -> None:
    """Every condition narrows the search; without any, all sessions come, newest first."""
    wire, ids = archive
    sessions = wire.post("sessions/search", **query)["sessions"]
    assert [session["session_id"] for session in sessions] == [ids[name] for name in found]


def test_id_or_name_is_enough(archive: tuple[Wire, dict[str, str]]) -> None:
    """A search for an id and a name finds both."""
    wire, ids = archive
    answer = wire.post("sessions/search", session_id=ids["plain"], display_name="tutor")
    assert [one["session_id"] for one in answer["sessions"]] == [ids["plain"], ids["math"]]


def test_pages_follow_the_cursor(archive: tuple[Wire, dict[str, str]]) -> None:
    """The cursor leads through all sessions without gap or repetition."""
    wire, ids = archive
    seen: list[str] = []
    cursor = None
    while True:
        page = wire.post("sessions/search", limit=1, cursor=cursor)
        seen += [one["session_id"] for one in page["sessions"]]
        if (cursor := page.get("next_cursor")) is None:
            break
    assert seen == list(ids.values())[::-1]


def test_summary_tells_how_a_session_stands(archive: tuple[Wire, dict[str, str]]) -> None:
    """State, end and stored bytes are in the summary; usage adds them up by project."""
    wire, ids = archive
    summaries = {one["session_id"]: one for one in wire.post("sessions/search")["sessions"]}
    ended, plain = summaries[ids["ended"]], summaries[ids["plain"]]
    assert ended["status"] == {
        "type": "client_finished",
        "reason": {"type": "errored"},
        "detail": "went wrong",
    }
    assert plain["status"] == {"type": "active"}
    assert plain["checkpoints_count"] == 1
    (usage,) = wire.get("billing/usage/checkpoints/current", project_id="p")["data"]
    assert usage["size_bytes"] == plain["checkpoint_storage_bytes"] > 0
    assert wire.get("billing/usage/checkpoints/current", project_id="q") == {"data": []}
