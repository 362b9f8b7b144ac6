"""What a request has to be before anything looks at its meaning."""

from __future__ import annotations

import logging
import select
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import orjson
import pytest
from local.wire import NANO, Wire, datum, loss_input, prompt, serve_process, served

from tinkex.local import LocalServer
from tinkex.local.app_state import Options
from tinkex.local.log_lines import LineFormatter


def issues(response: httpx.Response) -> list[dict[str, Any]]:
    assert response.status_code == 422, response.text
    return list(response.json()["detail"])


def test_missing_field_is_named_with_its_place(wire: Wire) -> None:
    """A 422 lists what is missing as loc, msg and type."""
    response = wire.send("create_session", tags=[])
    found = {tuple(issue["loc"]): issue["type"] for issue in issues(response)}
    assert found == {("body", "user_metadata"): "missing", ("body", "sdk_version"): "missing"}


def test_mistake_inside_a_union_is_reported_where_it_is(wire: Wire) -> None:
    """The error names the wrong value of the chunk, not the whole chunk."""
    body = loss_input([datum([1, 2])])
    body["data"][0]["model_input"]["chunks"][0]["tokens"] = [1, "two"]
    response = wire.send("forward_backward", model_id="m", seq_id=1, forward_backward_input=body)
    loc = ["body", "forward_backward_input", "data", 0, "model_input", "chunks", 0, "tokens", 1]
    assert [issue["loc"] for issue in issues(response)] == [loc]


def test_wrong_member_of_a_nullable_object_is_reported_where_it_is(wire: Wire) -> None:
    """A null alternative does not hide the reason."""
    response = wire.send(
        "create_model",
        session_id="s",
        model_seq_id=0,
        base_model=NANO,
        lora_config={"rank": 0},
    )
    assert [issue["loc"] for issue in issues(response)] == [["body", "lora_config", "rank"]]


@pytest.mark.parametrize("seed", ["-9223372036854775809", "9223372036854775808", "-1e300"])
def test_an_integer_beyond_64_bits_is_refused(wire: Wire, seed: str) -> None:
    """It is a float to who reads it, and may look like the least integer that there is."""
    made = wire.session()
    text = orjson.dumps({"session_id": made, "model_seq_id": 0, "base_model": NANO})
    content = text[:-1] + b',"lora_config":{"rank":2,"seed":%s}}' % seed.encode()
    response = wire.http.post(
        "create_model", content=content, headers={"content-type": "application/json"}
    )
    assert [issue["loc"] for issue in issues(response)] == [["body", "lora_config", "seed"]]


def test_long_values_do_not_flood_the_error(wire: Wire) -> None:
    """A huge wrong value is cut in the message."""
    response = wire.send("create_session", tags="x" * 100_000, user_metadata={}, sdk_version="1")
    assert len(response.content) < 2000


def test_unknown_fields_and_nulls_are_allowed(wire: Wire) -> None:
    """Newer and older clients are both understood."""
    session = wire.session(display_name=None, project_id=None, invented_later={"a": 1})
    model = wire.post(
        "create_model",
        session_id=session,
        model_seq_id=0,
        base_model=NANO,
        user_metadata=None,
        lora_config={"rank": 4, "seed": None},
    )
    wire.result(model)
    body = loss_input([datum([1, 2])])
    del body["data"][0]["model_input"]["chunks"][0]["type"]
    body["loss_fn_config"] = None
    promise = wire.post(
        "forward_backward", model_id=model["model_id"], seq_id=1, forward_backward_input=body
    )
    assert wire.result(promise)["metrics"]["loss:sum"] > 0


def test_body_that_is_not_json_is_a_400(wire: Wire) -> None:
    """Broken JSON is told apart from JSON of another shape."""
    response = wire.http.post(
        "create_session", content=b"{oops", headers={"content-type": "application/json"}
    )
    assert response.status_code == 400
    assert "not JSON" in response.json()["detail"]
    assert wire.http.post("create_session", json=[1]).status_code == 422


def test_other_media_types_are_a_415(wire: Wire) -> None:
    """Only JSON is read; a form or a compressed body is refused, not guessed at."""
    for headers in (
        {"content-type": "text/plain"},
        {"content-type": "application/x-protobuf"},
        {"content-type": "application/json", "content-encoding": "gzip"},
    ):
        response = wire.http.post("create_session", content=b"{}", headers=headers)
        assert response.status_code == 415, headers


def test_query_parameters_are_checked(wire: Wire) -> None:
    """A limit outside its range, or that is no number, is a 422 that names it."""
    for limit in ("0", "1001", "many"):
        response = wire.http.get("checkpoints", params={"limit": limit})
        assert [issue["loc"] for issue in issues(response)] == [["query", "limit"]]


def test_unknown_route_and_method_answer_json(wire: Wire) -> None:
    """What is not served says so in the usual shape."""
    assert "not served" in wire.http.get("no_such_route").json()["detail"]
    response = wire.http.get("create_session")
    assert response.status_code == 405
    assert response.headers["allow"] == "POST"


def test_every_answer_has_a_request_id(wire: Wire) -> None:
    """Good or bad, an answer can be found in the log by its number."""
    good, bad = wire.http.get("healthz"), wire.http.get("nowhere")
    assert good.headers["x-request-id"] != bad.headers["x-request-id"]


def test_bodies_beyond_the_limit_are_a_413() -> None:
    """The limit holds for announced lengths and for streams without one."""
    with served(options=Options(max_body_bytes=1000)) as (_, wire):
        headers = {"content-type": "application/json"}
        assert wire.http.post("telemetry", content=b"x" * 1001, headers=headers).status_code == 413
        pieces = (b"x" * 100 for _ in range(20))
        assert wire.http.post("telemetry", content=pieces, headers=headers).status_code == 413


def test_a_million_numbers_are_read_exactly(wire: Wire) -> None:
    """A large batch arrives whole: every logprob is there, in order."""
    model = wire.model(lora_config={"rank": 1, "train_mlp": False, "train_attn": False})
    rng = np.random.default_rng(0)
    data = []
    for _ in range(3):
        one = datum(rng.integers(0, 1000, 500).tolist(), rng.integers(0, 1000, 500).tolist())
        # Tokens, targets and weights make the million together with this one wide target.
        one["loss_fn_inputs"]["target_tokens"] = {
            "data": rng.integers(0, 1000, 500 * 333).tolist(),
            "dtype": "int64",
            "shape": [500, 333],
        }
        one["loss_fn_inputs"]["weights"] = {
            "data": rng.random(500 * 333).tolist(),
            "dtype": "float32",
            "shape": [500, 333],
        }
        data.append(one)
    content = orjson.dumps(
        {"model_id": model.model_id, "seq_id": 1, "forward_input": loss_input(data)}
    )
    response = wire.http.post(
        "forward", content=content, headers={"content-type": "application/json"}
    )
    outputs = wire.result(response.json())["loss_fn_outputs"]
    assert [output["logprobs"]["shape"] for output in outputs] == [[500, 333]] * 3
    assert all(len(output["logprobs"]["data"]) == 500 * 333 for output in outputs)


@pytest.mark.parametrize(
    ("chunk", "what"),
    [
        ({"type": "image", "data": "aGk=", "format": "png"}, "image"),
        ({"type": "image_asset_pointer", "location": "x.png", "format": "png"}, "pointer"),
        ({"dmel": "aGk="}, "audio without a type"),
    ],
)
def test_images_and_audio_are_refused_clearly(wire: Wire, chunk: dict[str, str], what: str) -> None:
    """A chunk the small models cannot read is a 400 that says so, in training and in sampling."""
    body = loss_input([{"model_input": {"chunks": [chunk]}, "loss_fn_inputs": {}}])
    model_id = wire.model().model_id
    responses = [
        wire.send("forward_backward", model_id=model_id, forward_backward_input=body),
        wire.send("asample", base_model=NANO, prompt={"chunks": [chunk]}, sampling_params={}),
    ]
    for response in responses:
        assert response.status_code == 400, what
        assert "no images" in response.json()["detail"]


def test_prompt_may_come_in_several_chunks(wire: Wire) -> None:
    """Chunks are read one after the other."""
    split = {"chunks": [{"tokens": [7]}, {"tokens": []}, {"tokens": [8, 9]}]}
    answers = [
        wire.result(
            wire.post(
                "asample",
                base_model=NANO,
                prompt=one,
                sampling_params={"max_tokens": 1, "temperature": 0.0},
                prompt_logprobs=True,
            )
        )
        for one in (split, prompt(7, 8, 9))
    ]
    assert answers[0] == answers[1]


@pytest.mark.parametrize("levels", [101, 255, 300, 600, 900, 1_100, 100_000])
@pytest.mark.parametrize("brackets", ["[]", "{}"])
def test_deeply_nested_bodies_are_refused(wire: Wire, levels: int, brackets: str) -> None:
    """In every route and form, before anything that follows the levels one by one sees them."""
    opening = '{"a":' if brackets == "{}" else "["
    value = opening * levels + "1" + brackets[1] * levels
    for route, text in (
        ("create_session", f'{{"tags":[],"sdk_version":"1","user_metadata":{{"k":{value}}}}}'),
        ("telemetry", f'{{"session_id":"s","platform":"p","sdk_version":"1","events":[{value}]}}'),
        ("create_custom_loss", value),
        ("asample", f'{{"base_model":{value}}}'),
    ):
        refused = wire.http.post(
            route, content=text.encode(), headers={"content-type": "application/json"}
        )
        assert 400 <= refused.status_code < 500, (route, refused.text)


def test_nesting_that_is_allowed_and_brackets_in_strings_are_taken(wire: Wire) -> None:
    """A text full of brackets is not nested."""
    text = '\\"[' * 5_000 + "{" * 5_000 + '"\\'
    made = wire.session(user_metadata={"text": text})
    assert wire.get(f"sessions/{made}")


@pytest.fixture
def raw(server: LocalServer) -> Iterator[socket.socket]:
    """A connection on which a test writes what it likes."""
    url = httpx.URL(server.base_url)
    with socket.create_connection((url.host, url.port or 0), timeout=30) as connection:
        yield connection


def received(connection: socket.socket) -> bytes:
    """Return what comes until the server closes the connection."""
    return b"".join(iter(lambda: connection.recv(65_536), b""))


HEAD = b"POST /api/v1/create_session HTTP/1.1\r\nhost: localhost\r\n"
JSON = b"content-type: application/json\r\n"


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"GET /api/v1/hea", id="half a line"),
        pytest.param(HEAD, id="half a header"),
        pytest.param(HEAD + JSON + b"content-length: 10\r\n\r\n{", id="half a body"),
        pytest.param(HEAD + JSON + b"transfer-encoding: chunked\r\n\r\n5\r\n", id="half a chunk"),
        pytest.param(
            b"GET /api/v1/healthz HTTP/1.1\r\nhost: localhost\r\n\r\nGET /api",
            id="a second request",
        ),
    ],
)
def test_a_request_that_does_not_continue_is_ended(sent: bytes) -> None:
    """Neither a header nor a body can hold a connection for as long as the client likes."""
    with served(options=Options(header_timeout_s=0.5)) as (server, wire):
        url = httpx.URL(server.base_url)
        with socket.create_connection((url.host, url.port or 0), timeout=30) as connection:
            if sent.endswith(b"GET /api"):
                connection.sendall(sent[: -len(b"GET /api")])
                assert b"200 OK" in connection.recv(65_536)
                sent = b"GET /api"
            connection.sendall(sent)
            assert b" 408 " in received(connection).partition(b"\r\n")[0]
        assert wire.get("healthz")


def test_an_answer_that_takes_long_is_not_cut_off() -> None:
    """The limit is for what the client sends: a held poll outlasts it."""
    with served(options=Options(header_timeout_s=1, long_poll_s=1.2)) as (_, wire):
        model = wire.model()
        held = model.wire.post("optim_step", model_id=model.model_id, seq_id=5)
        answer = wire.poll(held)
        # Both ends of a wait have this status; the limit's end has a `detail`.
        assert answer.status_code == 408
        assert "detail" not in answer.json(), answer.text


@pytest.mark.skipif(sys.platform == "win32", reason="descriptors are not limited there")
def test_a_lack_of_descriptors_is_told_in_a_line(tmp_path: Path) -> None:
    """Hundreds of connections against a limit of 64: refused in order, logged once, then served."""
    code = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
from tinkex.cli import main
main()
"""
    with serve_process(tmp_path, code=code) as (process, wire):
        # This client has its connection before the crowd comes.
        assert wire.get("healthz")
        url = httpx.URL(str(wire.http.base_url))
        with ExitStack() as crowd:
            waiting = [
                crowd.enter_context(socket.create_connection((url.host, url.port or 0)))
                for _ in range(300)
            ]
            answered = b""
            while b" 503 " not in answered:
                # Those over the reserve are refused; the system's queue holds the others.
                ready, _, _ = select.select(waiting, [], [], 60)
                answered = ready[0].recv(65_536)
                waiting.remove(ready[0])
            assert wire.model().call("save_weights", path="a")
        # The crowd has gone: newcomers are let in again, as soon as the server has seen that.
        status = 0
        while status != 200:
            with suppress(httpx.TransportError):
                status = httpx.get(f"{wire.http.base_url}healthz", timeout=60).status_code
        process.terminate()
        said = process.communicate(timeout=60)[1]
    assert said.count("file descriptors run out") == 1
    assert "Traceback" not in said
    assert len(said) < 5_000


@pytest.mark.holds("S28")
def test_a_client_cannot_split_or_colour_log_lines(
    raw: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    """Line breaks and escapes in a path are escaped in the line about it."""
    with caplog.at_level(logging.DEBUG, "tinkex.local"):
        forged = "%0A2027-01-01 INFO all is well%1B[2K%E2%80%A8%0d".replace(" ", "%20")
        raw.sendall(
            f"GET /api/v1/{forged} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n".encode()
        )
        assert b" 404 " in received(raw)
    lines = [one.getMessage() for one in caplog.records if "all is well" in one.getMessage()]
    assert len(lines) == 1
    assert lines[0].isprintable()
    assert r"\n2027-01-01 INFO all is well\x1b[2K\u2028\r" in lines[0]


@pytest.mark.holds("S28")
def test_the_log_of_serve_has_a_line_for_each_record() -> None:
    """Whatever package writes it; what follows from an error is indented."""
    formatter = LineFormatter("%(levelname)s %(message)s")
    try:
        raise ValueError("bad\nINFO all is well")
    except ValueError:
        record = logging.LogRecord(
            "x", logging.ERROR, "f", 1, "a\r\nINFO %s", ("b\x1b[0m",), sys.exc_info(), None, "stack"
        )
    first, *others = formatter.format(record).splitlines()
    assert first == r"ERROR a\r\nINFO b\x1b[0m"
    assert all(line.startswith("    ") for line in others)
    assert "    INFO all is well" in others
