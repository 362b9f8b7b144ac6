"""Exported weights and traces: files behind signed URLs."""

from __future__ import annotations

import itertools
from datetime import datetime
from typing import Any

import httpx
import numpy as np
from local.wire import NANO, Clock, Model, Wire, loss_input, prompt, served
from safetensors.numpy import load as load_tensors

from tinkex.local.app_state import Options


def urls_route(model: Model, kind: str, name: str) -> str:
    return f"training_runs/{model.model_id}/checkpoints/{kind}/{name}/external_weights_urls"


def test_an_export_is_the_adapter_as_files() -> None:
    """The files are those of a sampler checkpoint saved at the same moment, each by its URL."""
    with served(api_key="tml-secret") as (server, wire):
        wire.http.headers["x-api-key"] = "tml-secret"
        model = wire.model()
        model.step()
        made = model.call("save_weights_external", path="release")
        assert made["path"] == f"tinker://{model.model_id}/external_weights/release"
        answer = wire.get(urls_route(model, "external_weights", "release"))
        assert sorted(answer["urls"]) == ["adapter_config.json", "adapter_model.safetensors"]
        # A signed URL needs no key and no client of ours.
        files = {name: httpx.get(url) for name, url in answer["urls"].items()}
        assert sum(len(file.content) for file in files.values()) == made["size_bytes"]
        assert files["adapter_config.json"].json()["r"] == 4
        exported = load_tensors(files["adapter_model.safetensors"].content)
        model.call("save_weights_for_sampler", path="same")
        folder = server._app_state.checkpoints.folder(
            server._app_state.weights_at(f"tinker://{model.model_id}/sampler_weights/same")[0]
        )
        saved = load_tensors((folder / "adapter_model.safetensors").read_bytes())
        assert exported.keys() == saved.keys()
        for name, array in saved.items():
            np.testing.assert_array_equal(exported[name], array)
        (listed, _) = sorted(
            wire.get("checkpoints")["checkpoints"], key=lambda one: one["checkpoint_type"]
        )
        assert listed["checkpoint_type"] == "external"


def test_urls_of_an_export_expire_and_are_good_for_one_file() -> None:
    """After the time they say, or for another file, the answer is 403; ranges are understood."""
    clock = Clock()
    with served(options=Options(now=clock)) as (_, wire):
        model = wire.model()
        model.call("save_weights_external", path="a")
        answer = wire.get(urls_route(model, "external_weights", "a"))
        url = answer["urls"]["adapter_model.safetensors"]
        assert datetime.fromisoformat(answer["expires"]).timestamp() == clock.now + 3600
        whole = httpx.get(url)
        part = httpx.get(url, headers={"range": "bytes=8-15", "if-range": whole.headers["etag"]})
        assert (part.status_code, part.content) == (206, whole.content[8:16])
        other = url.replace("adapter_model.safetensors", "adapter_config.json")
        assert httpx.get(other).status_code == 403
        clock.now += 3600
        assert httpx.get(url).status_code == 403


def test_exports_that_cannot_be_are_refused(wire: Wire) -> None:
    """No encryption here, no second export of a name, no URLs for other kinds."""
    model = wire.model()
    sealed = wire.send(
        "save_weights_external",
        model_id=model.model_id,
        seq_id=1,
        path="a",
        age_encryption_recipients=["age1xyz"],
    )
    assert sealed.status_code == 400
    assert "age_encryption_recipients" in sealed.json()["detail"]
    model.call("save_weights_external", path="a", age_encryption_recipients=[])
    again = wire.send("save_weights_external", model_id=model.model_id, seq_id=2, path="a")
    assert (again.status_code, again.json()["code"]) == (400, "conflict")
    model.call("save_weights", path="w")
    assert wire.http.get(urls_route(model, "weights", "w")).status_code == 400
    assert wire.http.get(urls_route(model, "external_weights", "b")).status_code == 404
    load = wire.send(
        "load_weights",
        model_id=model.model_id,
        seq_id=3,
        path=f"tinker://{model.model_id}/external_weights/a",
        optimizer=True,
    )
    assert load.status_code == 400


def test_an_export_in_the_making_is_too_early(wire: Wire) -> None:
    """While the export is promised but not written, the answer is 425 with Retry-After."""
    model = wire.model()
    # Number 1 is missing, so the export waits.
    body = {"model_id": model.model_id, "seq_id": 2, "path": "a"}
    promise = wire.post("save_weights_external", **body)
    early = wire.http.get(urls_route(model, "external_weights", "a"))
    assert early.status_code == 425
    assert int(early.headers["retry-after"]) >= 1
    wire.result(model.submit("forward", forward_input=loss_input()))
    wire.result(promise)
    assert wire.get(urls_route(model, "external_weights", "a"))["urls"]


def spans(trace: dict[str, Any], category: str) -> list[str]:
    return [one["name"] for one in trace["traceEvents"] if one.get("cat") == category]


def test_trace_of_a_session_shows_its_requests() -> None:
    """Training on the model's track, samples and waits as spans, failures marked; for Perfetto."""
    with served(api_key="tml-secret") as (_, wire):
        wire.http.headers["x-api-key"] = "tml-secret"
        model = wire.model()
        model.step()
        sampler = wire.sampler(model.session_id)
        ask = {"sampling_session_id": sampler, "sampling_params": {"max_tokens": 2}}
        wire.result(wire.post("asample", prompt=prompt(1), **ask))
        wire.outcome(wire.post("asample", prompt=prompt(9999), **ask))
        wire.result(wire.post("asample", base_model=NANO, prompt=prompt(1), sampling_params={}))
        exported = wire.get(f"sessions/{model.session_id}/trace_export")
        assert exported["status"] == "ready"
        answer = httpx.get(exported["url"])
        assert "attachment" in answer.headers["content-disposition"]
        trace = answer.json()
        assert spans(trace, "training") == ["create_model", "forward_backward", "optim_step"]
        assert spans(trace, "sampling") == ["asample"] * 4
        tracks = {
            one["args"]["name"]: one["tid"]
            for one in trace["traceEvents"]
            if one["name"] == "thread_name"
        }
        assert set(tracks) == {model.model_id, sampler}
        complete = [one for one in trace["traceEvents"] if one["ph"] == "X"]
        assert all(one["dur"] >= 0 and one["tid"] == tracks[model.model_id] for one in complete)
        # What one model computes does not overlap.
        assert all(
            first["ts"] + first["dur"] <= second["ts"]
            for first, second in itertools.pairwise(complete)
        )
        begun = [one for one in trace["traceEvents"] if one["ph"] == "b"]
        assert [one["args"]["failed"] for one in begun if one["cat"] == "sampling"] == [False, True]
        ended = {
            (one["id"], one["cat"]): one["ts"] for one in trace["traceEvents"] if one["ph"] == "e"
        }
        assert all(ended[one["id"], one["cat"]] >= one["ts"] for one in begun)


def test_traces_are_for_those_who_have_the_url() -> None:
    """The URL expires, is good for one session, and unknown sessions have none."""
    clock = Clock()
    with served(options=Options(now=clock)) as (_, wire):
        one, other = wire.session(), wire.session()
        url = wire.get(f"sessions/{one}/trace_export")["url"]
        assert httpx.get(url).json()["traceEvents"][0]["args"] == {"name": f"session {one}"}
        assert httpx.get(url.replace(one, other)).status_code == 403
        clock.now += 3600
        assert httpx.get(url).status_code == 403
        assert wire.http.get("sessions/none/trace_export").status_code == 404
