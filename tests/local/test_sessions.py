"""Sessions, models and service routes."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from local.wire import NANO, Clock, Wire, loss_input, served

from tinkex.local.app_state import Options


def test_capabilities_list_the_shipped_models(wire: Wire) -> None:
    """The tiny chat model and the nano model are there, trainable and sampleable."""
    models = wire.get("get_server_capabilities")["supported_models"]
    assert [model["model_name"] for model in models][:2] == ["tinkex/tiny-chat", NANO]
    assert all(model["trainable"] and model["sampleable"] for model in models)
    assert all(model["max_context_length"] >= 128 for model in models)


def test_config_routes_answer_with_defaults(wire: Wire) -> None:
    """Clients that ask for flags at their start are served; one flag differs from its default.

    They also get the address of the pages.
    Of chunks sent in parallel, the official client sends the first one last, and waits indefinitely
    for its turn once another one was refused (F62).
    """
    assert wire.post("client/config", sdk_version="0.18.0") == {
        "parallel_fwdbwd_chunks": False,
        "console_url": str(wire.http.base_url.join("/")),
    }
    assert wire.post("client/dynamic_config", sdk_version="0.38.0")["sample_cancel_enabled"] is True


def test_tokenizer_is_the_file_of_the_model(wire: Wire) -> None:
    """Any client can tokenize offline: the server hands out the tokenizer.json."""
    from tokenizers import Tokenizer

    response = wire.http.get("tokenizers", params={"model": NANO})
    tokenizer = Tokenizer.from_str(response.text)
    ids = tokenizer.encode("Hello there").ids
    assert tokenizer.decode(ids) == "Hello there"
    assert max(ids) < 1024
    assert wire.http.get("tokenizers", params={"model": "nobody/none"}).status_code == 404


def test_telemetry_is_kept_on_this_machine(wire: Wire) -> None:
    """Events are accepted and stored, nothing more."""
    event = {
        "event": "GENERIC_EVENT",
        "event_id": "e",
        "event_session_index": 0,
        "severity": "INFO",
        "timestamp": "2027-01-15T08:00:00+00:00",
        "event_name": "hello",
    }
    answer = wire.post(
        "telemetry", events=[event], platform="Linux", sdk_version="1", session_id="s"
    )
    assert answer == {"status": "accepted"}
    event["timestamp"] = "yesterday"
    refused = wire.send(
        "telemetry", events=[event], platform="Linux", sdk_version="1", session_id="s"
    )
    assert refused.status_code == 422


def test_telemetry_can_be_read_back() -> None:
    """Events come back whole, newest first, in pages, and by session, kind and severity."""

    def event(number: int, **more: object) -> dict[str, object]:
        return {
            "event_id": f"e{number}",
            "event_session_index": number,
            "severity": "INFO",
            "timestamp": "2027-01-15T08:00:00+00:00",
            **more,
        }

    start = event(0, event="SESSION_START")
    hello = event(1, event="GENERIC_EVENT", event_name="hello", event_data={"deep": [1, None]})
    crash = event(
        2,
        event="UNHANDLED_EXCEPTION",
        severity="ERROR",
        error_type="ValueError",
        error_message="no",
    )
    clock = Clock()
    with served(options=Options(now=clock)) as (_, wire):
        batch = {"platform": "Linux", "sdk_version": "0.1.0", "process_uuid": "p"}
        wire.post("telemetry", events=[start, hello], session_id="one", **batch)
        clock.now += 5
        wire.post("telemetry", events=[crash], session_id="two", **batch)
        everything = wire.get("telemetry")
        assert [one["event"] for one in everything["events"]] == [crash, hello, start]
        assert everything["cursor"] == {"offset": 0, "limit": 100, "total_count": 3}
        newest = everything["events"][0]
        assert (newest["session_id"], newest["platform"], newest["process_uuid"]) == (
            "two", "Linux", "p",
        )  # fmt: skip
        assert datetime.fromisoformat(newest["received_at"]).timestamp() == clock.now
        pages = [wire.get("telemetry", limit=1, offset=offset)["events"] for offset in range(4)]
        assert [one for page in pages for one in page] == everything["events"]

        def found(**query: str) -> list[object]:
            return [one["event"] for one in wire.get("telemetry", **query)["events"]]

        assert found(session_id="one") == [hello, start]
        assert found(event="SESSION_START") == [start]
        assert found(severity="ERROR") == [crash]
        assert found(session_id="one", severity="ERROR") == []
        assert wire.http.get("telemetry", params={"severity": "LOUD"}).status_code == 422


def test_session_shows_its_runs_and_samplers(wire: Wire) -> None:
    """get_session names what the session made, in order."""
    session = wire.session(user_metadata={"who": "me"}, display_name="tests")
    first, second = wire.model(session, 0), wire.model(session, 1)
    sampler = wire.sampler(session, 0)
    assert wire.get(f"sessions/{session}") == {
        "training_run_ids": [first.model_id, second.model_id],
        "sampler_ids": [sampler],
        "user_metadata": {"who": "me"},
        "display_name": "tests",
    }
    assert wire.get(f"samplers/{sampler}") == {"sampler_id": sampler, "base_model": NANO}
    assert wire.http.get("sessions/session-none").status_code == 404
    assert wire.http.get("samplers/none").status_code == 404


def test_sessions_are_listed_newest_first_in_pages() -> None:
    """limit and offset walk through all sessions without gap or repetition."""
    with served() as (_, wire):
        made = [wire.session() for _ in range(5)]
        pages = [wire.get("sessions", limit=2, offset=offset)["sessions"] for offset in (0, 2, 4)]
        assert [one for page in pages for one in page] == made[::-1]
        assert wire.get("sessions", offset=5) == {"sessions": []}


def test_finished_session_is_gone_for_its_client(wire: Wire) -> None:
    """After finish, heartbeats get 410 and models are no longer there; the run stays listed."""
    model = wire.model()
    session = model.session_id
    wire.post("session_heartbeat", session_id=session)
    finish = {"reason": {"type": "success"}, "detail": None}
    assert wire.send(f"sessions/{session}/finish", **finish).status_code == 204
    assert wire.send(f"sessions/{session}/finish", **finish).status_code == 204
    assert wire.send("session_heartbeat", session_id=session).status_code == 410
    late = wire.send("create_model", session_id=session, model_seq_id=1, base_model=NANO)
    assert late.status_code == 410
    assert wire.send("get_info", model_id=model.model_id).status_code == 404
    assert wire.get(f"training_runs/{model.model_id}")["base_model"] == NANO


def test_unknown_session_is_a_404(wire: Wire) -> None:
    """A session id that was never given out is no session."""
    assert wire.send("session_heartbeat", session_id="s").status_code == 404
    assert (
        wire.send("create_model", session_id="s", model_seq_id=0, base_model=NANO).status_code
        == 404
    )
    assert (
        wire.send("sessions/s/finish", reason={"type": "success"}, detail=None).status_code == 404
    )


def test_silent_session_ends() -> None:
    """A session without a sign of life is ended; one that beats is kept."""
    clock = Clock()
    with served(options=Options(monotonic=clock, session_timeout_s=100)) as (server, wire):
        silent, beating = wire.model(), wire.session()
        clock.now += 50
        server._app_state.upkeep()
        clock.now += 49
        wire.post("session_heartbeat", session_id=beating)
        clock.now += 2
        server._app_state.upkeep()
        assert wire.send("session_heartbeat", session_id=silent.session_id).status_code == 410
        assert wire.send("get_info", model_id=silent.model_id).status_code == 404
        wire.post("session_heartbeat", session_id=beating)


@pytest.mark.holds("F60")
@pytest.mark.parametrize("jump_s", [3_600 * 9.0, -86_400.0])
def test_a_jump_of_the_clock_ends_no_session(jump_s: float) -> None:
    """Silence is measured by a clock that does not jump, so models stay in memory."""
    clock = Clock()
    with served(options=Options(now=clock, session_timeout_s=100)) as (server, wire):
        model = wire.model()
        clock.now += jump_s
        server._app_state.upkeep()
        model.step()
        clock.now -= jump_s
        server._app_state.upkeep()
        model.step()


@pytest.mark.holds("F60")
def test_a_machine_that_slept_ends_no_session() -> None:
    """Some systems' steady clock counts sleep: a step without upkeep was no time to beat in."""
    clock = Clock()
    with served(options=Options(monotonic=clock, session_timeout_s=100)) as (server, wire):
        model = wire.model()
        clock.now += 3_600 * 9
        server._app_state.upkeep()
        model.step()
        for _ in range(3):
            clock.now += 59
            server._app_state.upkeep()
        assert wire.send("session_heartbeat", session_id=model.session_id).status_code == 410


def test_training_counts_as_a_sign_of_life() -> None:
    """A session that trains does not need a heartbeat."""
    clock = Clock()
    options = Options(now=clock, monotonic=clock, session_timeout_s=100)
    with served(options=options) as (server, wire):
        model = wire.model()
        for _ in range(3):
            clock.now += 60
            model.step()
            server._app_state.upkeep()
        assert wire.get(f"training_runs/{model.model_id}")["last_request_time"].startswith("2027")


def test_get_info_describes_the_model(wire: Wire) -> None:
    """What is needed for the tokenizer and for a resume is there."""
    model = wire.model(lora_config={"rank": 7})
    info = wire.post("get_info", model_id=model.model_id)
    assert info["model_data"]["model_name"] == NANO
    assert (info["is_lora"], info["lora_rank"]) == (True, 7)
    assert info["optimizer_config"] == {"type": "adamw"}


def test_what_cannot_be_trained_is_refused_at_once(wire: Wire) -> None:
    """Unknown base models, absurd ranks, other optimizers and adapters of nothing are refused."""
    session = wire.session()

    def status(**more: object) -> int:
        body = {"session_id": session, "model_seq_id": 0, "base_model": NANO, **more}
        return wire.send("create_model", **body).status_code

    assert status(base_model="Qwen/Qwen3-8B") == 404
    assert status(lora_config={"rank": 100_000}) == 400
    nothing = {"train_attn": False, "train_mlp": False, "train_unembed": False}
    assert status(lora_config={"rank": 4, **nothing}) == 400
    assert status(optimizer_config={"type": "lion"}) == 400
    assert status(optimizer_config={"type": "dimuon", "version": 2}) == 400
    assert status() == 200


def test_unload_waits_for_the_models_requests(wire: Wire) -> None:
    """Requests sent before the unload are done, those after it find no model."""
    model = wire.model()
    before = model.submit("forward", forward_input=loss_input())
    gone = wire.post("unload_model", model_id=model.model_id)
    assert wire.result(gone) == {"model_id": model.model_id, "type": "unload_model"}
    wire.result(before)
    assert wire.send("get_info", model_id=model.model_id).status_code == 404


def test_models_from_the_users_folders_are_served(tmp_path: Path) -> None:
    """A Hugging Face folder is trained and sampled under the name it is given."""
    from tinkex.local.engine import Base, nano_config, save_base

    save_base(Base.random(nano_config(vocab_size=300), seed=3), tmp_path / "mine")
    with served(models={"me/mine": tmp_path / "mine"}) as (server, wire):
        assert server.model_names[-1] == "me/mine"
        model = wire.model(base_model="me/mine")
        assert model.step() > model.loss()


def test_a_base_that_cannot_be_loaded_fails_the_model_and_says_why(tmp_path: Path) -> None:
    """The reason comes with the creation, and again with whatever is asked of the model."""
    from tinkex.local.engine import Base, nano_config, save_base

    save_base(Base.random(nano_config(vocab_size=300)), tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with served(models={"broken": tmp_path}) as (_, wire):
        session = wire.session()
        promise = wire.post("create_model", session_id=session, model_seq_id=0, base_model="broken")
        failed = wire.outcome(promise)
        assert failed["category"] == "user"
        assert "model.safetensors" in failed["error"]
        step = wire.post("optim_step", model_id=promise["model_id"], seq_id=1)
        assert "could not be created" in wire.outcome(step)["error"]
        sampling = {"session_id": session, "sampling_session_seq_id": 0, "base_model": "broken"}
        assert wire.send("create_sampling_session", **sampling).status_code == 400


def test_project_of_a_session_selects_its_runs(wire: Wire) -> None:
    """Runs can be listed by project; a session can be put into one later."""
    model = wire.model(wire.session(project_id="p-one"))
    assert [
        run["training_run_id"]
        for run in wire.get("training_runs", project_id="p-one")["training_runs"]
    ] == [model.model_id]
    moved = wire.send(f"sessions/{model.session_id}/project", "PUT", project_id="p-two")
    assert moved.status_code == 204
    assert wire.get("training_runs", project_id="p-one")["cursor"]["total_count"] == 0
    assert wire.get("training_runs", project_id="p-two")["cursor"]["total_count"] == 1
