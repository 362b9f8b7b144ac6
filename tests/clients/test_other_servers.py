"""What SkyRL 0.3.0 and TuFT 0.2.2 were seen to answer, from plain servers on loopback.

`make interop-servers` drives the servers themselves.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tinkex_generated.models as models
from support.clock import FakeClock
from support.command import Shell
from support.foreign_server import ForeignServer, foreign_server
from support.nano import NANO
from tinkex_generated import Client
from tinkex_generated.api.futures import retrieve_future
from tinkex_generated.api.models import create_model
from tinkex_generated.api.sessions import create_session
from tinkex_generated.api.training import forward_backward, optim_step

from tinkex import AdamParams, Datum, ModelInput, SamplingParams, ServiceClient, recipes
from tinkex.errors import (
    ApiError,
    BadRequestError,
    CheckpointError,
    NotFoundError,
    RequestFailedError,
    UnprocessableError,
)
from tinkex.recovery import resumable
from tinkex.recovery.restore import is_loss

BOTH = pytest.mark.parametrize("flavour", ["skyrl", "tuft"])
PROMPT = ModelInput.from_ints([1, 2, 3])
EXAMPLES = [{"prompt": f"{n} is", "completion": f" {n}"} for n in range(1, 9)]
SFT: dict[str, Any] = {
    "base_model": "m", "tokenizer": NANO, "steps": 6, "batch_size": 2, "measure_every": 2,
    "checkpoint_every": 3,
}  # fmt: skip
RUN: dict[str, Any] = {"base_model": "m", "rank": 8, "checkpoint_every": 2}


@pytest.fixture
def served(flavour: Any) -> Iterator[tuple[ForeignServer, str]]:
    with foreign_server(flavour) as found:
        yield found


@pytest.fixture
def foreign(served: tuple[ForeignServer, str]) -> ForeignServer:
    return served[0]


@pytest.fixture
def service(served: tuple[ForeignServer, str]) -> Iterator[ServiceClient]:
    with ServiceClient(base_url=served[1], api_key="tml-x") as service:
        yield service


def data() -> list[Datum]:
    return [Datum(PROMPT, {"target_tokens": [2, 3, 4], "weights": [1.0, 1.0, 1.0]})]


def step(training: Any) -> float:
    output, update = training.train_step(data(), "cross_entropy", AdamParams())
    update.result()
    return float(output.result().loss)


@BOTH
def test_a_model_is_trained_saved_and_restored(
    service: ServiceClient, foreign: ForeignServer
) -> None:
    """The bytes of the binary form crash the server once; the loss is put together here."""
    training = service.create_lora_training_client("m", rank=8)
    assert [step(training), step(training)] == pytest.approx([10.0, 9.0])
    path = training.save_state("a", user_metadata={"team": "x"}).result().path
    assert path is not None
    again = service.create_training_client_from_state_with_optimizer(path)
    assert step(again) == pytest.approx(8.0)
    sent = [body for body in foreign.bodies("forward_backward") if not body]
    assert len(sent) == 1
    assert foreign.bodies("forward") == []


@BOTH
def test_the_generated_client_reads_what_they_answer(served: tuple[ForeignServer, str]) -> None:
    """201 and 202 are successes, and a pass may leave out its metrics; all of it is in the contract."""
    with Client(base_url=served[1], token="tml-x") as client:

        def result_of(promise: Any) -> Any:
            assert isinstance(promise, models.UntypedAPIFuture)
            poll = models.FutureRetrieveRequest(request_id=promise.request_id)
            return retrieve_future.sync(client=client, body=poll)

        session = create_session.sync(
            client=client,
            body=models.CreateSessionRequest(tags=[], user_metadata=None, sdk_version="1"),
        )
        lora = models.LoraConfig(rank=8)
        model = models.CreateModelRequest(
            session_id=session.session_id, model_seq_id=0, base_model="m", lora_config=lora
        )
        made = result_of(create_model.sync(client=client, body=model))
        inputs = {
            "target_tokens": models.TensorData(data=[2], dtype="int64", shape=[1]),
            "weights": models.TensorData(data=[1.0], dtype="float32", shape=[1]),
        }
        prompt = models.ModelInput(chunks=[models.EncodedTextChunk(tokens=[1])])
        batch = models.ForwardBackwardInput(
            data=[models.Datum(model_input=prompt, loss_fn_inputs=inputs)], loss_fn="cross_entropy"
        )
        asked = models.ForwardBackwardRequest(
            model_id=made.model_id, seq_id=1, forward_backward_input=batch
        )
        output = result_of(forward_backward.sync(client=client, body=asked))
        assert isinstance(output, models.ForwardBackwardOutput)
        assert not output.metrics
        step = models.OptimStepRequest(
            model_id=made.model_id, seq_id=2, adam_params=models.AdamParams()
        )
        optim_step.sync(client=client, body=step)


@BOTH
def test_a_method_of_training_runs_to_its_end(
    service: ServiceClient, foreign: ForeignServer, tmp_path: Path
) -> None:
    """Fine-tuning with a validation loss, saves and metadata, in JSON and without a loss in the metrics."""
    outcome = recipes.sft(EXAMPLES, service=service, folder=tmp_path / "run", held_out=0.25, **SFT)
    assert outcome.steps == 6
    assert None not in (outcome.first_loss, outcome.last_loss, outcome.held_out_loss)
    assert outcome.last_loss < outcome.first_loss
    assert outcome.held_out_loss < outcome.held_out_loss_before
    assert outcome.sampler_path in foreign.taken
    batches = foreign.bodies("forward_backward")
    assert [bool(body) for body in batches] == [False] + [True] * (len(batches) - 1)
    again = recipes.sft(EXAMPLES, service=service, folder=tmp_path / "run", held_out=0.25, **SFT)
    assert again.sampler_path == outcome.sampler_path


@BOTH
@pytest.mark.parametrize("shows_loss", [True, False])
def test_the_command_trains_whether_or_not_the_server_tells_the_loss(
    served: tuple[ForeignServer, str],
    shows_loss: bool,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """An unknown loss is shown as unknown, and never taken for one that has diverged."""
    foreign, url = served
    foreign.shows_loss = shows_loss
    shell = Shell(url, monkeypatch, tmp_path)
    file = tmp_path / "train.jsonl"
    file.write_text("\n".join(map(json.dumps, EXAMPLES)))
    done = shell(
        "train", str(file), "--base-model", "m", "--tokenizer", NANO, "--steps", "3",
        "--batch-size", "2", "--held-out", "0.25", "-o", str(tmp_path / "run"), "--json",
        "--api-key", "tml-x",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert done.json["steps"] == 3
    assert done.json["sampler_path"] in foreign.taken
    assert "nan" not in done.err.lower()
    if shows_loss:
        assert done.json["last_loss"] < done.json["first_loss"]
    else:
        assert done.json["last_loss"] is None


@BOTH
def test_a_job_that_fails_leaves_a_model_that_continues(service: ServiceClient) -> None:
    """Whether its number is used up or free, the calls after it are applied."""
    training = service.create_lora_training_client("m", rank=8)
    step(training)
    with pytest.raises((RequestFailedError, ApiError), match="not found"):
        training.load_state("tinker://model_1/weights/nothing").result()
    assert [step(training), step(training)] == pytest.approx([9.0, 8.0])


@BOTH
def test_a_loss_that_only_the_server_knows_is_its_to_judge(
    service: ServiceClient, foreign: ForeignServer
) -> None:
    """Any name goes out, with whatever inputs, and the server's refusal is the job's failure."""
    training = service.create_lora_training_client("m", rank=8)
    batch = [Datum(PROMPT, {"target_tokens": [2, 3, 4], "values": [0.0] * 3, "returns": [1.0] * 3})]
    training.forward_backward(batch, "ppo_critic", {"value_clip": 0.2}).result()
    asked = foreign.bodies("forward_backward")[-1]["forward_backward_input"]
    assert (asked["loss_fn"], asked["loss_fn_config"]) == ("ppo_critic", {"value_clip": 0.2})
    assert set(asked["data"][0]["loss_fn_inputs"]) == {"target_tokens", "values", "returns"}
    with pytest.raises(RequestFailedError, match="no such loss"):
        training.forward_backward(data(), "unheard_of").result()
    assert step(training) == pytest.approx(10.0)


@BOTH
def test_samples_are_drawn_and_scored(service: ServiceClient) -> None:
    """No field that the server does not know, a list of stops, and a place for the first token."""
    sampler = service.create_sampling_client(base_model="m")
    params = SamplingParams(max_tokens=1, stop="x")
    found = sampler.sample(PROMPT, 1, params, include_prompt_logprobs=True).result()
    assert found.sequences[0].tokens == [1]
    assert found.prompt_logprobs == [None, -0.5, -0.5]
    assert sampler.compute_logprobs(PROMPT).result() == [None, -0.5, -0.5]
    with pytest.raises(NotFoundError, match="does not offer the route; sample returns the same"):
        list(sampler.sample_stream(PROMPT, params))


@BOTH
def test_a_field_that_the_user_depends_on_is_not_dropped(
    service: ServiceClient, flavour: str
) -> None:
    """What only an older server refuses is refused to the user, too."""
    sampler = service.create_sampling_client(base_model="m")
    asked = sampler.sample(PROMPT, 1, SamplingParams(max_tokens=1), topk_sample_logprobs=2)
    if flavour == "tuft":
        with pytest.raises(UnprocessableError, match="topk_sample_logprobs"):
            asked.result()
    else:
        assert asked.result().sequences


@pytest.mark.parametrize("flavour", ["skyrl"])
@pytest.mark.parametrize("name", ["s1", "weights", "sampler_weights"])
def test_paths_of_two_parts_work_where_others_do(
    service: ServiceClient, foreign: ForeignServer, name: str, tmp_path: Path
) -> None:
    """Info, archive by the bare name, sampling and deletion, also of a name that reads like a kind."""
    training = service.create_lora_training_client("m", rank=8)
    path = training.save_weights_for_sampler(name).result().path
    assert path == f"tinker://model_1/{name}"
    rest = service.create_rest_client()
    info = rest.get_weights_info_by_tinker_path(path)
    assert (info.base_model, info.lora_rank) == ("m", 8)
    url = rest.get_checkpoint_archive_url(path).url
    assert url.endswith(f"/api/v1/training_runs/model_1/checkpoints/{name}/x")
    assert rest.get_checkpoint_archive_url(f"tinker://model_1/sampler_weights/{name}").url == url
    got = rest.download_checkpoint(path, tmp_path)
    assert got.folder == tmp_path / f"model_1_{name}"
    assert "adapter_model.safetensors" in [file.name for file in got.files]
    assert service.create_sampling_client(path).model_path == path
    with pytest.raises(NotFoundError, match="does not offer the route"):
        rest.delete_checkpoint(path)
    assert foreign.requests[-1][0] == f"training_runs/model_1/checkpoints/sampler_weights/{name}"
    with pytest.raises(BadRequestError, match="must be in format"):
        service.create_training_client_from_state(path)


@pytest.mark.parametrize("flavour", ["skyrl"])
def test_the_name_of_a_training_checkpoint_is_not_taken_for_another_ones(
    service: ServiceClient,
) -> None:
    """By the name alone the server would give the weights for sampling of the same name."""
    rest = service.create_rest_client()
    with pytest.raises(NotFoundError):
        rest.get_checkpoint_archive_url("tinker://model_1/weights/s1")


@pytest.mark.parametrize("flavour", ["tuft"])
def test_where_files_stay_with_the_server_the_error_says_where(
    service: ServiceClient, tmp_path: Path
) -> None:
    """A redirect to file:// is no download."""
    rest = service.create_rest_client()
    with pytest.raises(CheckpointError, match="in /srv/tuft/r/ck1"):
        rest.download_checkpoint("tinker://r/weights/ck1", tmp_path)


@BOTH
def test_a_run_continues_after_the_server_lost_its_model(
    service: ServiceClient, foreign: ForeignServer, tmp_path: Path
) -> None:
    """The id is still known, and requests are accepted; a pass tells that the model is gone."""
    losses: dict[int, float] = {}
    with resumable(tmp_path / "run", service, clock=FakeClock(), **RUN) as run:
        for number in run.steps(6):
            with number:
                if number == 3 and 3 not in losses:
                    losses[3] = 0.0
                    foreign.restart()
                losses[int(number)] = step(run.training)
                run.record(loss=losses[int(number)])
    assert list(losses.values()) == pytest.approx([10.0, 9.0, 8.0, 7.0, 6.0, 5.0])
    assert len(run.checkpoints) == 2


@BOTH
def test_a_lost_model_is_told_from_a_mistake(
    service: ServiceClient, foreign: ForeignServer
) -> None:
    """Both fail a job with a status and no category; a pass over one token tells which it was."""
    training = service.create_lora_training_client("m", rank=8)
    with pytest.raises(RequestFailedError, match="no such loss") as mistake:
        training.forward_backward(data(), "unheard_of").result()
    assert not is_loss(mistake.value, training)
    foreign.restart()
    with pytest.raises(RequestFailedError, match="not loaded") as loss:
        training.forward_backward(data(), "cross_entropy").result()
    assert is_loss(loss.value, training)


@pytest.mark.parametrize("flavour", ["skyrl"])
def test_a_custom_loss_is_carried_by_advantages(
    service: ServiceClient, foreign: ForeignServer
) -> None:
    """Where the server does not sum losses, weights of either sign would be divided by their sum."""

    def squares(_: Any, logprobs: Any) -> Any:
        return sum(float((one**2).sum()) for one in logprobs), {}, [2 * one for one in logprobs]

    training = service.create_lora_training_client("m", rank=8)
    output = training.forward_backward_custom(data(), squares).result()
    given = foreign.bodies("forward_backward")[-1]["forward_backward_input"]
    inputs = given["data"][0]["loss_fn_inputs"]
    logprobs = np.array(inputs["logprobs"]["data"])
    assert given["loss_fn"] == "importance_sampling"
    assert inputs["advantages"]["data"] == pytest.approx(list(-2 * logprobs))
    assert set(inputs) == {"target_tokens", "logprobs", "advantages"}
    assert output.loss == pytest.approx(float((logprobs**2).sum()))


@BOTH
def test_the_doctor_leaves_out_a_key_that_cannot_be_tried(
    served: tuple[ForeignServer, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The layers below it are tried all the same."""
    shell = Shell(served[1], monkeypatch, tmp_path)
    done = shell("doctor", "--api-key", "tml-x", "--json")
    verdicts = {one["layer"]: one["verdict"] for one in done.json["layers"]}
    assert verdicts["key"] == "skipped"
    assert {verdicts[name] for name in ("server", "capabilities", "session", "sample")} == {"ok"}


@pytest.mark.parametrize("flavour", ["skyrl"])
@pytest.mark.parametrize("name", ["s1", "weights"])
def test_the_command_line_names_the_other_way(
    served: tuple[ForeignServer, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    """Where there is no list of all checkpoints, one of a run can be asked for."""
    shell = Shell(served[1], monkeypatch, tmp_path)
    shell.set("TINKER_API_KEY", "tml-x")
    with ServiceClient(base_url=served[1], api_key="tml-x") as service:
        path = service.create_lora_training_client("m").save_weights_for_sampler(name).result().path
    done = shell("checkpoint", "list")
    assert "--run-id lists those of one run" in " ".join(done.err.split())
    listed = shell("checkpoint", "list", "--run-id", "model_1", "--json")
    assert listed.json["shown"] == 1
    info = shell("checkpoint", "info", str(path), "--json")
    assert info.json["lora_rank"] == 8
    got = shell("checkpoint", "download", str(path), "-o", str(tmp_path / "got"), "--json")
    assert got.json["files"]
    gone = shell("checkpoint", "delete", str(path), "--yes")
    assert "does not offer the route" in " ".join(gone.err.split())
