"""A plain server on loopback that answers as other people's servers of the Tinker API were seen to.

It trains nothing: the loss of a model is 10 less the steps that it has taken.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

from attrs import define, field
from support.archives import checkpoint

Flavour = Literal["skyrl", "tuft"]

NOT_FOUND = (404, {"detail": "Not Found"})
NOW = "2026-11-29T20:00:00Z"
AT_ONCE = {
    "healthz": {"status": "ok"},
    "get_server_capabilities": {"supported_models": [{"model_name": "m"}]},
}
# The fields that a server of the summer of 2026 knows; TuFT forbids all others.
KNOWN = {
    "asample": {
        "prompt", "sampling_params", "num_samples", "sampling_session_id", "seq_id", "base_model",
        "model_path", "prompt_logprobs", "topk_prompt_logprobs", "type",
    },
    "save_weights": {"model_id", "path", "seq_id", "ttl_seconds", "type"},
    "save_weights_for_sampler": {
        "model_id", "path", "seq_id", "ttl_seconds", "sampling_session_seq_id", "type",
    },
}  # fmt: skip


@define(eq=False)
class ForeignServer:
    """What the server knows, and how it answers.

    Attributes:
        flavour: "skyrl" for SkyRL 0.3.0, "tuft" for TuFT 0.2.2.
        shows_loss: Whether a pass has anything in its result that tells the loss.
        steps: The steps that each model has taken; a model of another process is not there.
        taken: The steps of each checkpoint.
        requests: (route, body) of each request, in order.
    """

    flavour: Flavour
    shows_loss: bool = True
    steps: dict[str, int] = field(factory=dict)
    taken: dict[str, int] = field(factory=dict)
    requests: list[tuple[str, Any]] = field(factory=list)
    _results: dict[str, Any] = field(factory=dict)
    _runs: list[str] = field(factory=list)
    _expected: dict[str, int] = field(factory=dict)
    _lock: Any = field(factory=threading.RLock)

    def restart(self) -> None:
        """Lose what is not on disk: the models, but neither their ids nor the checkpoints."""
        self.steps.clear()

    def bodies(self, route: str) -> list[Any]:
        return [body for called, body in self.requests if called == route]

    def answer(self, method: str, path: str, headers: Any, content: bytes) -> Any:
        """Return status, body and perhaps headers."""
        route = path.partition("?")[0].removeprefix("/api/v1/")
        is_binary = "protobuf" in (headers.get("content-type") or "")
        body = json.loads(content) if content and not is_binary else {}
        self.requests.append((route, body))
        if is_binary:
            # Its framework cannot write down what it could not read.
            return 500, "Internal Server Error", {"connection": "close"}
        if self.flavour == "tuft" and (unknown := set(body) - KNOWN.get(route, set(body))):
            faults = [{"type": "extra_forbidden", "loc": ["body", one]} for one in sorted(unknown)]
            return 422, {"detail": faults}
        with self._lock:
            handler = getattr(self, f"_{route.replace('/', '_')}", None)
            if method == "POST" and handler is not None:
                return handler(body)
            if method == "GET" and route in AT_ONCE:
                return 200, AT_ONCE[route]
            if method == "GET" and route.startswith("training_runs/"):
                return self._run(*route.split("/")[1:])
        return NOT_FOUND

    # What is there at once.

    def _client_config(self, body: Any) -> Any:
        return 200, {"pjwt_auth_enabled": False}

    def _create_session(self, body: Any) -> Any:
        return 201, {"session_id": "session_1"}

    def _session_heartbeat(self, body: Any) -> Any:
        return 200, {}

    def _get_info(self, body: Any) -> Any:
        # It knows the ids of models that it has lost.
        return 200, {"model_id": body["model_id"], "model_data": {"model_name": "m"}}

    def _weights_info(self, body: Any) -> Any:
        if "/weights/" not in body["tinker_path"]:
            return 400, {"detail": "Invalid tinker path format."}
        if body["tinker_path"] not in self.taken:
            return 404, {"detail": "Checkpoint not found"}
        return 200, {"base_model": "m", "is_lora": True, "lora_rank": 8}

    def _create_sampling_session(self, body: Any) -> Any:
        return 201, {"sampling_session_id": "sampling_1"}

    def _run(self, run: str, *rest: str) -> Any:
        if not rest:
            return 200, {
                "training_run_id": run, "base_model": "m", "model_owner": "default",
                "is_lora": True, "corrupted": False, "lora_rank": 8, "last_request_time": NOW,
            }  # fmt: skip
        if rest == ("checkpoints",):
            found = [path for path in self.taken if path.startswith(f"tinker://{run}/")]
            return 200, {"checkpoints": [_listed(path) for path in found]}
        names = rest[1:-1]
        if rest[-1] == "x":
            return 200, checkpoint(packed=True)
        if rest[-1] == "archive" and self.flavour == "tuft":
            return 302, "", {"location": f"file:///srv/tuft/{run}/{names[-1]}"}
        if rest[-1] == "archive" and len(names) == 1:
            return (
                302,
                "",
                {"location": f"/api/v1/{'/'.join(('training_runs', run, *rest[:-1]))}/x"},
            )
        return (405, {"detail": "Method Not Allowed"}) if rest[-1] == "archive" else NOT_FOUND

    # What a job makes.

    def _retrieve_future(self, body: Any) -> Any:
        name = body["request_id"]
        if name not in self._results:
            return 404, {"detail": f"Future with request ID {name} not found."}
        return self._results[name]

    def _promise(self, result: Any) -> Any:
        name = str(len(self._results) + 1)
        self._results[name] = result
        return (202 if self.flavour == "tuft" else 200), {"request_id": name}

    def _job(self, body: Any, work: Any) -> Any:
        """Do a model's job in its turn."""
        model, number = body["model_id"], body["seq_id"]
        if model not in self.steps:
            said = f"Model {model} not loaded"
            return self._promise((400 if self.flavour == "skyrl" else 404, {"detail": said}))
        expected = self._expected.setdefault(model, 1)
        if self.flavour == "tuft" and number != expected:
            said = f"Sequence conflict: expected {expected}, got {number}."
            return self._promise((409, {"detail": said}))
        result = work(model)
        if result[0] == 200:
            self._expected[model] = number + 1
        return self._promise(result)

    def _create_model(self, body: Any) -> Any:
        model = f"model_{len(self._runs) + 1}"
        self._runs.append(model)
        self.steps[model] = 0
        return self._promise((200, {"model_id": model}))

    def _forward_backward(self, body: Any) -> Any:
        return self._job(body, lambda model: self._pass(model, body["forward_backward_input"]))

    def _forward(self, body: Any) -> Any:
        return self._job(body, lambda model: self._pass(model, body["forward_input"]))

    def _pass(self, model: str, given: Any) -> Any:
        if given["loss_fn"] == "unheard_of":
            return 422, {"detail": "Future failed: no such loss"}
        outputs = []
        for one in given["data"]:
            length = len(one["loss_fn_inputs"]["target_tokens"]["data"])
            loss = (10.0 - self.steps[model]) / length
            tensors = {"logprobs": -loss}
            if self.flavour == "skyrl":
                tensors["elementwise_loss"] = loss
            outputs.append(
                {
                    name: {"data": [value] * length, "dtype": "float32", "shape": [length]}
                    for name, value in tensors.items()
                    if self.shows_loss
                }
            )
        metrics = {} if self.flavour == "tuft" else {"metrics": {}}
        return 200, {"loss_fn_output_type": "scalar", "loss_fn_outputs": outputs, **metrics}

    def _optim_step(self, body: Any) -> Any:
        def work(model: str) -> Any:
            self.steps[model] += 1
            return 200, {}

        return self._job(body, work)

    def _save_weights(self, body: Any) -> Any:
        return self._job(body, lambda model: self._save(model, f"weights/{body['path']}"))

    def _save_weights_for_sampler(self, body: Any) -> Any:
        kind = "" if self.flavour == "skyrl" else "sampler_weights/"
        return self._job(body, lambda model: self._save(model, f"{kind}{body['path']}"))

    def _save(self, model: str, name: str) -> Any:
        path = f"tinker://{model}/{name}"
        self.taken[path] = self.steps[model]
        return 200, {"path": path}

    def _load_weights(self, body: Any) -> Any:
        if self.flavour == "skyrl" and "/weights/" not in body["path"]:
            return 400, {"detail": "request.path must be in format tinker://model_id/weights/name"}
        # Before the job's turn, as TuFT does it, so that its number is free.
        if body["path"] not in self.taken:
            return self._promise((404, {"detail": f"Checkpoint {body['path']} not found."}))

        def work(model: str) -> Any:
            self.steps[model] = self.taken[body["path"]]
            return 200, {"path": body["path"]}

        return self._job(body, work)

    def _asample(self, body: Any) -> Any:
        stop = body["sampling_params"].get("stop")
        if stop is not None and not isinstance(stop, list):
            fault = {"type": "list_type", "loc": ["body", "sampling_params", "stop"], "msg": "list"}
            return 422, {"detail": [fault]}
        tokens = body["prompt"]["chunks"][0]["tokens"]
        sequence = {"tokens": [1], "logprobs": [-1.0], "stop_reason": "length"}
        prompt = [-0.5] * (len(tokens) - 1) if body.get("prompt_logprobs") else None
        return self._promise((200, {"sequences": [sequence], "prompt_logprobs": prompt}))


def _listed(path: str) -> Any:
    run, *rest = path.removeprefix("tinker://").split("/")
    kind = rest[0] if len(rest) == 2 else "sampler_weights"
    return {
        "checkpoint_id": rest[-1],
        "checkpoint_type": "training" if kind == "weights" else "sampler",
        "time": NOW,
        "tinker_path": f"tinker://{run}/{kind}/{rest[-1]}",
    }


@contextlib.contextmanager
def foreign_server(flavour: Flavour) -> Iterator[tuple[ForeignServer, str]]:
    """Run a server for a block; yield it and its URL."""
    foreign = ForeignServer(flavour)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            """Say nothing."""

        def _do(self) -> None:
            content = self.rfile.read(int(self.headers.get("content-length") or 0))
            status, body, *more = foreign.answer(self.command, self.path, self.headers, content)
            body = body.encode() if isinstance(body, str) else body
            is_json = not isinstance(body, bytes)
            sent = json.dumps(body).encode() if is_json else body
            self.send_response(status)
            self.send_header("content-type", "application/json" if is_json else "text/plain")
            self.send_header("content-length", str(len(sent)))
            for name, value in (more[0] if more else {}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(sent)

        do_GET = do_POST = do_PUT = do_DELETE = _do

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield foreign, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
