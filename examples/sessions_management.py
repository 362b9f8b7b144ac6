"""List your sessions, and what belongs to the newest of them.

    python examples/sessions_management.py

Settings: TINKER_API_KEY, TINKER_BASE_URL, TINKER_BASE_MODEL. On the embedded server, a session with a
training run and a sampler is made first if there is none.
"""

from __future__ import annotations

import sys

from connection import base_model, connect

from tinkex import RestClient, ServiceClient, TinkexError
from tinkex.types import ListSessionsResponse

LIMIT = 10


def newest(rest: RestClient) -> ListSessionsResponse:
    """Return the newest sessions that you may see."""
    return rest.list_sessions(limit=LIMIT, access_scope="accessible")


def make_one(service: ServiceClient) -> None:
    """Begin this program's own session, with one model and one sampler in it."""
    print("No session yet: beginning one.")
    model = base_model(service)
    service.create_lora_training_client(model, rank=8)
    service.create_sampling_client(base_model=model)


def show(title: str, names: list[str]) -> None:
    """Print how many there are, and each of them."""
    print(f"{title}: {len(names)}")
    for name in names:
        print(f"  • {name}")


def main() -> None:
    """List sessions and look into the newest."""
    with connect() as service:
        rest = service.create_rest_client()
        found = newest(rest)
        if not found.sessions and service.config.is_loopback:
            make_one(service)
            found = newest(rest)
        show("Sessions", found.sessions)
        if not found.sessions:
            print("A session begins with the first training or sampling client.")
            return
        session_id = found.sessions[0]
        details = rest.get_session(session_id, access_scope="accessible")
        print(f"Session {session_id}")
        show("Training runs", details.training_run_ids)
        show("Samplers", details.sampler_ids)


if __name__ == "__main__":
    try:
        main()
    except TinkexError as error:
        sys.exit(f"error: {error}")
