"""API keys and the tokens that stand in for them."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from local.wire import Clock, served

from tinkex.local.keys import TOKEN_LIFETIME_S
from tinkex.local.site import Options

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
        renewed = wire.post("auth/token")["jwt"]
        clock.now += TOKEN_LIFETIME_S
        expired = wire.http.get("training_runs")
        assert expired.status_code == 401
        assert 'error="invalid_token"' in expired.headers["www-authenticate"]
        assert renewed not in expired.text
        wire.http.headers["x-api-key"] = KEY
        assert wire.get("auth/apikey/me")["key_id"] == number


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
