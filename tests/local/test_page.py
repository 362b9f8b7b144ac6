"""The pages, as a client without a browser gets them, and the stream that keeps them up to date."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from html import unescape
from typing import Any

import httpx
import pytest
from local.wire import NANO, Clock, Wire, datum, loss_input, served

from tinkex.local.app_state import Options
from tinkex.local.engine import AdamSpec, LossOutput
from tinkex.local.meter import Meter
from tinkex.local.page.charts import curve, hourly_bars, nice_ticks
from tinkex.local.page.routes import MOST_COMPARED, MOST_WATCHERS

EVIL = "<script>alert(1)</script>"


def fill(wire: Wire) -> str:
    """Make something of everything the pages show; return the run's id."""
    session = wire.session(display_name="a <fine> run", project_id="demo")
    model = wire.model(session, user_metadata={"lr": "1e-2"})
    for _ in range(4):
        model.step()
    model.call("save_weights", path="kept", ttl_seconds=7200)
    saved = model.call("save_weights_for_sampler", path="shown")
    wire.sampler(session, model_path=saved["path"])
    wire.result(
        wire.post(
            "asample",
            model_path=saved["path"],
            prompt={"chunks": [{"type": "encoded_text", "tokens": [5, 6]}]},
            sampling_params={"max_tokens": 2},
        )
    )
    bad = {"prompt": {"chunks": [{"type": "encoded_text", "tokens": [9999]}]}}
    wire.outcome(wire.post("asample", base_model=NANO, sampling_params={}, **bad))
    return model.model_id


def text_of(html: str) -> str:
    """Return what a reader sees of a page, as one line."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", " ", html)))


def page(wire: Wire, path: str = "/", **query: Any) -> str:
    """Return what a reader sees of a page that must be there."""
    response = wire.http.get(wire.http.base_url.join(path), params=query)
    assert response.status_code == 200, response.text
    return text_of(response.text)


@pytest.fixture(scope="module")
def filled() -> Iterator[tuple[Wire, str]]:
    with served() as (_, wire):
        yield wire, fill(wire)


def test_first_page_shows_what_there_is(filled: tuple[Wire, str]) -> None:
    """Runs with their curve, checkpoints, samplers, usage and errors, under names instead of ids."""
    wire, run_id = filled
    html = httpx.get(str(wire.http.base_url.join("/"))).text
    seen = text_of(html)
    for text in (
        "a <fine> run", "4 steps", "running", "demo", "kept", "training state", "1 training runs",
        "a <fine> run / shown", "prompt[0] is 9999", "Nothing is computed or waits.",
    ):  # fmt: skip
        assert text in seen, (text, seen)
    assert html.count('<polyline class="smooth"') == 1
    assert "24 trained" in html
    assert run_id not in seen
    assert f'title="{run_id}"' in html


def test_first_page_of_an_empty_server_says_so() -> None:
    """Each section says that there is nothing yet, and the first one how to begin."""
    with served() as (server, wire):
        seen = page(wire)
        assert seen.count("None yet.") == 5
        assert (
            f"tinkex train --base-url {server.base_url} --base-model tinkex/tiny-chat FILE" in seen
        )


def test_page_of_a_run_shows_all_about_it(filled: tuple[Wire, str]) -> None:
    """Settings, labels, samples, checkpoints with commands to copy, and the log."""
    wire, run_id = filled
    html = httpx.get(str(wire.http.base_url.join(f"/run/{run_id}"))).text
    seen = text_of(html)
    for text in (
        "a <fine> run", "LoRA rank 4", "loss function cross_entropy", "examples per step 2", "beta2 0.95",
        "lr 1e-2", "kept", "saved weights/kept at step 4", f"created on {NANO}, rank 4",
    ):  # fmt: skip
        assert text in seen, (text, seen)
    commands = unescape(" ".join(re.findall(r'data-copy="([^"]*)"', html)))
    base = str(wire.http.base_url.join("/")).rstrip("/")
    assert f"tinkex chat --base-url {base} --model-path tinker://{run_id}/sampler" in commands
    assert f"tinkex checkpoint download --base-url {base} tinker://{run_id}/weights" in commands
    assert f"tinkex train --base-url {base} --from tinker://{run_id}/weights/kept FILE" in commands
    assert "create_training_client_from_state_with_optimizer(" in commands
    sample = re.search(r'<p class="prompt">(.*?)</p><p class="sampled">(.*?)</p>', html, re.DOTALL)
    assert sample is not None
    assert sample[1]


def test_unknown_run_is_not_found(filled: tuple[Wire, str]) -> None:
    """A page for people, with the status for programs; its stream is refused."""
    wire, _ = filled
    response = httpx.get(str(wire.http.base_url.join("/run/none")))
    assert response.status_code == 404
    assert "training run 'none' not found" in text_of(response.text)
    assert httpx.get(str(wire.http.base_url.join("/run/none/live"))).status_code == 404


def test_runs_are_compared_by_name(filled: tuple[Wire, str]) -> None:
    """Each run once, and at most as many as there are colours."""
    wire, run_id = filled
    assert "1 run overlaid" in page(wire, "/compare", run=[run_id, run_id])
    assert "0 runs overlaid" in page(wire, "/compare")
    many = httpx.get(
        str(wire.http.base_url.join("/compare")),
        params={"run": [run_id, *map(str, range(MOST_COMPARED - 1))]},
    )
    assert many.status_code == 404


def test_names_tell_runs_apart() -> None:
    """A run is called by its label `name`, its session's name and number, or its model and id."""
    with served() as (_, wire):
        session = wire.session(display_name="sweep")
        wire.model(session)
        wire.model(session, 1)
        wire.model(user_metadata={"name": "mine"})
        nameless = wire.model().model_id
        seen = page(wire)
        short = nameless.partition(":")[0].rpartition("-")[2][:6]
        for name in ("sweep", "sweep (2)", "mine", f"nano {short}"):
            assert f" {name} " in seen


def test_refused_requests_are_shown_and_counted() -> None:
    """What is refused stands among the errors, once for each reason, and in the log of its run."""
    with served() as (_, wire):
        model = wire.model()
        for number in (1, 2):
            wire.send(
                "forward_backward", model_id=model.model_id, seq_id=number,
                forward_backward_input={**loss_input(), "loss_fn": "none"},
            )  # fmt: skip
        wire.send("create_session")
        wire.http.get("none")
        wire.http.get("none/either")
        seen = page(wire)
        refused = r"forward_backward \(422\) forward_backward_input.loss_fn: \"none\" is not one of"
        assert re.search(refused + r"[^)]* 2 ", seen)
        assert "create_session (422)" in seen
        assert re.search(r"no such route \(404\) GET /api/v1/none/either 2 ", seen)
        assert "forward_backward was refused (422): forward" in page(wire, f"/run/{model.model_id}")


def test_one_refused_caller_displaces_no_other_error() -> None:
    """However many are turned away at the door, they are one entry."""
    with served(api_key="tml-test") as (server, wire):
        wire.send("create_session")
        for number in range(60):
            wire.http.get(f"{number}", headers={"host": f"h{number}"})
            wire.http.get(f"{number}", headers={"x-api-key": "tml-other"})
        found = server._app_state.troubles.newest()
        assert [(one.what, one.count) for one in found] == [
            ("refused at the door (401)", 60),
            ("refused at the door (403)", 60),
            ("create_session (422)", 1),
        ]


def test_what_clients_send_is_text_everywhere() -> None:
    """Names, labels, errors and samples are escaped, and a policy lets only own files run."""
    with served() as (server, wire):
        session = wire.session(display_name=EVIL, user_metadata={EVIL: EVIL})
        model = wire.model(session, user_metadata={"x": EVIL})
        server._app_state.troubles.add(EVIL, EVIL)
        server._app_state.run_log.add(model.model_id, EVIL)
        server._app_state.shown_samples.saved("key", model.model_id, 0, EVIL)
        server._app_state.database.execute("UPDATE runs SET base_model = ?", (EVIL,))
        for path in ("/", f"/run/{model.model_id}", f"/compare?run={model.model_id}"):
            response = httpx.get(f"{server.base_url}{path}")
            assert EVIL not in response.text
            assert EVIL in text_of(response.text)
            assert not re.search(r"<script>|<[^>]*\son\w+=|style=", response.text)
            policy = response.headers["content-security-policy"]
            assert "default-src 'none'; script-src 'self'" in policy
            assert "unsafe" not in policy
            assert response.headers["cross-origin-resource-policy"] == "same-origin"


def test_expired_checkpoints_are_not_shown() -> None:
    """What can no longer be loaded is not shown."""
    clock = Clock()
    with served(options=Options(now=clock)) as (_, wire):
        model = wire.model()
        model.call("save_weights", path="kept", ttl_seconds=7200)
        assert "Checkpoints 1" in page(wire)
        clock.now += 7200
        assert "Checkpoints 0" in page(wire)


def test_queue_shows_what_is_computed_and_what_waits() -> None:
    """Requests in the engine's queue, and those that are held back for an earlier one, with the run's name."""
    with served() as (server, wire):
        model = wire.model(wire.session(display_name="busy"))
        started, go_on = threading.Event(), threading.Event()

        def sample(*_: Any) -> None:
            started.set()
            go_on.wait(30)

        server._app_state.engine._sample = sample
        wire.post(
            "asample", base_model=NANO, sampling_params={},
            prompt={"chunks": [{"type": "encoded_text", "tokens": [5]}]},
        )  # fmt: skip
        try:
            assert started.wait(30)
            wire.post(
                "optim_step", model_id=model.model_id, seq_id=7, adam_params={"learning_rate": 0.1}
            )
            model.submit("forward", forward_input=loss_input())
            seen = page(wire)
        finally:
            go_on.set()
        assert "1 computing, 1 queued, 1 held back" in seen
        assert re.search(r"busy forward queued", seen)
        assert re.search(r"busy optim step waiting for seq_id \d of this model", seen)
        assert f"{NANO} asample computing" in seen


# The stream


def events(lines: Iterator[str]) -> Iterator[tuple[str, Any]]:
    """Read server-sent events."""
    name = ""
    for line in lines:
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


def test_stream_sends_what_changed_and_only_that() -> None:
    """First everything, then the new points, and the sections whose contents are others."""
    with served() as (server, wire):
        model = wire.model()
        model.step()
        url = f"{server.base_url}/run/{model.model_id}/live"
        with httpx.stream("GET", url, timeout=30) as response:
            assert response.headers["content-type"].startswith("text/event-stream")
            found = events(response.iter_lines())
            first = [next(found) for _ in range(6)]
            assert [data["name"] for name, data in first if name == "section"] == [
                "run_head", "run_checkpoints", "run_samples", "run_settings", "run_log",
            ]  # fmt: skip
            assert first[5][0] == "points"
            assert first[5][1]["whole"] is True
            assert set(first[5][1]["runs"][model.model_id]) >= {
                "loss", "learning_rate", "grad_norm", "tokens"
            }  # fmt: skip
            model.step()
            later = dict([next(found)])
            while "points" not in later:
                later.update([next(found)])
            assert later["points"]["whole"] is False
            steps, values, times = later["points"]["runs"][model.model_id]["loss"]
            assert steps == [2]
            assert len(values) == len(times) == 1
            assert later["section"]["name"] == "run_head"
            assert "2</b><small>steps" in later["section"]["html"]


def test_stream_is_not_begun_for_a_look_at_its_header(filled: tuple[Wire, str]) -> None:
    """HEAD answers at once."""
    wire, run_id = filled
    response = httpx.head(str(wire.http.base_url.join(f"/run/{run_id}/live")))
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/event-stream")


def test_stream_ends_with_the_server() -> None:
    """Open pages do not keep a server from stopping."""
    with served() as (server, _), httpx.stream("GET", f"{server.base_url}/live") as response:
        lines = response.iter_lines()
        next(lines)
        server._app_state.changes.closing = True
        for _ in lines:
            continue


def test_number_of_watched_pages_is_limited() -> None:
    """One more is told to come later; a page that was closed makes room."""
    with served() as (server, _):
        url = f"{server.base_url}/live"
        limits = httpx.Limits(max_connections=MOST_WATCHERS + 8)
        with httpx.Client(limits=limits, timeout=30) as client:
            open_ones = []
            for _ in range(MOST_WATCHERS):
                response = client.send(client.build_request("GET", url), stream=True)
                lines = response.iter_lines()
                next(lines)
                open_ones.append((response, lines))
            refused = client.get(url)
            assert refused.status_code == 503
            assert refused.headers["retry-after"] == "10"
            for response, _ in open_ones:
                response.close()


# What the charts show


def points(wire: Wire, run_id: str) -> dict[str, list[Any]]:
    """Return a run's series as its page gets them."""
    with httpx.stream("GET", str(wire.http.base_url.join(f"/run/{run_id}/live"))) as response:
        for name, data in events(response.iter_lines()):
            if name == "points":
                found: dict[str, list[Any]] = data["runs"][run_id]
                return found
    raise AssertionError("no points")


def weighted(tokens: list[int], weights: list[float]) -> dict[str, Any]:
    one = datum(tokens)
    one["loss_fn_inputs"]["weights"]["data"] = weights
    return one


def test_loss_is_the_mean_over_the_tokens_that_count() -> None:
    """Over all passes of a step; a prompt without weight does not make the loss smaller."""
    with served() as (_, wire):
        model = wire.model()
        parts = [weighted([5, 6, 7], [0.0, 0.0, 1.0]), weighted([8, 9], [1.0, 1.0])]
        sums = [
            model.submit("forward_backward", forward_backward_input=loss_input([part]))
            for part in parts
        ]
        model.call("optim_step", adam_params={"learning_rate": 1e-2})
        losses = [wire.result(one)["metrics"]["loss:sum"] for one in sums]
        found = points(wire, model.model_id)
        assert found["loss"][:2] == [[1], [pytest.approx(sum(losses) / 3)]]
        assert found["tokens"][1] == [5]
        assert found["learning_rate"][1] == [pytest.approx(1e-2)]


def test_a_client_cannot_make_charts_without_end() -> None:
    """Of the metrics that an uploaded loss names, the first ones are kept, over all steps."""
    meter = Meter()
    spec = AdamSpec(learning_rate=0.1)
    charts: set[str] = set()
    for step in range(50):
        metrics = {"loss:sum": 1.0, "mine:sum": 2.0, f"other {step}": 1.0, "x" * 61: 1.0}
        output = LossOutput(logprobs=[], metrics=metrics)
        for _ in range(2):
            meter.trained([], "custom", {f"setting {step}": 1}, output)
        found = meter.stepped(spec, {})
        assert found["mine:sum"] == 4.0
        charts |= set(found)
    assert len(charts) < 30
    assert len(meter.settings) < 40


def test_evaluation_is_the_validation_loss_of_its_step() -> None:
    """A pass without gradients, before the first step and after a later one."""
    with served() as (_, wire):
        model = wire.model()
        held_out = [weighted([20, 21], [0.0, 1.0])]
        before = model.loss(held_out)
        model.step()
        after = model.loss(held_out)
        model.step()
        found = points(wire, model.model_id)["validation_loss"]
        assert found[:2] == [[0, 1], [pytest.approx(before), pytest.approx(after)]]


def test_log_probabilities_for_a_custom_loss_are_no_validation() -> None:
    """What is trained on after it was asked for was no evaluation, from the first time on."""
    with served() as (_, wire):
        model = wire.model()
        for _ in range(3):
            model.loss()
            model.step()
        assert "validation_loss" not in points(wire, model.model_id)


def test_steps_continue_where_a_checkpoint_stopped() -> None:
    """A run that goes on from saved state counts on, and one that goes back loses what came after."""
    with served() as (_, wire):
        model = wire.model()
        for _ in range(2):
            model.step()
        path = model.call("save_weights", path="two")["path"]
        model.step()
        model.call("load_weights", path=path, optimizer=True)
        assert points(wire, model.model_id)["loss"][0] == [1, 2]
        other = wire.model()
        other.call("load_weights", path=path, optimizer=True)
        other.step()
        assert points(wire, other.model_id)["loss"][0] == [3]
        model.call("load_weights", path=path, optimizer=False)
        model.step()
        assert points(wire, model.model_id)["loss"][0] == [1, 2, 3]


def test_long_runs_are_thinned_out_to_their_last_point() -> None:
    """A chart gets no more points than it can show; the newest one is among them."""
    with served() as (server, _):
        metrics = server._app_state.metrics
        rows = [("run", "loss", step, float(step), 0.0) for step in range(1, 5003)]
        metrics._change(
            "INSERT INTO metrics (run_id, name, step, value, at) VALUES (?, ?, ?, ?, ?)", rows
        )
        steps = metrics.whole("run")["loss"].steps
        assert len(steps) <= 2000
        assert steps[-1] == 5002
        assert metrics.losses("run")[-1] == (5002, 5002.0)


def test_few_samples_of_each_saved_state_are_kept() -> None:
    """Four of each, with the step; those of the plain base belong to no run."""
    with served() as (server, wire):
        model = wire.model()
        model.step()
        path = model.call("save_weights_for_sampler", path="s")["path"]
        for number in range(6):
            wire.result(
                wire.post(
                    "asample",
                    model_path=path,
                    sampling_params={"max_tokens": 1},
                    prompt={"chunks": [{"type": "encoded_text", "tokens": [5 + number]}]},
                )
            )
        (snapshot,) = server._app_state.shown_samples.of_run(model.model_id)
        assert (snapshot.label, snapshot.step, len(snapshot.samples)) == ("s", 1, 4)


def test_saved_states_are_shown_in_the_order_of_saving() -> None:
    """Also when the machine's clock was set back in between."""
    clock = Clock()
    with served(options=Options(now=clock)) as (server, wire):
        model = wire.model()
        for name in "ab":
            path = model.call("save_weights_for_sampler", path=name)["path"]
            prompt = {"chunks": [{"type": "encoded_text", "tokens": [5]}]}
            body = {"prompt": prompt, "sampling_params": {"max_tokens": 1}}
            wire.result(wire.post("asample", model_path=path, **body))
            clock.now -= 60
        shown = server._app_state.shown_samples.of_run(model.model_id)
    assert [one.label for one in shown] == ["b", "a"]


# The drawings of the first page


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (3.8, 7.8, [3, 4, 5, 6, 7, 8]),
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0.11, 0.12, [0.11, 0.112, 0.114, 0.116, 0.118, 0.12]),
        (5, 5, [5]),
        (0, 0, [0]),
        (-2e5, 3e5, [-200000, -100000, 0, 100000, 200000, 300000]),
    ],
)
def test_ticks_are_round_and_cover_the_values(low: float, high: float, ticks: list[float]) -> None:
    """Steps of 1, 2 or 5 times a power of ten, around the values."""
    assert nice_ticks(low, high) == ticks


def test_curve_stays_within_its_picture() -> None:
    """Every point lies inside, for losses that rise, fall, and do not move."""
    for losses in ([1.0, 9.0, 4.0], [2.0, 2.0], [-1e9, 1e9], [0.0, 0.0, 0.0]):
        drawn = curve(list(enumerate(losses, start=1)), width=300, height=100)
        for found in re.findall(r'points="([^"]*)"', drawn):
            for point in found.split():
                x, y = map(float, point.split(","))
                assert 0 <= x <= 300
                assert 0 <= y <= 100
    assert curve([]) == curve([(1, 2.0)]) == ""


def test_bars_add_up_within_their_picture() -> None:
    """Counts of one hour are stacked; without any there is no picture."""
    drawn = hourly_bars([("08:00", {"a": 3, "b": 1}), ("09:00", {})], ["a", "b"])
    tall = [float(one) for one in re.findall(r'height="([\d.]+)"', drawn)]
    assert tall[0] == pytest.approx(3 * tall[1], abs=0.2)
    assert tall[2:] == [0.0, 0.0]
    assert "08:00: 3 a, 1 b" in drawn
    assert hourly_bars([("08:00", {})], ["a"]) == ""
