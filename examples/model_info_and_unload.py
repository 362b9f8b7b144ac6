"""Create, describe and unload a model by hand: what the clients do for you, request by request.

    python examples/model_info_and_unload.py

Exit code 1 if the server refuses a step; newer hosted services have no route to unload a model.
Settings: TINKER_API_KEY, TINKER_BASE_URL, TINKER_BASE_MODEL.
"""

from __future__ import annotations

import sys
from typing import Any

from connection import base_model, connect

from tinkex import RestClient, TinkexError
from tinkex._base.clock import SystemClock
from tinkex.errors import ApiError

POLL_INTERVAL = 1.0


def post(rest: RestClient, route: str, body: dict[str, Any]) -> dict[str, Any]:
    """Send a body to a route; the answer is an object."""
    answer: dict[str, Any] = rest.request("POST", f"/api/v1/{route}", body).json()
    return answer


def settle(rest: RestClient, answer: dict[str, Any]) -> dict[str, Any]:
    """Poll until the result of a promise is there; any other answer is the result itself."""
    if "request_id" not in answer:
        print("  answered at once")
        return answer
    number = 0
    while True:
        number += 1
        print(f"  poll #{number}")
        result = poll(rest, str(answer["request_id"]))
        if result is None:
            SystemClock().sleep(POLL_INTERVAL)
        elif "error" in result:
            sys.exit(f"error: the server failed: {result['error']}")
        else:
            return result


def poll(rest: RestClient, request_id: str) -> dict[str, Any] | None:
    """Ask once for a result; None means that it is not there yet."""
    try:
        result = post(rest, "retrieve_future", {"request_id": request_id})
    except ApiError as error:
        if error.status_code == 408:
            return None
        raise
    return None if result.get("type") == "try_again" else result


def unload(rest: RestClient, model_id: str) -> None:
    """Free the model, or say with the server's own words why not."""
    try:
        answer = post(rest, "unload_model", {"model_id": model_id, "type": "unload_model"})
    except ApiError as error:
        sys.exit(f"error: the model was not unloaded: HTTP {error.status_code}: {error}")
    print(f"Unloading {model_id}")
    settle(rest, answer)
    print("Unloaded.")


def create(rest: RestClient, model: str, sdk_version: str | None) -> str:
    """Create a session, and in it a model with a LoRA adapter; return the model's id."""
    session: dict[str, Any] = {"tags": [], "user_metadata": None, "sdk_version": sdk_version}
    session_id = post(rest, "create_session", {**session, "type": "create_session"})["session_id"]
    print(f"Session {session_id}")
    print(f"Creating a model of {model}")
    wanted = {
        "session_id": session_id,
        "model_seq_id": 0,
        "base_model": model,
        "lora_config": {"rank": 32},
        "type": "create_model",
    }
    return str(settle(rest, post(rest, "create_model", wanted))["model_id"])


def describe(rest: RestClient, model_id: str) -> None:
    """Print what the server knows of the model."""
    info = post(rest, "get_info", {"model_id": model_id, "type": "get_info"})
    data = info.get("model_data") or {}
    for name, value in (
        ("model_id", info.get("model_id") or model_id),
        ("model_name", data.get("model_name") or "unknown"),
        ("arch", data.get("arch") or "unknown"),
        ("tokenizer_id", data.get("tokenizer_id") or "none"),
        ("is_lora", info.get("is_lora")),
        ("lora_rank", info.get("lora_rank")),
    ):
        print(f"  {name:13}{value}")


def main() -> None:
    """Create a model, show what the server knows of it, and unload it."""
    with connect() as service:
        rest = service.create_rest_client()
        model_id = create(rest, base_model(service), service.config.sdk_version)
        describe(rest, model_id)
        unload(rest, model_id)


if __name__ == "__main__":
    try:
        main()
    except TinkexError as error:
        sys.exit(f"error: {error}")
