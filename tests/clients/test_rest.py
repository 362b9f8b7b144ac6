"""The REST client: each method's request, pages, and archives in all their ways to come."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from support.clock import FakeClock
from support.scripted import Script, scripted_service

from tinkex import RestClient
from tinkex.errors import (
    ConflictError,
    DecodeError,
    NotFoundError,
    PermissionDeniedError,
    ServerError,
    ValidationError,
)

PATH = "tinker://S:train:0/sampler_weights/final"
CHECKPOINT = "training_runs/S:train:0/checkpoints/sampler_weights/final"
NOW = "2026-11-24T00:00:00Z"
RUN = {
    "training_run_id": "S:train:0",
    "base_model": "B",
    "model_owner": "me",
    "is_lora": True,
    "last_request_time": NOW,
}
ITEM = {
    "checkpoint_id": "sampler_weights/final",
    "checkpoint_type": "sampler",
    "time": NOW,
    "tinker_path": PATH,
}

Case = tuple[Any, str, str, Any]
CASES: dict[str, Case] = {
    "get_training_run": (
        lambda rest: rest.get_training_run("S:train:0"),
        "GET training_runs/S:train:0",
        "access_scope=owned",
        RUN,
    ),
    "get_training_run_by_tinker_path": (
        lambda rest: rest.get_training_run_by_tinker_path(PATH, "accessible"),
        "GET training_runs/S:train:0",
        "access_scope=accessible",
        RUN,
    ),
    "list_training_runs": (
        lambda rest: rest.list_training_runs(5, 10),
        "GET training_runs",
        "limit=5&offset=10&access_scope=owned",
        {"training_runs": [RUN], "cursor": {"offset": 10, "limit": 5, "total_count": 11}},
    ),
    "list_checkpoints": (
        lambda rest: rest.list_checkpoints("S:train:0"),
        "GET training_runs/S:train:0/checkpoints",
        "",
        {"checkpoints": [ITEM], "cursor": None},
    ),
    "list_user_checkpoints": (
        lambda rest: rest.list_user_checkpoints(),
        "GET checkpoints",
        "limit=100&offset=0",
        {"checkpoints": [ITEM]},
    ),
    "get_weights_info_by_tinker_path": (
        lambda rest: rest.get_weights_info_by_tinker_path(PATH),
        "POST weights_info",
        "",
        {"base_model": "B", "is_lora": False},
    ),
    "get_checkpoint_archive_url": (
        lambda rest: rest.get_checkpoint_archive_url(PATH),
        f"GET {CHECKPOINT}/archive",
        "",
        {"url": "https://store/x", "expires": NOW},
    ),
    "delete_checkpoint": (
        lambda rest: rest.delete_checkpoint(PATH),
        f"DELETE {CHECKPOINT}",
        "",
        (204, b""),
    ),
    "publish_checkpoint": (
        lambda rest: rest.publish_checkpoint(PATH),
        f"POST {CHECKPOINT}/publish",
        "",
        (200, b""),
    ),
    "unpublish_checkpoint": (
        lambda rest: rest.unpublish_checkpoint(PATH),
        f"DELETE {CHECKPOINT}/publish",
        "",
        (200, b""),
    ),
    "set_checkpoint_ttl": (
        lambda rest: rest.set_checkpoint_ttl(PATH, 3600),
        f"PUT {CHECKPOINT}/ttl",
        "",
        {},
    ),
    "get_session": (
        lambda rest: rest.get_session("S"),
        "GET sessions/S",
        "access_scope=owned",
        {"training_run_ids": ["S:train:0"], "sampler_ids": []},
    ),
    "list_sessions": (
        lambda rest: rest.list_sessions(),
        "GET sessions",
        "limit=20&offset=0&access_scope=owned",
        {"sessions": ["S"]},
    ),
    "get_sampler": (
        lambda rest: rest.get_sampler("S:sample:0"),
        "GET samplers/S:sample:0",
        "",
        {"sampler_id": "S:sample:0", "base_model": "B"},
    ),
    "get_server_capabilities": (
        lambda rest: rest.get_server_capabilities(),
        "GET get_server_capabilities",
        "",
        {"supported_models": [{"model_name": "B"}]},
    ),
}


def call(script: Script, use: Any, clock: FakeClock | None = None) -> Any:
    with scripted_service(script, clock) as service:
        return use(service.create_rest_client())


@pytest.mark.parametrize("name", CASES)
def test_each_method_asks_its_route(name: str) -> None:
    """Method, path with colons and slashes as they are, query and result of every REST call."""
    use, route, query, answer = CASES[name]
    script = Script().on(route, answer)
    result = call(script, use)
    (got,) = script.received
    assert got.route == route.replace(" ", " /prefix/api/v1/")
    assert got.url.partition("?")[2] == query
    if isinstance(answer, dict) and answer:
        key, value = next(iter(answer.items()))
        if isinstance(value, str | bool):
            assert getattr(result, key) in (value, datetime(2026, 11, 24, tzinfo=UTC))
        else:
            assert len(getattr(result, key)) == len(value)


def test_every_rest_method_is_in_the_table() -> None:
    """A method added to the client has to be added to these cases."""
    methods = {name for name in vars(RestClient) if not name.startswith("_")}
    others = {"base_url", "clock", "config", "request", "download_checkpoint"}
    others.add("download_session_trace")
    others |= {"close", "token_claims", "transport"}
    others |= {name for name in methods if name.startswith("iter_")} | set(OFFICIAL_NAMES)
    others |= OPTIONAL
    assert methods - others == set(CASES)


# What not every server offers: tests/clients/test_account.py.
OPTIONAL = {
    "whoami", "delete_own_api_key", "assign_session_project", "search_sessions", "export_session_trace",
    "copy_weights", "get_external_weights_urls", "get_billing_usage", "get_checkpoint_storage_usage",
    "get_audit_log",
}  # fmt: skip
OFFICIAL_NAMES = [
    "get_checkpoint_archive_url_from_tinker_path",
    "delete_checkpoint_from_tinker_path",
    "publish_checkpoint_from_tinker_path",
    "unpublish_checkpoint_from_tinker_path",
    "set_checkpoint_ttl_from_tinker_path",
]


@pytest.mark.parametrize("name", OFFICIAL_NAMES)
def test_the_official_sdks_names_do_the_same(name: str) -> None:
    """Code that was written for it finds its methods."""
    assert getattr(RestClient, name) is getattr(RestClient, name.removesuffix("_from_tinker_path"))


@pytest.mark.parametrize(
    ("use", "route"),
    [
        (lambda rest, *names: rest.delete_checkpoint(*names), "DELETE"),
        (lambda rest, *names: rest.publish_checkpoint(*names), "POST {}/publish"),
        (lambda rest, *names: rest.unpublish_checkpoint(*names), "DELETE {}/publish"),
    ],
)
def test_a_checkpoint_may_be_named_by_its_run_and_its_id(use: Any, route: str) -> None:
    """Both ways to name it ask the same route."""
    script = Script()
    path = f"{CHECKPOINT}/publish" if "publish" in route else CHECKPOINT
    script.on(f"{route.split(maxsplit=1)[0]} {path}", (204, b""))
    for names in ((PATH,), ("S:train:0", "sampler_weights/final")):
        call(script, lambda rest, names=names: use(rest, *names))
    assert len({got.route for got in script.received}) == 1
    assert len(script.received) == 2


@pytest.mark.holds("S16")
@pytest.mark.parametrize("checkpoint_id", ["final", "weights/", "odd/final", "weights/a/b", "../x"])
def test_a_checkpoint_id_that_names_none_sends_nothing(checkpoint_id: str) -> None:
    """The kind and the name belong to it, and neither may change the path's shape (S16)."""
    script = Script()
    with pytest.raises(ValidationError):
        call(script, lambda rest: rest.delete_checkpoint("S:train:0", checkpoint_id))
    assert script.received == []


def test_sessions_are_listed_over_all_pages() -> None:
    """A page that is not full is the last one; the list has no cursor."""
    script = Script()
    full = [f"s{index}" for index in range(100)]
    script.on("GET sessions", {"sessions": full}, {"sessions": ["last"]})
    found = call(script, lambda rest: [*rest.iter_sessions("accessible")])
    assert found == [*full, "last"]
    queries = [got.url.partition("?")[2] for got in script.received]
    assert queries == [
        "limit=100&offset=0&access_scope=accessible",
        "limit=100&offset=100&access_scope=accessible",
    ]


def test_a_runs_checkpoints_are_yielded_one_by_one() -> None:
    """The list of a run has one page."""
    script = Script().on("GET training_runs/r/checkpoints", {"checkpoints": [ITEM, ITEM]})
    assert len(call(script, lambda rest: [*rest.iter_checkpoints("r")])) == 2


def test_runs_may_be_those_of_a_project() -> None:
    """The project stands in the query of each page."""
    script = Script().on(
        "GET training_runs",
        {"training_runs": [RUN], "cursor": {"offset": 0, "limit": 100, "total_count": 1}},
    )
    call(script, lambda rest: [*rest.iter_training_runs(project_id="P")])
    assert script.received[0].url.endswith("&project_id=P")


# Requests of one's own


def test_any_route_can_be_asked_and_its_answer_looked_at() -> None:
    """Status, headers in any case, body, time and retries are there (C20)."""
    clock = FakeClock()
    script = Script().on("GET odd/route", 503, (200, {"a": 1}, {"X-Thing": "yes"}))
    with scripted_service(script, clock) as service:
        rest = service.create_rest_client()
        answer = rest.request("get", "/api/v1/odd/route", params={"deep": True})
    assert (answer.method, answer.status_code, answer.retries) == ("GET", 200, 1)
    assert answer.json() == {"a": 1}
    assert (answer.header("x-thing"), answer.header("other")) == ("yes", None)
    assert answer.elapsed == pytest.approx(sum(clock.slept))
    assert script.received[0].url.endswith("/odd/route?deep=true")
    assert answer.url.endswith("/prefix/api/v1/odd/route")


def test_a_write_of_ones_own_is_not_repeated_once_it_was_sent() -> None:
    """Nobody knows what it does twice; a body goes as JSON."""
    script = Script().on("POST odd", 500)
    with pytest.raises(ServerError):
        call(script, lambda rest: rest.request("POST", "/api/v1/odd", {"tokens": np.arange(3)}))
    assert [got.json for got in script.received] == [{"tokens": [0, 1, 2]}]


def test_an_empty_answer_is_an_empty_object_and_no_json_is_an_error() -> None:
    """What is not JSON can still be read as bytes (C18)."""
    script = Script().on("DELETE odd", (200, b""), (200, b"<html>"))
    with scripted_service(script) as service:
        rest = service.create_rest_client()
        assert rest.request("DELETE", "/api/v1/odd").json() == {}
        page = rest.request("DELETE", "/api/v1/odd")
    assert page.content == b"<html>"
    with pytest.raises(ValueError, match="not JSON"):
        page.json()


def test_an_answer_that_is_shown_hides_its_secrets() -> None:
    """Cookies and tokens among the headers are masked in its repr."""
    script = Script().on("GET odd", (200, {}, {"Set-Cookie": "canary", "X-Ok": "fine"}))
    shown = repr(call(script, lambda rest: rest.request("GET", "/api/v1/odd")))
    assert "canary" not in shown
    assert "fine" in shown


@pytest.mark.holds("S16")
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("TRACE", "/api/v1/x"),
        (None, "/api/v1/x"),
        ("GET", "api/v1/x"),
        ("GET", "/api/v1/../x"),
        ("GET", "//other.example/x"),
        ("GET", "/x?y=1"),
        ("GET", "/x#y"),
        ("GET", "/x\r\nHost: other"),
        ("GET", "https://other.example/x"),
        ("GET", None),
    ],
)
def test_a_request_that_cannot_be_right_sends_nothing(method: Any, path: Any) -> None:
    """Neither another host nor another shape of path can be slipped in (S16)."""
    script = Script()
    with pytest.raises(ValidationError, match=r"^(method|path): "):
        call(script, lambda rest: rest.request(method, path))
    assert script.received == []


def test_no_session_is_made_for_looking_around() -> None:
    """REST calls work without a session on the server."""
    script = Script().on("GET sessions", {"sessions": []})
    call(script, lambda rest: rest.list_sessions())
    assert len(script.received) == 1


def test_false_stays_false_and_missing_stays_none() -> None:
    """A boolean in an answer is the boolean that the server sent."""
    script = Script().on(
        "POST weights_info", {"base_model": "B", "is_lora": False, "train_mlp": False}
    )
    info = call(script, lambda rest: rest.get_weights_info_by_tinker_path(PATH))
    assert (info.is_lora, info.train_mlp, info.train_attn, info.lora_rank) == (
        False,
        False,
        None,
        None,
    )


def test_removing_a_time_to_live_sends_null() -> None:
    """None keeps a checkpoint for ever, and that is said explicitly."""
    script = Script().on(f"PUT {CHECKPOINT}/ttl", {})
    call(script, lambda rest: rest.set_checkpoint_ttl(PATH, None))
    assert script.received[0].content == b'{"ttl_seconds":null}'


@pytest.mark.parametrize(
    "use",
    [
        lambda rest: rest.set_checkpoint_ttl(PATH, 0),
        lambda rest: rest.set_checkpoint_ttl(PATH, "3600"),
        lambda rest: rest.get_training_run(""),
        lambda rest: rest.get_session(".."),
        lambda rest: rest.get_sampler(None),
        lambda rest: rest.list_checkpoints("."),
        lambda rest: rest.delete_checkpoint("S:train:0/weights/a"),
        lambda rest: rest.get_checkpoint_archive_url("tinker://S"),
        lambda rest: rest.list_sessions(access_scope="mine"),
    ],
)
def test_arguments_that_cannot_be_right_send_nothing(use: Any) -> None:
    """Bad ids, paths, scopes and times to live are ValidationErrors."""
    script = Script()
    with pytest.raises(ValidationError):
        call(script, use)
    assert script.received == []


@pytest.mark.parametrize(
    ("status", "error"), [(403, PermissionDeniedError), (404, NotFoundError), (409, ConflictError)]
)
def test_a_refusal_is_its_own_error(status: int, error: type[Exception]) -> None:
    """The server's word comes out once, typed, without being repeated."""
    script = Script().on(f"POST {CHECKPOINT}/publish", (status, {"detail": "no"}))
    with pytest.raises(error, match="no"):
        call(script, lambda rest: rest.publish_checkpoint(PATH))
    assert len(script.received) == 1


def test_pages_are_turned_until_the_last_item() -> None:
    """The iterators ask for the next page when it is needed, and for none after the last."""
    items = [{**ITEM, "tinker_path": f"{PATH}{i}"} for i in range(250)]

    def page(request: Any) -> Any:
        offset = int(request.url.params["offset"])
        limit = int(request.url.params["limit"])
        cursor = {"offset": offset, "limit": limit, "total_count": 250}
        return {"checkpoints": items[offset : offset + limit], "cursor": cursor}

    script = Script().on("GET checkpoints", page)
    with scripted_service(script) as service:
        found = service.create_rest_client().iter_user_checkpoints()
        assert next(found).tinker_path == f"{PATH}0"
        assert len(script.received) == 1
        assert len([*found]) == 249
    assert len(script.received) == 3


def test_pages_end_where_the_server_ends() -> None:
    """An empty page, or an answer without a cursor, is the last one, whatever the total says."""
    cursor = {"offset": 0, "limit": 100, "total_count": 99}
    script = Script().on(
        "GET training_runs",
        {"training_runs": [RUN], "cursor": cursor},
        {"training_runs": [], "cursor": cursor},
    )
    assert len(call(script, lambda rest: [*rest.iter_training_runs()])) == 1
    script = Script().on("GET checkpoints", {"checkpoints": [ITEM, ITEM]})
    assert len(call(script, lambda rest: [*rest.iter_user_checkpoints()])) == 2
    assert len(script.received) == 1


ARCHIVE = f"GET {CHECKPOINT}/archive"


def archive(*answers: Any, clock: FakeClock | None = None, **patience: float) -> Any:
    script = Script().on(ARCHIVE, *answers)
    found = call(script, lambda rest: rest.get_checkpoint_archive_url(PATH, **patience), clock)
    return found, script


@pytest.mark.holds("S5")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_an_archives_redirect_is_read_and_not_followed(status: int) -> None:
    """The signed URL is in Location, its end in Expires; nobody goes there with the API key."""
    headers = {"Location": "https://store/x?sig=1", "Expires": "Tue, 24 Nov 2026 01:00:00 GMT"}
    found, script = archive((status, b"", headers))
    assert found.url == "https://store/x?sig=1"
    assert found.expires == datetime(2026, 11, 24, 1, tzinfo=UTC)
    assert len(script.received) == 1


@pytest.mark.parametrize("expires", [None, "soon", "-1"])
def test_an_unsaid_expiry_is_a_quarter_of_an_hour(expires: str | None) -> None:
    """Without a readable Expires, the URL is taken to live for 15 minutes."""
    headers = {"Location": "https://store/x"} | ({"Expires": expires} if expires else {})
    found, _ = archive((302, b"", headers))
    left = found.expires - datetime.now(UTC)
    assert timedelta(minutes=10) < left <= timedelta(minutes=15)


def test_an_expiry_without_a_zone_is_universal_time() -> None:
    """Whatever the header says, the expiry can be compared with other times."""
    headers = {"Location": "https://store/x", "Expires": "Tue, 24 Nov 2026 01:00:00 -0000"}
    found, _ = archive((302, b"", headers))
    assert found.expires == datetime(2026, 11, 24, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("location", "end"),
    [
        ("/signed/x?sig=1", "/signed/x?sig=1"),
        ("download?sig=1", f"/prefix/api/v1/{CHECKPOINT}/download?sig=1"),
        ("../x", "/prefix/api/v1/training_runs/S:train:0/checkpoints/sampler_weights/x"),
    ],
)
def test_a_relative_location_is_taken_from_where_it_was_said(location: str, end: str) -> None:
    """Relative redirects are resolved against the request's own URL."""
    found, script = archive((302, b"", {"Location": location}))
    assert found.url == script.base_url.removesuffix("/prefix") + end


@pytest.mark.parametrize("location", [None, "", "ftp://store/x", "javascript:1", "https://"])
def test_a_redirect_to_nowhere_is_an_error_of_the_server(location: str | None) -> None:
    """A missing, empty or foreign Location is said to be one."""
    headers = {} if location is None else {"Location": location}
    with pytest.raises(DecodeError, match=r"(has no|without a) valid URL"):
        archive((302, b"", headers))


@pytest.mark.parametrize("status", [503, 409])
def test_an_archive_that_is_being_built_is_waited_for(status: int) -> None:
    """503 and 409 mean not yet; the wait follows Retry-After."""
    clock = FakeClock()
    building = (status, {"detail": "in progress"}, {"Retry-After": "30"})
    url = {"url": "https://store/x", "expires": NOW}
    found, script = archive(building, building, building, url, clock=clock)
    assert found.url == "https://store/x"
    assert len(script.received) == 4
    assert sum(clock.slept) == 90


@pytest.mark.parametrize(("status", "error"), [(503, ServerError), (409, ConflictError)])
def test_the_wait_for_an_archive_ends(status: int, error: type[Exception]) -> None:
    """After as long as was asked for, the server's last word is raised."""
    clock = FakeClock()
    with pytest.raises(error, match="building"):
        archive((status, {"detail": "building"}), clock=clock, patience=300)
    assert 100 < sum(clock.slept) <= 300
