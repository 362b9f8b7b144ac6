"""Check by hand that the server's heartbeat route is where the SDK sends its beats.

    python examples/heartbeat_probe.py

Exit code 1 if the route answers with anything but success, or if its old name is still there.
Settings: TINKER_API_KEY, TINKER_BASE_URL.
"""

from __future__ import annotations

import sys

from connection import connect

from tinkex import RestClient, TinkexError
from tinkex.errors import ApiError, NotFoundError

TAGS = ["tinkex", "heartbeat-probe"]


def create_session(rest: RestClient, sdk_version: str) -> str:
    """Create a session by hand: no thread sends its heartbeats."""
    body = {
        "tags": TAGS,
        "user_metadata": {},
        "sdk_version": sdk_version,
        "type": "create_session",
    }
    return str(rest.request("POST", "/api/v1/create_session", body).json()["session_id"])


def beat(rest: RestClient, route: str, session_id: str) -> str:
    """Send one heartbeat, and say how it was answered."""
    body = {"session_id": session_id, "type": "session_heartbeat"}
    try:
        answer = rest.request("POST", route, body)
    except NotFoundError:
        return "404"
    except ApiError as error:
        return f"{error.status_code}: {error}"
    return str(answer.status_code)


def main() -> int:
    """Send a heartbeat to the route of today, and one to a route that never was."""
    with connect() as service:
        rest = service.create_rest_client()
        session_id = create_session(rest, service.config.sdk_version)
        print(f"Session {session_id}, tags {', '.join(TAGS)}")
        checks = [("/api/v1/session_heartbeat", "200"), ("/api/v1/heartbeat", "404")]
        good = True
        for route, expected in checks:
            got = beat(rest, route, session_id)
            mark = "ok" if got == expected else "NOT as expected"
            print(f"POST {route}: {got}, {mark} (expected {expected})")
            good = good and got == expected
    return 0 if good else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except TinkexError as error:
        sys.exit(f"error: {error}")
