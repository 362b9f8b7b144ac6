"""One request of each class, and answers that take their time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from support.clock import FakeClock
from tinkex_generated.api.checkpoints import publish_checkpoint, set_checkpoint_ttl
from tinkex_generated.api.runs import get_training_run
from tinkex_generated.api.service import get_server_capabilities
from tinkex_generated.api.sessions import create_session, session_heartbeat
from tinkex_generated.api.training import optim_step
from tinkex_generated.models import (
    AdamParams,
    CheckpointTtlRequest,
    CreateSessionRequest,
    OptimStepRequest,
    SessionHeartbeatRequest,
)
from tinkex_generated.types import Request

CAPABILITIES = "GET get_server_capabilities"
STEP = "POST optim_step"


def read() -> Request:
    """Return a request that changes nothing."""
    return get_server_capabilities.build_request()


def run(training_run_id: str) -> Request:
    """Return a request whose path holds an id."""
    return get_training_run.build_request(training_run_id=training_run_id)


def step(seq: int = 1) -> Request:
    """Return a write that the server knows by its number."""
    return optim_step.build_request(
        body=OptimStepRequest(model_id="M", seq_id=seq, adam_params=AdamParams())
    )


def unkeyed() -> Request:
    """Return a write that the server cannot tell from its repetition."""
    return create_session.build_request(
        body=CreateSessionRequest(tags=[], user_metadata={}, sdk_version="1")
    )


def publish() -> Request:
    """Return a write that is refused when it is repeated."""
    return publish_checkpoint.build_request(
        training_run_id="R", checkpoint_kind="weights", checkpoint_name="c"
    )


def repeatable() -> Request:
    """Return a write that may be repeated without harm."""
    return set_checkpoint_ttl.build_request(
        body=CheckpointTtlRequest(ttl_seconds=60),
        training_run_id="R",
        checkpoint_kind="weights",
        checkpoint_name="c",
    )


def background() -> Request:
    """Return a request that is not worth a second attempt."""
    return session_heartbeat.build_request(body=SessionHeartbeatRequest(session_id="S"))


def held(clock: FakeClock, seconds: float, answer: Any) -> Callable[[Any], Any]:
    """Return an answer that comes after some seconds of the fake clock."""

    def later(request: Any) -> Any:
        clock.advance(seconds)
        return answer

    return later


class HeldAnswer:
    """An answer that is held, as servers hold polls, until the test lets it go."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer
        self._began = threading.Event()
        self._free = threading.Event()

    def __call__(self, request: Any) -> Any:
        self._began.set()
        assert self._free.wait(30)
        return self._answer

    def wait(self) -> None:
        """Wait until the request has come."""
        assert self._began.wait(10)

    def let_go(self) -> None:
        self._free.set()
