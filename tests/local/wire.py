"""A plain client of the wire for the tests: JSON in, JSON out, nothing hidden."""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from support import programs
from support.greeting import greeting_of, url_in

from tinkex.local import LocalServer

NANO = "tinkex/nano"


class Clock:
    """A clock that stands still until it is told to move."""

    def __init__(self, start: float = 1_800_000_000.0) -> None:
        self.now = start

    def __call__(self) -> float:
        return self.now


class Wire:
    """One HTTP client, with the few steps that every test takes."""

    def __init__(self, base_url: str, **headers: str) -> None:
        # What the server process printed, where there is one.
        self.greeting = ""
        self.http = httpx.Client(
            base_url=f"{base_url}/api/v1/",
            headers={"x-api-key": "tml-test", **headers},
            timeout=60,
            # To load certificates takes longer than to start a server.
            verify=False,
        )

    def send(self, name: str, method: str = "POST", **body: Any) -> httpx.Response:
        return self.http.request(method, name, json=body)

    def post(self, name: str, **body: Any) -> Any:
        """Send a request that must be accepted and return its answer."""
        response = self.send(name, **body)
        assert response.is_success, (name, response.status_code, response.text[:500])
        return response.json() if response.content else None

    def get(self, path: str, **params: Any) -> Any:
        response = self.http.get(path, params=params)
        assert response.is_success, (path, response.status_code, response.text[:500])
        return response.json()

    def poll(self, promise: dict[str, Any], **body: Any) -> httpx.Response:
        return self.send("retrieve_future", request_id=promise["request_id"], **body)

    def outcome(self, promise: dict[str, Any]) -> Any:
        """Wait for what becomes of a promise, good or bad."""
        while (response := self.poll(promise)).status_code == 408:
            continue
        assert response.status_code == 200, response.text
        return response.json()

    def result(self, promise: dict[str, Any]) -> Any:
        """Wait for a promise that must end well."""
        outcome = self.outcome(promise)
        assert "error" not in outcome, outcome
        return outcome

    def session(self, **more: Any) -> str:
        body: dict[str, Any] = {"tags": [], "user_metadata": {}, "sdk_version": "0.15.0", **more}
        return str(self.post("create_session", **body)["session_id"])

    def model(self, session_id: str | None = None, model_seq_id: int = 0, **more: Any) -> Model:
        """Create a model and wait until it is there."""
        body: dict[str, Any] = {
            "session_id": session_id or self.session(),
            "model_seq_id": model_seq_id,
            "base_model": NANO,
            "lora_config": {"rank": 4, "seed": 1},
            **more,
        }
        promise = self.post("create_model", **body)
        return Model(self, self.result(promise)["model_id"], body["session_id"])

    def sampler(self, session_id: str | None = None, number: int = 0, **more: Any) -> str:
        """Start a sampling session on the base model, or on what `more` says."""
        body: dict[str, Any] = {"session_id": session_id or self.session(), **more}
        if "model_path" not in body:
            body.setdefault("base_model", NANO)
        created = self.post("create_sampling_session", sampling_session_seq_id=number, **body)
        return str(created["sampling_session_id"])


class Model:
    """A model in training that numbers its own requests."""

    def __init__(self, wire: Wire, model_id: str, session_id: str, first: int = 1) -> None:
        self.wire = wire
        self.model_id = model_id
        self.session_id = session_id
        self._numbers = itertools.count(first)

    def submit(self, name: str, **body: Any) -> Any:
        seq_id = next(self._numbers)
        return self.wire.post(name, model_id=self.model_id, seq_id=seq_id, **body)

    def call(self, name: str, **body: Any) -> Any:
        return self.wire.result(self.submit(name, **body))

    def loss(self, data: list[dict[str, Any]] | None = None) -> float:
        """Return the loss of a forward pass."""
        answer = self.call("forward", forward_input=loss_input(data))
        return float(answer["metrics"]["loss:sum"])

    def step(self, data: list[dict[str, Any]] | None = None, learning_rate: float = 1e-2) -> float:
        """Take one training step and return the loss before it."""
        first = self.submit("forward_backward", forward_backward_input=loss_input(data))
        second = self.submit("optim_step", adam_params={"learning_rate": learning_rate})
        answer = self.wire.result(first)
        self.wire.result(second)
        return float(answer["metrics"]["loss:sum"])


def datum(tokens: list[int], targets: list[int] | None = None) -> dict[str, Any]:
    """Return a cross-entropy datum; without targets every token is followed by the next number."""
    targets = targets if targets is not None else [token + 1 for token in tokens]
    return {
        "model_input": {"chunks": [{"type": "encoded_text", "tokens": tokens}]},
        "loss_fn_inputs": {
            "target_tokens": {"data": targets, "dtype": "int64", "shape": [len(targets)]},
            "weights": {"data": [1.0] * len(targets), "dtype": "float32", "shape": [len(targets)]},
        },
    }


def loss_input(data: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    return {"data": data or [datum([5, 6, 7, 8]), datum([40, 41])], "loss_fn": "cross_entropy"}


def prompt(*tokens: int) -> dict[str, Any]:
    return {"chunks": [{"type": "encoded_text", "tokens": list(tokens)}]}


@contextmanager
def served(**arguments: Any) -> Iterator[tuple[LocalServer, Wire]]:
    """Run a server of one's own for a block."""
    with LocalServer(**arguments) as server:
        wire = Wire(server.base_url)
        try:
            yield server, wire
        finally:
            wire.http.close()


@contextmanager
def serve_process(
    data_dir: Path, *arguments: str, code: str = "from tinkex.cli import main; main()"
) -> Iterator[tuple[subprocess.Popen[str], Wire]]:
    """Run `tinkex serve` in a process of its own for a block; kill it at the end if it lives."""
    command = ["-c", code, "serve", "--port", "0", "--data-dir", str(data_dir), *arguments]
    process = programs.start(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wire = None
    try:
        greeting = greeting_of(process)
        wire = Wire(url_in(greeting))
        wire.greeting = greeting
        yield process, wire
    finally:
        if wire is not None:
            wire.http.close()
        process.kill()
        process.communicate()
