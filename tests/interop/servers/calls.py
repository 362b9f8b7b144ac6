"""Every call of tinkex that makes sense against a server, one after the other, each with its outcome.

A call works, or the server lacks it and tinkex says so, or it fails. Numbers are checked where the
server computes them: SkyRL trains a real, tiny model; TuFT's backend for tests is a toy.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from attrs import define, evolve, field, frozen
from servers import Server

import tinkex
from tinkex import AdamParams, Datum, ModelInput, SamplingParams
from tinkex._core.failures import is_missing_route
from tinkex.errors import (
    ApiError,
    CheckpointError,
    DecodeError,
    NotFoundError,
    RequestFailedError,
    TinkexError,
)
from tinkex.recovery import resumable

RANK = 8
ADAM = AdamParams(learning_rate=1e-2)
CLOSE = 1e-3
COMMAND = [sys.executable, "-c", "from tinkex.cli import main; main()"]
COMMAND_PATIENCE = 300
WAIT = 300.0
PROMPT = ModelInput.from_ints([300, 301, 302, 303, 304, 305, 306, 307])
OWN_DISK = "this server keeps checkpoints on its own disk, and tinkex says where"
# Reasons that are the server's own, by what is called; all else that fails is tinkex's fault.
SERVERS_FAULTS = {
    (
        "TuFT 0.2.2",
        "publish_checkpoint, unpublish_checkpoint",
    ): "TuFT takes the path of unpublishing for one of deleting",
    (
        "TuFT 0.2.2",
        "sample: prompt log probabilities",
    ): "TuFT's backend for tests gives no prompt log probabilities",
    (
        "TuFT 0.2.2",
        "compute_logprobs agrees with forward",
    ): "TuFT's backend for tests gives no prompt log probabilities",
}


@frozen
class Row:
    """One line of the table for one server.

    Attributes:
        area: What the call is about.
        call: The call.
        outcome: "works", "lacks it" or "fails".
        reason: Why, if it does not work.
        is_servers_fault: Whether a failure is known to be the server's.
    """

    area: str
    call: str
    outcome: str
    reason: str = ""
    is_servers_fault: bool = False


class Lacking(Exception):
    """A server does not have what is called, and tinkex said so."""


@define
class World:
    """The server, and what the calls before have made."""

    server: Server
    service: tinkex.ServiceClient
    scratch: Path
    made: dict[str, Any] = field(factory=dict)
    rows: list[Row] = field(factory=list)

    @property
    def is_toy(self) -> bool:
        return self.server.name.startswith("TuFT")

    @property
    def rest(self) -> tinkex.RestClient:
        return self.service.create_rest_client()

    def training(self) -> tinkex.TrainingClient:
        return self.service.create_lora_training_client(self.server.model, rank=RANK, seed=1)

    def command(self, *arguments: str, text: str | None = None) -> str:
        """Run `tinkex` and return what it wrote."""
        options = ["--base-url", self.server.url, "--api-key", self.server.key, "--no-progress"]
        done = subprocess.run(
            [*COMMAND, *arguments, *options],
            capture_output=True,
            text=True,
            input=text,
            timeout=COMMAND_PATIENCE,
            check=False,
        )
        if done.returncode:
            said = " ".join(done.stderr.split()[-60:])
            for line in done.stderr.splitlines():
                if "does not offer the route" in line:
                    raise Lacking(_short(line))
            if "offers no download" in said:
                raise Lacking(OWN_DISK)
            raise AssertionError(f"exit code {done.returncode}: {said}")
        return done.stdout

    def json(self, *arguments: str, text: str | None = None) -> Any:
        return json.loads(self.command(*arguments, "--json", text=text))


Call = Callable[[World], object]
CALLS: list[tuple[str, str, Call]] = []


def call(area: str, name: str) -> Callable[[Call], Call]:
    """Add a function to the table."""

    def add(function: Call) -> Call:
        CALLS.append((area, name, function))
        return function

    return add


def drive(server: Server) -> list[Row]:
    """Make every call against a running server."""
    with (
        tempfile.TemporaryDirectory(prefix="tinkex-interop-") as folder,
        tinkex.ServiceClient(base_url=server.url, api_key=server.key) as service,
    ):
        world = World(server, service, Path(folder))
        for area, name, function in CALLS:
            began = time.monotonic()
            row = _outcome(world, area, name, function)
            seconds = time.monotonic() - began
            print(f"{seconds:7.1f} s  {row.outcome:8}  {area}: {name}  {row.reason}", flush=True)
            world.rows.append(row)
        return world.rows


def _outcome(world: World, area: str, name: str, function: Call) -> Row:
    row = Row(area, name, "works")
    try:
        function(world)
    except Lacking as why:
        return evolve(row, outcome="lacks it", reason=str(why))
    except NotFoundError as error:
        if is_missing_route(error.status_code, error.body):
            return evolve(row, outcome="lacks it", reason=_short(error.message))
        failure: Exception = error
    except CheckpointError as error:
        if error.status_code in range(300, 400):
            return evolve(row, outcome="lacks it", reason=OWN_DISK)
        failure = error
    except (AssertionError, KeyError, OSError, TinkexError, subprocess.SubprocessError) as error:
        failure = error
    else:
        return row
    known = SERVERS_FAULTS.get((world.server.name, name))
    if known is not None:
        return evolve(row, outcome="fails", reason=known, is_servers_fault=True)
    return evolve(row, outcome="fails", reason=f"{type(failure).__name__}: {failure}"[:600])


def _short(text: str) -> str:
    """Return what a message says of a missing route."""
    head, _, hint = text.partition(" — ")
    return hint.partition(" (")[0] or head


def data(**inputs: Any) -> list[Datum]:
    """Return two examples of eight tokens, with inputs that are the same for each token."""
    made = []
    for first in (300, 40):
        tokens = list(range(first, first + 9))
        given = {name: [value] * 8 for name, value in (inputs or {"weights": 1.0}).items()}
        made.append(
            Datum(ModelInput.from_ints(tokens[:-1]), {"target_tokens": tokens[1:], **given})
        )
    return made


def close(a: Any, b: Any) -> None:
    """Hold that numbers agree."""
    a, b = np.asarray(a, float), np.asarray(b, float)
    assert a.shape == b.shape, f"{a.shape} and {b.shape}"
    assert np.abs(a - b).max() < CLOSE, f"they differ: {a.tolist()} and {b.tolist()}"


def logprobs_of(output: Any) -> np.ndarray[Any, Any]:
    return np.stack([one["logprobs"].numpy() for one in output.loss_fn_outputs])


def continues(w: World, training: tinkex.TrainingClient) -> None:
    """Take a step from the saved state: its loss is the one that came after the save."""
    loss = step(training)
    if not w.is_toy:
        close(loss, w.made["after"][0])


def step(training: tinkex.TrainingClient) -> float:
    """Take one step, and return the loss before it."""
    output, update = training.train_step(data(), "cross_entropy", ADAM)
    update.result(WAIT)
    return output.result(WAIT).loss


# Clients


@call("clients", "get_server_capabilities")
def _(w: World) -> None:
    names = [one.model_name for one in w.service.get_server_capabilities().supported_models]
    assert w.server.model in names, names


@call("clients", "health_check")
def _(w: World) -> None:
    assert w.service.health_check().status == "ok"


@call("clients", "create_lora_training_client")
def _(w: World) -> None:
    w.made["training"] = w.training()


@call("clients", "get_info")
def _(w: World) -> None:
    assert w.made["training"].get_info().model_data.model_name == w.server.model


@call("clients", "get_tokenizer")
def _(w: World) -> None:
    assert w.made["training"].get_tokenizer().encode("Hello")


# Training


@call("training", "forward")
def _(w: World) -> None:
    w.made["forward"] = w.made["training"].forward(data(), "cross_entropy").result(WAIT)
    assert np.isfinite(w.made["forward"].loss)


@call("training", "forward_backward: cross_entropy")
def _(w: World) -> None:
    output = w.made["training"].forward_backward(data(), "cross_entropy").result(WAIT)
    assert np.isfinite(output.loss)
    close(logprobs_of(output), logprobs_of(w.made["forward"]))
    close(output.loss, w.made["forward"].loss)
    if not w.is_toy:
        close(output.loss / 16, -logprobs_of(output).mean())


@call("training", "optim_step")
def _(w: World) -> None:
    w.made["training"].optim_step(ADAM).result(WAIT)


@call("training", "train_step: the loss falls")
def _(w: World) -> None:
    losses = [step(w.made["training"]) for _ in range(4)]
    assert losses == sorted(losses, reverse=True), losses


@call("training", "pipelining: ten calls on their way at once")
def _(w: World) -> None:
    futures = []
    for _ in range(5):
        futures += w.made["training"].train_step(data(), "cross_entropy", ADAM)
    losses = [one.result(WAIT).loss for one in futures[::2]]
    assert losses == sorted(losses, reverse=True), losses
    for one in futures[1::2]:
        one.result(WAIT)


@call("training", "chunking: a batch in two requests")
def _(w: World) -> None:
    with tinkex.ServiceClient(base_url=w.server.url, api_key=w.server.key, chunk_len=2) as service:
        training = service.create_lora_training_client(w.server.model, rank=RANK, seed=1)
        whole = training.forward_backward([*data(), *data()], "cross_entropy").result(WAIT)
        half = training.forward(data(), "cross_entropy").result(WAIT)
    assert len(whole.loss_fn_outputs) == 4
    close(whole.loss, 2 * half.loss)


def _policy_loss(w: World, loss: str, **inputs: float) -> None:
    training = w.training()
    before = training.forward(data(), "cross_entropy").result(WAIT)
    batch = [
        evolve(
            one,
            loss_fn_inputs={
                "target_tokens": one.loss_fn_inputs["target_tokens"],
                "logprobs": logprobs,
                "advantages": np.ones(8, np.float32),
                **{name: np.full(8, value, np.float32) for name, value in inputs.items()},
            },
        )
        for one, logprobs in zip(data(), logprobs_of(before), strict=True)
    ]
    try:
        output = training.forward_backward(batch, loss).result(WAIT)
    except (ApiError, RequestFailedError) as error:
        if f"'{loss}'" in error.message or "loss_fn: Input should be" in error.message:
            raise Lacking("the server refuses the loss by its name") from error
        raise
    training.optim_step(ADAM).result(WAIT)
    after = training.forward(data(), "cross_entropy").result(WAIT)
    assert np.isfinite(output.loss), output.metrics
    if not w.is_toy:
        assert after.loss < before.loss, (before.loss, after.loss)


@call("training", "forward_backward: importance_sampling")
def _(w: World) -> None:
    _policy_loss(w, "importance_sampling")


@call("training", "forward_backward: ppo")
def _(w: World) -> None:
    _policy_loss(w, "ppo")


@call("training", "forward_backward: cispo")
def _(w: World) -> None:
    _policy_loss(w, "cispo")


@call("training", "forward_backward: dro")
def _(w: World) -> None:
    _policy_loss(w, "dro")


@call("training", "forward_backward: gspo")
def _(w: World) -> None:
    _policy_loss(w, "gspo", sequence_ratio_mask=1.0)


@call("training", "forward_backward: dppo, a loss that tinkex does not know")
def _(w: World) -> None:
    _policy_loss(w, "dppo")


@call("training", "forward: K targets a token")
def _(w: World) -> None:
    batch = [
        Datum(
            ModelInput.from_ints(range(300, 308)),
            {
                "target_tokens": [[one, one + 1] for one in range(301, 309)],
                "weights": [[0.5, 0.5]] * 8,
            },
        )
    ] * 2
    try:
        w.training().forward(batch, "cross_entropy").result(WAIT)
    except DecodeError as error:
        if "only one target for each token" in error.message:
            raise Lacking(
                "the server takes one target for each token, and tinkex says so"
            ) from error
        raise


@call("training", "forward_backward_custom")
def _(w: World) -> None:
    def likelier(_: Any, logprobs: Any) -> Any:
        gradients = [-np.ones_like(one) for one in logprobs]
        return -sum(float(one.sum()) for one in logprobs), {"mine": 1.0}, gradients

    training = w.training()
    losses = []
    for _ in range(3):
        output = training.forward_backward_custom(data(weights=1.0), likelier).result(WAIT)
        training.optim_step(ADAM).result(WAIT)
        losses.append(output.loss)
        assert output.metrics["mine"] == 1.0
    if not w.is_toy:
        assert losses == sorted(losses, reverse=True), losses
        # As the same steps with the loss that the server knows.
        known = w.training()
        step(known)
        close(step(known) / 16, losses[1] / 16)


@call("training", "two models side by side")
def _(w: World) -> None:
    one, two = w.training(), w.training()
    steps = [model.train_step(data(), "cross_entropy", ADAM) for model in (one, two, one, two)]
    losses = [output.result(WAIT).loss for output, _ in steps]
    assert losses[2] < losses[0]
    if not w.is_toy:
        close(losses[0], losses[1])


@call("training", "a failed job, and the calls after it")
def _(w: World) -> None:
    training = w.training()
    step(training)
    try:
        training.load_state(f"tinker://{training.model_id}/weights/nothing").result(WAIT)
    except (ApiError, RequestFailedError):
        pass
    else:
        raise AssertionError("a checkpoint that is not there was loaded")
    assert np.isfinite([step(training), step(training)]).all()


@call("training", "unload_model, and the model after it")
def _(w: World) -> None:
    training = w.training()
    training.unload_model().result(WAIT)
    step(w.made["training"])


# Checkpoints


@call("checkpoints", "save_state")
def _(w: World) -> None:
    training = w.made["kept"] = w.training()
    w.made["before"] = [step(training), step(training)]
    w.made["state"] = training.save_state("state").result(WAIT).path
    w.made["after"] = [step(training), step(training)]
    assert w.made["state"]


@call("checkpoints", "save_state with metadata and expiry")
def _(w: World) -> None:
    labels = {"step": "2"}
    w.made["kept"].save_state("labels", ttl_seconds=86400, user_metadata=labels).result(WAIT)


@call("checkpoints", "create_training_client_from_state_with_optimizer: the curve continues")
def _(w: World) -> None:
    create = w.service.create_training_client_from_state_with_optimizer
    training = create(w.made["state"], rank=RANK)
    losses = [step(training), step(training)]
    if not w.is_toy:
        close(losses, w.made["after"])


@call("checkpoints", "create_training_client_from_state")
def _(w: World) -> None:
    training = w.service.create_training_client_from_state(w.made["state"])
    continues(w, training)


@call("checkpoints", "load_state_with_optimizer into a new model")
def _(w: World) -> None:
    training = w.training()
    training.load_state_with_optimizer(w.made["state"]).result(WAIT)
    continues(w, training)


@call("checkpoints", "save_weights_for_sampler")
def _(w: World) -> None:
    w.made["weights"] = w.made["kept"].save_weights_for_sampler("final").result(WAIT).path
    assert w.made["weights"]


@call("checkpoints", "save_weights_for_sampler: a name that reads like a kind")
def _(w: World) -> None:
    path = w.made["kept"].save_weights_for_sampler("weights").result(WAIT).path
    assert path.endswith("/weights"), path
    assert w.rest.get_weights_info_by_tinker_path(path).lora_rank == RANK
    sampler = w.service.create_sampling_client(path)
    assert sampler.sample(PROMPT, 2, SamplingParams(max_tokens=4, seed=7)).result(WAIT).sequences
    assert w.json("checkpoint", "info", path)["lora_rank"] == RANK


@call("checkpoints", "save_weights_external")
def _(w: World) -> None:
    w.made["kept"].save_weights_external("export").result(WAIT)


@call("checkpoints", "download_checkpoint: weights to sample from")
def _(w: World) -> None:
    got = w.rest.download_checkpoint(w.made["weights"], w.scratch / "downloads")
    assert any(file.name == "adapter_model.safetensors" for file in got.files), got.files


@call("checkpoints", "download_checkpoint: to train on")
def _(w: World) -> None:
    w.rest.download_checkpoint(w.made["state"], w.scratch / "downloads")


# Sampling


@call("sampling", "save_weights_and_get_sampling_client")
def _(w: World) -> None:
    w.made["sampler"] = w.made["kept"].save_weights_and_get_sampling_client()


@call("sampling", "create_sampling_client: saved weights")
def _(w: World) -> None:
    w.made["saved sampler"] = w.service.create_sampling_client(w.made["weights"])


@call("sampling", "create_sampling_client: a base model")
def _(w: World) -> None:
    w.made["base sampler"] = w.service.create_sampling_client(base_model=w.server.model)


@call("sampling", "sample")
def _(w: World) -> None:
    params = SamplingParams(max_tokens=4, seed=7, temperature=0.5)
    for name in ("sampler", "saved sampler", "base sampler"):
        found = w.made[name].sample(PROMPT, 2, params).result(WAIT)
        assert [len(one.tokens) for one in found.sequences] == [4, 4], found


@call("sampling", "sample: stops, as a string, strings and token ids")
def _(w: World) -> None:
    for stop in ("x", ["x", "yz"], [5, 6]):
        params = SamplingParams(max_tokens=4, seed=7, stop=stop)
        assert w.made["sampler"].sample(PROMPT, 1, params).result(WAIT).sequences


@call("sampling", "sample: prompt log probabilities")
def _(w: World) -> None:
    params = SamplingParams(max_tokens=4, seed=7)
    found = w.made["sampler"].sample(PROMPT, 1, params, include_prompt_logprobs=True).result(WAIT)
    assert found.prompt_logprobs is not None
    assert len(found.prompt_logprobs) == 8, found.prompt_logprobs
    assert found.prompt_logprobs[0] is None


@call("sampling", "compute_logprobs agrees with forward")
def _(w: World) -> None:
    text = ModelInput.from_ints(range(300, 309))
    found = w.made["sampler"].compute_logprobs(text).result(WAIT)
    assert len(found) == 9, found
    assert found[0] is None
    if not w.is_toy:
        passed = w.made["kept"].forward(data(), "cross_entropy").result(WAIT)
        close(found[1:], logprobs_of(passed)[0])


@call("sampling", "sample_many: twenty at once")
def _(w: World) -> None:
    params = SamplingParams(max_tokens=4)
    found = dict(w.made["sampler"].sample_many([PROMPT] * 20, 1, params))
    assert len(found) == 20


@call("sampling", "sample_stream")
def _(w: World) -> None:
    assert list(w.made["sampler"].sample_stream(PROMPT, SamplingParams(max_tokens=4)))


@call("sampling", "get_base_model")
def _(w: World) -> None:
    assert w.made["saved sampler"].get_base_model() == w.server.model


# REST


@call("REST", "list_training_runs, get_training_run")
def _(w: World) -> None:
    model_id = w.made["kept"].model_id
    assert model_id in [run.training_run_id for run in w.rest.iter_training_runs()]
    assert w.rest.get_training_run(model_id).base_model == w.server.model


@call("REST", "list_checkpoints")
def _(w: World) -> None:
    found = w.rest.list_checkpoints(w.made["kept"].model_id).checkpoints
    assert w.made["state"] in [one.tinker_path for one in found]


@call("REST", "list_user_checkpoints")
def _(w: World) -> None:
    assert list(w.rest.iter_user_checkpoints())


@call("REST", "get_weights_info_by_tinker_path")
def _(w: World) -> None:
    for path in (w.made["state"], w.made["weights"]):
        info = w.rest.get_weights_info_by_tinker_path(path)
        assert (info.base_model, info.lora_rank) == (w.server.model, RANK)


@call("REST", "get_checkpoint_archive_url")
def _(w: World) -> None:
    assert w.rest.get_checkpoint_archive_url(w.made["weights"]).url


@call("REST", "publish_checkpoint, unpublish_checkpoint")
def _(w: World) -> None:
    w.rest.publish_checkpoint(w.made["weights"])
    w.rest.unpublish_checkpoint(w.made["weights"])


@call("REST", "set_checkpoint_ttl")
def _(w: World) -> None:
    w.rest.set_checkpoint_ttl(w.made["weights"], 86400)


@call("REST", "delete_checkpoint")
def _(w: World) -> None:
    path = w.made["kept"].save_weights_for_sampler("going").result(WAIT).path
    w.rest.delete_checkpoint(path)
    listed = w.rest.list_checkpoints(w.made["kept"].model_id).checkpoints
    assert not any(one.tinker_path.endswith("/going") for one in listed)


@call("REST", "list_sessions, get_session")
def _(w: World) -> None:
    assert w.service.session.id in list(w.rest.iter_sessions())
    assert w.rest.get_session(w.service.session.id).training_run_ids


@call("REST", "get_sampler")
def _(w: World) -> None:
    assert w.rest.get_sampler(w.made["saved sampler"].sampling_session_id).base_model


@call("REST", "whoami")
def _(w: World) -> None:
    w.rest.whoami()


@call("REST", "copy_weights")
def _(w: World) -> None:
    w.rest.copy_weights(w.made["state"], destination_project_id="p")


# The command line


@call("command line", "doctor")
def _(w: World) -> None:
    assert w.json("doctor")["ok"]


@call("command line", "model list")
def _(w: World) -> None:
    assert w.server.model in w.command("model", "list")


@call("command line", "run")
def _(w: World) -> None:
    # The tokens of the other samples, since every shape is compiled for a server of JAX.
    prompt = w.scratch / "prompt.json"
    prompt.write_text(json.dumps(PROMPT.to_ints()))
    arguments = ("--prompt-file", str(prompt), "--max-tokens", "4")
    assert w.json("run", "--model-path", w.made["weights"], *arguments)["sequences"]


@call("command line", "chat")
def _(w: World) -> None:
    assert w.command("chat", "--base-model", w.server.model, "--max-tokens", "4", text="Hi\n")


@call("command line", "train")
def _(w: World) -> None:
    lines = [json.dumps({"prompt": "Question: 2 + 2", "completion": " Answer: 4"})] * 8
    file = w.scratch / "train.jsonl"
    file.write_text("\n".join(lines))
    arguments = ("--base-model", w.server.model, "--rank", str(RANK), "--batch-size", "4")
    folder = str(w.scratch / "run")
    made = w.json("train", str(file), *arguments, "--steps", "6", "-o", folder, "--held-out", "0.5")
    assert made["last_loss"] < made["first_loss"], made
    assert made["held_out_loss"] < made["held_out_loss_before"], made
    again = w.json("train", "--resume", folder)
    assert again["sampler_path"] == made["sampler_path"]


def _prompts(w: World) -> Path:
    file = w.scratch / "prompts.jsonl"
    rows = [{"prompt": "Question: 2 + 2", "completion": " Answer: 4"}] * 2
    file.write_text("\n".join(map(json.dumps, rows)))
    return file


@call("command line", "train --method grpo")
def _(w: World) -> None:
    made = w.json(
        "train", str(_prompts(w)), "--method", "grpo", "--base-model", w.server.model,
        "--rank", str(RANK), "--batch-size", "2", "--group-size", "2", "--steps", "2",
        "--max-tokens", "4", "--reward", "contains", "--held-out", "0",
        "-o", str(w.scratch / "grpo"),
    )  # fmt: skip
    assert made["steps"] == 2, made


@call("command line", "evaluate")
def _(w: World) -> None:
    model = w.made["weights"]
    scored = w.json(
        "evaluate", model, str(_prompts(w)), "--max-tokens", "4", "--tokenizer", w.server.model
    )
    assert scored


@call("command line", "sample")
def _(w: World) -> None:
    output = w.scratch / "responses.jsonl"
    model = w.made["weights"]
    w.command(
        "sample", model, str(_prompts(w)), "--max-tokens", "4", "-o", str(output),
        "--tokenizer", w.server.model,
    )  # fmt: skip
    assert len(output.read_text().splitlines()) == 2


@call("command line", "checkpoint: save")
def _(w: World) -> None:
    output = w.scratch / "saved.json"
    w.command(
        "checkpoint", "--base-model", w.server.model, "--rank", str(RANK), "--name", "cli",
        "-o", str(output),
    )  # fmt: skip
    assert json.loads(output.read_text())["weights_path"]


@call("command line", "checkpoint list --run-id")
def _(w: World) -> None:
    assert w.json("checkpoint", "list", "--run-id", w.made["kept"].model_id)["shown"] >= 2


@call("command line", "checkpoint list")
def _(w: World) -> None:
    assert w.json("checkpoint", "list")["shown"]


@call("command line", "checkpoint info")
def _(w: World) -> None:
    for path in (w.made["state"], w.made["weights"]):
        assert w.json("checkpoint", "info", path)["lora_rank"] == RANK


@call("command line", "checkpoint download")
def _(w: World) -> None:
    arguments = ("-o", str(w.scratch / "by command"))
    assert w.json("checkpoint", "download", w.made["weights"], *arguments)["files"]


@call("command line", "checkpoint delete")
def _(w: World) -> None:
    path = w.made["kept"].save_weights_for_sampler("by-command").result(WAIT).path
    w.command("checkpoint", "delete", path, "--yes")
    listed = w.rest.list_checkpoints(w.made["kept"].model_id).checkpoints
    assert not any(one.tinker_path.endswith("/by-command") for one in listed)


@call("command line", "run list, run info")
def _(w: World) -> None:
    assert w.json("run", "list", "--limit", "0")
    assert w.json("run", "info", w.made["kept"].model_id)


@call("command line", "session list")
def _(w: World) -> None:
    assert w.json("session", "list", "--limit", "0")


# Going on


@call("going on", "resumable across a restart of the server")
def _(w: World) -> None:
    losses: list[float] = []
    with resumable(
        w.scratch / "resumable", w.service, base_model=w.server.model, rank=RANK, seed=1,
        checkpoint_every=2,
    ) as run:  # fmt: skip
        restarted = False
        for number in run.steps(6):
            with number:
                if number == 3 and not restarted:
                    restarted = True
                    w.server.stop()
                    w.server.start()
                loss = step(run.training)
                losses[int(number) :] = [loss]
                run.record(loss=loss)
        last = run.checkpoints[-1].step
    assert restarted
    assert last == 6
    if not w.is_toy:
        assert losses == sorted(losses, reverse=True), losses
        # A run that nothing happened to has the same losses.
        calm = w.training()
        close([step(calm) for _ in range(6)], losses)


@call("going on", "new clients after the restart")
def _(w: World) -> None:
    with tinkex.ServiceClient(base_url=w.server.url, api_key=w.server.key) as service:
        training = service.create_training_client_from_state_with_optimizer(w.made["state"])
        continues(w, training)
