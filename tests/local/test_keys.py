"""API keys and the tokens that stand in for them."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from local.wire import Clock, served

from tinkex.local import LocalServer
from tinkex.local.app_state import Options
from tinkex.local.keys import TOKEN_LIFETIME_S, _encode

KEY = "tml-secret"


def claims(token: str) -> dict[str, Any]:
    """Return what a token says, read as clients read it: without checking it."""
    middle = token.split(".")[1]
    decoded: dict[str, Any] = json.loads(
        base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4))
    )
    return decoded


def test_a_token_stands_in_for_its_key_until_it_expires() -> None:
    """It has the claims that clients read; expired, it is refused so that clients renew it."""
    clock = Clock()
    with served(api_key=KEY, options=Options(now=clock)) as (_, wire):
        wire.http.headers["x-api-key"] = KEY
        token = wire.post("auth/token")["jwt"]
        said = claims(token)
        assert token.startswith("eyJ")
        assert (said["iat"], said["exp"]) == (clock.now, clock.now + TOKEN_LIFETIME_S)
        assert said["iss"].startswith("passport-")
        assert said["sub"]
        assert said["org_id"]
        wire.http.headers["x-api-key"] = token
        number = wire.get("auth/apikey/me")["key_id"]
        clock.now += TOKEN_LIFETIME_S
        expired = wire.http.get("training_runs")
        assert expired.status_code == 401
        assert 'error="invalid_token"' in expired.headers["www-authenticate"]
        assert token not in expired.text
        wire.http.headers["x-api-key"] = KEY
        assert wire.get("auth/apikey/me")["key_id"] == number


@pytest.mark.holds("S26")
def test_a_token_dies_with_its_key(tmp_path: Path) -> None:
    """Made under another key, under none, or by an earlier build, it is let in nowhere else."""
    tokens = {}
    with served(data_dir=tmp_path) as (_, wire):
        for key in ("", "tml-first", KEY):
            tokens[key] = wire.http.post("auth/token", json={}, headers={"x-api-key": key}).json()
        assert wire.http.get("sessions", headers=bearing(tokens[""])).status_code == 200
    for key in (KEY, "tml-first"):
        with served(data_dir=tmp_path, api_key=key) as (server, wire):
            for made_with, token in tokens.items():
                answer = wire.http.get("sessions", headers=bearing(token))
                assert answer.status_code == (200 if made_with == key else 401), made_with
            ring = server._app_state.keys
            old = {"iss": "passport-tinkex-local", "exp": 10**12, "key_id": 1}
            content = b".".join(map(_encode, (b'{"alg":"HS256"}', json.dumps(old).encode())))
            unbound = f"{content.decode()}.{_encode(ring._sign(content)).decode()}"
            refused = wire.http.get("sessions", headers={"x-api-key": unbound})
            assert refused.status_code == 401


def bearing(answer: dict[str, str]) -> dict[str, str]:
    return {"x-api-key": answer["jwt"]}


@pytest.mark.holds("S26")
@pytest.mark.parametrize("key", [KEY, None])
def test_a_token_is_not_exchanged_for_another(key: str | None) -> None:
    """It would renew itself for as long as somebody who once had it likes."""
    with served(api_key=key) as (_, wire):
        wire.http.headers["x-api-key"] = KEY
        wire.http.headers["x-api-key"] = wire.post("auth/token")["jwt"]
        assert wire.get("sessions")
        refused = wire.send("auth/token")
        assert refused.status_code == 403
        assert "the key itself" in refused.json()["detail"]


def test_a_token_names_its_key_after_the_database_was_restored(tmp_path: Path) -> None:
    """Numbers of keys may be given out twice then; a token is for a key, not for a number."""
    with served(data_dir=tmp_path) as (server, wire):
        token = wire.http.post("auth/token", json={}, headers={"x-api-key": "tml-lost"}).json()
        number = claims(token["jwt"])["key_id"]
        server._app_state.database.execute("DELETE FROM api_keys")
        wire.http.headers["x-api-key"] = "tml-new"
        assert wire.get("auth/apikey/me")["key_id"] == number
        assert wire.http.delete("auth/apikey/me").status_code == 204
        assert wire.http.get("sessions", headers=bearing(token)).status_code == 200


def login(server: LocalServer, **given: str) -> httpx.Response:
    return httpx.post(f"{server.base_url}/login", json=given)


def test_a_page_is_an_empty_frame_without_the_key() -> None:
    """A browser cannot send the key: it gets the frame, a program with the key gets the page."""
    with served(api_key=KEY) as (server, wire):
        wire.http.headers["x-api-key"] = KEY
        run_id = wire.model(wire.session(display_name="secret run")).model_id
        for path in ("/", f"/run/{run_id}", f"/compare?run={run_id}", "/run/none"):
            frame = httpx.get(f"{server.base_url}{path}")
            assert frame.status_code == 401
            assert "data-locked" in frame.text
            assert "secret run" not in frame.text
            assert httpx.get(f"{server.base_url}/live").status_code == 401
        assert "secret run" in httpx.get(server.base_url, headers={"x-api-key": KEY}).text
        assert httpx.get(f"{server.base_url}/static/page.js").status_code == 200


def test_the_console_link_lets_one_browser_in_once(tmp_path: Path) -> None:
    """Its code stands behind the #, is exchanged for a token once, and the token opens pages alone."""
    with served(data_dir=tmp_path, api_key=KEY) as (server, _):
        address, _, code = server.console_url.partition("#")
        assert address == f"{server.base_url}/"
        assert KEY not in code
        assert server.console_url.partition("#")[2] != code
        answer = login(server, code=code)
        assert answer.headers["cache-control"] == "no-store"
        token = answer.json()["token"]
        again = login(server, code=code)
        assert again.status_code == 401
        assert "was used before" in again.json()["detail"]
        let_in = {"x-page-token": token}
        page = httpx.get(server.base_url, headers=let_in)
        assert page.status_code == 200
        assert "data-locked" not in page.text
        for wrong in (token + "0", "9." + token.partition(".")[2], "x", "9", ""):
            assert httpx.get(server.base_url, headers={"x-page-token": wrong}).status_code == 401
        sessions = f"{server.base_url}/api/v1/sessions"
        assert httpx.get(sessions, headers=let_in).status_code == 401
        assert httpx.get(sessions, headers={"x-api-key": token}).status_code == 401
        assert httpx.post(server.base_url, headers=let_in).status_code == 401
    with served(data_dir=tmp_path, api_key="tml-other") as (server, _):
        assert httpx.get(server.base_url, headers=let_in).status_code == 401
    with served() as (server, _):
        assert server.console_url == f"{server.base_url}/"


def test_the_key_itself_opens_the_pages() -> None:
    """Typed into the frame's form; another key, another origin or another form is refused."""
    with served(api_key=KEY) as (server, _):
        token = login(server, key=KEY).json()["token"]
        assert httpx.get(server.base_url, headers={"x-page-token": token}).status_code == 200
        wrong = login(server, key="tml-wrong")
        assert wrong.status_code == 401
        assert wrong.json()["detail"] == "this is not the key of this server"
        assert login(server, word="x").status_code == 400
        url = f"{server.base_url}/login"
        assert httpx.post(url, content=b"[" * 9000).status_code == 413
        assert httpx.post(url, content=b"[").status_code == 400
        foreign = httpx.post(url, json={"key": KEY}, headers={"origin": "https://evil.example"})
        assert foreign.status_code == 403


def test_codes_that_are_not_used_make_room() -> None:
    """Only the newest hundred are good."""
    with served(api_key=KEY) as (server, _):
        first, *_ = [server.console_url.partition("#")[2] for _ in range(101)]
        assert login(server, code=first).status_code == 401


def test_a_forged_token_is_refused() -> None:
    """Other claims under the same signature, and a signature by another server, are no good."""
    with served(api_key=KEY) as (_, wire), served() as (_, stranger):
        wire.http.headers["x-api-key"] = KEY
        header, _, signature = wire.post("auth/token")["jwt"].split(".")
        forged = base64.urlsafe_b64encode(b'{"exp":9999999999,"key_id":1}').decode().rstrip("=")
        foreign = stranger.post("auth/token")["jwt"]
        for token in (f"{header}.{forged}.{signature}", foreign, "eyJ..", "eyJ.e30.", "eyJ.é.é"):
            refused = wire.http.get("training_runs", headers={"x-api-key": token.encode()})
            assert refused.status_code == 401, token


def test_a_deleted_key_is_refused_from_then_on(tmp_path: Path) -> None:
    """With its tokens, and by later servers on the folder; other keys are let in, none is stored."""
    with served(data_dir=tmp_path) as (_, wire):
        token = wire.post("auth/token")["jwt"]
        first = wire.get("auth/apikey/me")
        wire.http.headers["x-api-key"] = token
        assert wire.http.delete("auth/apikey/me").status_code == 403
        wire.http.headers["x-api-key"] = "tml-test"
        assert wire.http.delete("auth/apikey/me").status_code == 204
        assert "deleted" in wire.http.get("training_runs").json()["detail"]
        wire.http.headers["x-api-key"] = token
        assert wire.http.get("training_runs").status_code == 401
        wire.http.headers["x-api-key"] = "tml-other"
        assert wire.get("auth/apikey/me")["key_id"] != first["key_id"]
        (entry,) = wire.get("audit")["entries"]
        assert entry["event"] == "api_key_delete"
    with served(data_dir=tmp_path) as (_, wire):
        assert wire.http.get("training_runs").status_code == 401
    for file in tmp_path.glob("*.sqlite3*"):
        assert b"tml-test" not in file.read_bytes()


def test_the_key_of_the_server_cannot_be_deleted() -> None:
    """It would lock everybody out."""
    with served(api_key=KEY) as (_, wire):
        wire.http.headers["x-api-key"] = KEY
        refused = wire.http.delete("auth/apikey/me")
        assert refused.status_code == 403
        assert "another one" in refused.json()["detail"]
        assert wire.get("training_runs")


def test_having_no_key_is_good_enough_for_an_open_server() -> None:
    """It says so, and gives out a token; only deleting makes no sense."""
    with served() as (_, wire):
        del wire.http.headers["x-api-key"]
        assert wire.get("training_runs")
        assert wire.get("auth/apikey/me")["key_id"] == 0
        assert wire.http.delete("auth/apikey/me").status_code == 401
        wire.http.headers["x-api-key"] = wire.post("auth/token")["jwt"]
        assert wire.get("auth/apikey/me")["name"] == "none"
