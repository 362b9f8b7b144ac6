"""Saving and loading weights."""

from __future__ import annotations

from typing import Any

import pytest
from local.wire import NANO, Model, Wire, datum


def test_save_and_load_restore_weights_and_optimizer(wire: Wire) -> None:
    """After loading with the optimizer, training repeats exactly."""
    model = wire.model()
    model.step()
    path = model.call("save_weights", path="here")["path"]
    assert path == f"tinker://{model.model_id}/weights/here"
    first = [model.step() for _ in range(3)]
    loaded = model.call("load_weights", path=path, optimizer=True)
    assert loaded == {"path": path, "model_id": model.model_id, "type": "load_weights"}
    assert [model.step() for _ in range(3)] == first


def test_loading_without_the_optimizer_starts_it_again(wire: Wire) -> None:
    """The weights are the same, the next step is another one."""
    model = wire.model()
    for rate in (2e-2, 1e-3):
        model.step(learning_rate=rate)
    path = model.call("save_weights", path="here")["path"]
    before = model.loss()
    model.step()
    warm = model.loss()
    model.call("load_weights", path=path, optimizer=False)
    assert model.loss() == before
    model.step()
    assert model.loss() != warm


def test_a_model_can_be_made_from_a_checkpoint(wire: Wire) -> None:
    """load_weights with a session and a number makes a model with the checkpoint's adapter."""
    source = wire.model(lora_config={"rank": 3, "seed": 9, "train_mlp": False})
    source.step()
    path = source.call("save_weights", path="a")["path"]
    session = wire.session()
    body = {"session_id": session, "model_seq_id": 5, "path": path, "optimizer": True}
    promise = wire.post("load_weights", **body)
    assert wire.post("load_weights", **body) == promise
    made = wire.result(promise)
    assert made["model_id"] == f"{session}:train:5"
    copy = Model(wire, made["model_id"], session)
    assert wire.post("get_info", model_id=copy.model_id)["lora_rank"] == 3
    assert [copy.step() for _ in range(3)] == [source.step() for _ in range(3)]


def test_weights_info_describes_a_checkpoint(wire: Wire) -> None:
    """What is needed to recreate the model is there."""
    model = wire.model(lora_config={"rank": 3, "train_mlp": False})
    path = model.call("save_weights", path="a")["path"]
    assert wire.post("weights_info", tinker_path=path) == {
        "base_model": NANO,
        "is_lora": True,
        "lora_rank": 3,
        "train_unembed": True,
        "train_mlp": False,
        "train_attn": True,
        "optimizer_config": {"type": "adamw"},
    }


def test_a_taken_name_is_a_conflict_unless_overwritten(wire: Wire) -> None:
    """Names are used once, also by a save that is still under way; overwrite replaces."""
    model = wire.model()
    first = model.submit("save_weights", path="a")
    body = {"model_id": model.model_id, "seq_id": 2, "path": "a"}
    for _ in range(2):
        refused = wire.send("save_weights", **body)
        # Not 409, which the official client retries for five minutes (F63).
        assert refused.status_code == 400
        assert refused.json()["code"] == "conflict"
        assert f"tinker://{model.model_id}/weights/a already exists" in refused.json()["detail"]
        wire.result(first)
    wire.result(wire.post("save_weights", **body, overwrite=True))
    listed = wire.get(f"training_runs/{model.model_id}/checkpoints")["checkpoints"]
    assert [one["checkpoint_id"] for one in listed] == ["weights/a"]
    wire.result(wire.post("save_weights_for_sampler", model_id=model.model_id, seq_id=3, path="a"))


def test_overwriting_replaces_the_weights(wire: Wire) -> None:
    """The name stands for what was saved last."""
    model = wire.model()
    path = model.call("save_weights", path="a", user_metadata={"n": "1"})["path"]
    model.step()
    after = model.loss()
    model.call("save_weights", path="a", overwrite=True)
    model.step()
    model.call("load_weights", path=path, optimizer=True)
    assert model.loss() == after
    (listed,) = wire.get(f"training_runs/{model.model_id}/checkpoints")["checkpoints"]
    assert "user_metadata" not in listed


@pytest.mark.parametrize("name", ["../up", "a/b", "", ".hidden", "ä", "x" * 256])
def test_bad_names_are_refused(wire: Wire, name: str) -> None:
    """A name cannot leave its folder or hide."""
    model = wire.model()
    for operation in ("save_weights", "save_weights_for_sampler"):
        refused = wire.send(operation, model_id=model.model_id, seq_id=1, path=name)
        assert refused.status_code == 422


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("tinker://x", 400),
        ("tinker://x/other/a", 400),
        ("tinker://x/weights/a/b", 400),
        ("tinker://none:train:0/weights/a", 404),
        ("http://x/weights/a", 422),
    ],
)
def test_bad_paths_are_refused(wire: Wire, path: str, status: int) -> None:
    """Malformed paths are told apart from paths that lead nowhere."""
    assert wire.send("weights_info", tinker_path=path).status_code == status
    session = wire.session()
    sampling = {"session_id": session, "sampling_session_seq_id": 0, "model_path": path}
    assert wire.send("create_sampling_session", **sampling).status_code == status
    load = {"session_id": session, "model_seq_id": 0, "path": path, "optimizer": True}
    assert wire.send("load_weights", **load).status_code == status


def test_sampler_weights_cannot_be_resumed(wire: Wire) -> None:
    """Training resumes from the kind that has the optimizer."""
    model = wire.model()
    path = model.call("save_weights_for_sampler", path="s")["path"]
    refused = wire.send(
        "load_weights", model_id=model.model_id, seq_id=2, path=path, optimizer=False
    )
    assert refused.status_code == 400
    assert "sampling only" in refused.json()["detail"]


@pytest.mark.parametrize("name", ["s", "weights", "sampler_weights"])
def test_a_path_of_two_parts_names_weights_to_sample_from(wire: Wire, name: str) -> None:
    """The second part is the name, also where it reads like a kind."""
    model = wire.model()
    model.call("save_weights_for_sampler", path=name)
    short = f"tinker://{model.model_id}/{name}"
    assert wire.post("weights_info", tinker_path=short)["base_model"]
    load = {"model_id": model.model_id, "seq_id": 2, "path": short, "optimizer": False}
    refused = wire.send("load_weights", **load)
    assert refused.status_code == 400
    assert f"/sampler_weights/{name} holds weights for sampling only" in refused.json()["detail"]
    missing = wire.send("weights_info", tinker_path=f"tinker://{model.model_id}/external_weights")
    assert missing.status_code == 404
    assert "/sampler_weights/external_weights" in missing.json()["detail"]


def test_a_checkpoint_that_does_not_fit_fails_with_the_difference(wire: Wire) -> None:
    """Loading rank 3 into rank 4 is the user's mistake, and the model goes on."""
    path = wire.model(lora_config={"rank": 3}).call("save_weights", path="a")["path"]
    model = wire.model()
    failed = wire.outcome(model.submit("load_weights", path=path, optimizer=True))
    assert failed["category"] == "user"
    assert failed["error"] == f"cannot load {path}: rank is 3 there and 4 here"
    assert model.step() > 0


def test_a_save_can_be_loaded_before_it_is_waited_for(wire: Wire) -> None:
    """Save and load may be submitted back to back."""
    model = wire.model()
    model.submit("save_weights", path="a")
    path = f"tinker://{model.model_id}/weights/a"
    loaded = model.submit("load_weights", path=path, optimizer=True)
    assert wire.result(loaded)["path"] == path


def test_saves_without_a_name_get_one(wire: Wire) -> None:
    """The server names what the client does not."""
    model = wire.model()
    paths = [model.call("save_weights")["path"], model.call("save_weights")["path"]]
    paths.append(model.call("save_weights_for_sampler")["path"])
    assert len(set(paths)) == 3
    assert wire.post("weights_info", tinker_path=paths[2])["base_model"] == NANO


def test_copied_weights_are_a_run_of_their_own(wire: Wire) -> None:
    """A copy survives its source and can be loaded from."""
    source = wire.model()
    path = source.call("save_weights", path="a")["path"]
    session = wire.session()
    body = {"source_path": path, "session_id": session, "model_seq_id": 0}
    copied = wire.post("copy_weights", **body)["tinker_path"]
    assert copied == f"tinker://{session}:train:0/weights/a"
    assert wire.post("copy_weights", **body)["tinker_path"] == copied
    wire.http.delete(f"training_runs/{source.model_id}/checkpoints/weights/a")
    made = wire.result(
        wire.post("load_weights", session_id=session, model_seq_id=1, path=copied, optimizer=True)
    )
    assert made["path"] == copied
    free: dict[str, Any] = {"source_path": copied, "destination_project_id": "p"}
    assert wire.post("copy_weights", **free)["tinker_path"] != copied
    assert wire.send("copy_weights", source_path=copied).status_code == 400


def test_ephemeral_saves_fix_the_weights_of_a_sampling_session(wire: Wire) -> None:
    """Steps after the save do not reach the sampling session; no checkpoint is listed."""
    model = wire.model()
    data = [datum([5, 6, 7])]
    for _ in range(5):
        model.step(data, 2e-2)
    sampler = model.call("save_weights_for_sampler", sampling_session_seq_id=0)
    sampling_session = sampler["sampling_session_id"]

    def logprobs(seq_id: int) -> Any:
        promise = wire.post(
            "asample",
            sampling_session_id=sampling_session,
            seq_id=seq_id,
            prompt={"chunks": [{"tokens": [5, 6, 7]}]},
            sampling_params={"max_tokens": 1, "seed": 0},
            prompt_logprobs=True,
        )
        return wire.result(promise)["prompt_logprobs"]

    before = logprobs(0)
    for _ in range(5):
        model.step(data, 2e-2)
    assert logprobs(1) == before
    assert wire.get(f"samplers/{sampling_session}") == {
        "sampler_id": sampling_session,
        "base_model": NANO,
    }
    assert wire.get(f"training_runs/{model.model_id}/checkpoints")["checkpoints"] == []


def test_many_ephemeral_samplers_are_put_aside_and_found_again(wire: Wire, server: Any) -> None:
    """More sampling sessions than fit in memory still sample from their own weights."""
    shelf = server._app_state.adapters
    keep, shelf._in_memory = shelf._in_memory, 2
    try:
        model = wire.model()
        samplers = []
        for number in range(5):
            model.step()
            made = model.call("save_weights_for_sampler", sampling_session_seq_id=number)
            samplers.append((made["sampling_session_id"], model.loss()))
        losses = [_loss_by_sampling(wire, sampler) for sampler, _ in samplers]
    finally:
        shelf._in_memory = keep
    assert losses == pytest.approx([loss for _, loss in samplers], rel=1e-4)


def _loss_by_sampling(wire: Wire, sampler: str) -> float:
    total = 0.0
    for tokens in ([5, 6, 7, 8, 9], [40, 41, 42]):
        promise = wire.post(
            "asample",
            sampling_session_id=sampler,
            prompt={"chunks": [{"tokens": tokens}]},
            sampling_params={"max_tokens": 1},
            prompt_logprobs=True,
        )
        total -= sum(wire.result(promise)["prompt_logprobs"][1:])
    return total
