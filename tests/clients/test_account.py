"""The REST calls that a server may lack: each one's request, and what is said where it is missing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import pytest
from support.clock import FakeClock
from support.scripted import Script, scripted_service

from tinkex import RestClient
from tinkex._base.secret import Secret
from tinkex.errors import NotFoundError, RequestFailedError, ValidationError
from tinkex.types import SessionSearchRequest

PATH = "tinker://S:train:0/weights/final"
NOW = "2026-11-24T00:00:00Z"
SUMMARY = {
    "session_id": "S",
    "created_at": NOW,
    "owner": "me",
    "project_id": "P",
    "checkpoints_count": 2,
}
HOUR = datetime(2026, 11, 24, tzinfo=UTC)

CALLS: dict[str, tuple[Any, str, str, Any]] = {
    "whoami": (
        lambda rest: rest.whoami(),
        "GET auth/apikey/me",
        "",
        {
            "key_id": 1,
            "name": "k",
            "note": "",
            "details": {"org_details": {"name": "o"}, "user_details": {"email": "e"}},
        },
    ),
    "delete_own_api_key": (
        lambda rest: rest.delete_own_api_key(),
        "DELETE auth/apikey/me",
        "",
        (204, b""),
    ),
    "assign_session_project": (
        lambda rest: rest.assign_session_project("S", "P"),
        "PUT sessions/S/project",
        "",
        (204, b""),
    ),
    "search_sessions": (
        lambda rest: rest.search_sessions(),
        "POST sessions/search",
        "",
        {"sessions": [SUMMARY]},
    ),
    "copy_weights": (
        lambda rest: rest.copy_weights(PATH, destination_project_id="P"),
        "POST copy_weights",
        "",
        {"tinker_path": PATH},
    ),
    "get_external_weights_urls": (
        lambda rest: rest.get_external_weights_urls("tinker://S:train:0/external_weights/x"),
        "GET training_runs/S:train:0/checkpoints/external_weights/x/external_weights_urls",
        "",
        {"urls": {"a": "https://files.example/a"}, "expires": NOW},
    ),
    "get_billing_usage": (
        lambda rest: rest.get_billing_usage(HOUR, HOUR.replace(hour=5)),
        "GET billing/usage/events",
        "starting_on=2026-11-24T00%3A00%3A00%2B00%3A00&ending_before=2026-11-24T05%3A00%3A00%2B00%3A00",
        {"data": []},
    ),
    "get_checkpoint_storage_usage": (
        lambda rest: rest.get_checkpoint_storage_usage("P"),
        "GET billing/usage/checkpoints/current",
        "project_id=P",
        {"data": []},
    ),
    "get_audit_log": (
        lambda rest: rest.get_audit_log("checkpoints", date(2026, 11, 23)),
        "GET audit",
        "event_type=checkpoints&day=2026-11-23",
        {"entries": []},
    ),
}


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def rest(script: Script) -> Iterator[RestClient]:
    with scripted_service(script) as service:
        yield service.create_rest_client()


@pytest.mark.parametrize("name", CALLS)
def test_each_call_goes_to_its_route(name: str, script: Script, rest: RestClient) -> None:
    """Method, path and query are the contract's, and the answer is read."""
    call, route, query, answer = CALLS[name]
    script.on(route, answer)
    call(rest)
    (got,) = script.received
    assert got.route == f"{route.split()[0]} /prefix/api/v1/{route.split()[1]}"
    assert got.url.partition("?")[2] == query


@pytest.mark.holds("F32")
@pytest.mark.parametrize("name", CALLS)
def test_a_server_without_the_route_is_named_as_the_reason(
    name: str, script: Script, rest: RestClient
) -> None:
    """A framework's own 404 says that there is no route; another one leaves that open."""
    call, route, _, _ = CALLS[name]
    script.on(route, (404, {"detail": "Not Found"}), (404, {"detail": "it is not there"}))
    with pytest.raises(NotFoundError, match="this server does not offer the route"):
        call(rest)
    with pytest.raises(NotFoundError, match="this server may not support it"):
        call(rest)


def test_a_search_follows_the_cursor(script: Script, rest: RestClient) -> None:
    """Each page is asked for with the cursor of the one before, until there is none."""
    cursor = {"last_created_at": NOW, "last_session_id": "S"}
    script.on(
        "POST sessions/search",
        {"sessions": [SUMMARY], "next_cursor": cursor},
        {"sessions": [SUMMARY | {"session_id": "T"}]},
    )
    asked = SessionSearchRequest(user_metadata={"team": "a"})
    found = [summary.session_id for summary in rest.iter_session_search(asked)]
    first, second = script.bodies("sessions/search")
    assert found == ["S", "T"]
    assert first["user_metadata"] == second["user_metadata"] == {"team": "a"}
    assert "cursor" not in first
    assert second["cursor"]["last_session_id"] == "S"


def test_a_trace_is_waited_for(script: Script) -> None:
    """Pending answers are polled every five seconds until the URL is there."""
    clock = FakeClock()
    script.on(
        "GET sessions/S/trace_export",
        {"status": "pending"},
        {"status": "pending"},
        {"status": "ready", "url": "https://files.example/t"},
    )
    with scripted_service(script, clock) as service:
        began = clock.now()
        assert (
            service.create_rest_client().export_session_trace("S").url == "https://files.example/t"
        )
        assert clock.now() - began == pytest.approx(10.0)


@pytest.mark.parametrize(
    "answers", [({"status": "failed", "error": "no"},), ({"status": "pending"},)]
)
def test_a_trace_that_does_not_come_is_an_error(
    script: Script, rest: RestClient, answers: Any
) -> None:
    """A failure, or more patience than was given, ends the wait with the reason."""
    script.on("GET sessions/S/trace_export", *answers)
    with pytest.raises(RequestFailedError, match="is not available"):
        rest.export_session_trace("S", patience=20)


def test_the_foreign_credential_travels_in_its_header(script: Script, rest: RestClient) -> None:
    """copy_weights sends the owner's token in the header, never in the body."""
    script.on("POST copy_weights", {"tinker_path": PATH})
    rest.copy_weights(PATH, weights_access_token=Secret("tml-owner-123456"))
    (got,) = script.received
    assert got.headers["x-tinker-weights-access-token"] == "tml-owner-123456"
    assert b"tml-owner" not in got.content


@pytest.mark.parametrize(
    ("destination", "project"),
    [
        ({}, "Q"),
        ({"destination_project_id": "P"}, "P"),
        ({"session_id": "S", "model_seq_id": 3}, None),
    ],
    ids=str,
)
def test_a_copy_goes_to_the_project_of_the_settings_if_nothing_is_named(
    script: Script, destination: dict[str, Any], project: str | None
) -> None:
    """TINKER_PROJECT_ID is where a copy belongs, unless a project or a session is given."""
    script.on("POST copy_weights", {"tinker_path": PATH})
    with scripted_service(script, FakeClock(), project_id="Q") as service:
        service.create_rest_client().copy_weights(PATH, **destination)
    assert script.bodies("copy_weights")[0].get("destination_project_id") == project


def test_bad_arguments_are_refused_before_anything_is_sent(
    script: Script, rest: RestClient
) -> None:
    """Naive times, an empty span, an unknown event kind and half a pair never leave the process."""
    bad = [
        lambda: rest.get_billing_usage(HOUR.replace(tzinfo=None), HOUR),
        lambda: rest.get_billing_usage(HOUR, HOUR),
        lambda: rest.get_audit_log("nonsense"),
        lambda: rest.copy_weights(PATH, session_id="S"),
        lambda: rest.assign_session_project("S", ""),
        lambda: rest.assign_session_project("..", "P"),
    ]
    for call in bad:
        with pytest.raises(ValidationError):
            call()
    assert script.received == []
