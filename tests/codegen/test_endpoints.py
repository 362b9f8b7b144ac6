"""Behaviour of the generated endpoint modules and of the plain client."""

from __future__ import annotations

import datetime as dt
from typing import Any

import httpx
import numpy as np
import pytest


def sample_request(models: Any, tokens: Any) -> Any:
    chunk = models.EncodedTextChunk(tokens=tokens)
    prompt = models.ModelInput(chunks=[chunk])
    return models.SampleRequest(prompt=prompt, user_metadata=None, detail=None)


def test_build_request_describes_a_json_call(toy: Any, models: Any) -> None:
    """Everything a transport needs is in the Request, and nothing has been sent."""
    body = models.TrainRequest(data=[], loss="ppo", model_id="m")
    request = toy("api.training.train").build_request(body=body)
    assert (request.operation, request.method, request.path) == ("train", "POST", "/api/v1/train")
    assert request.body == body.to_dict()
    assert request.content is None
    assert request.content_type == "application/json"
    assert request.headers == {"accept": "application/json"}
    assert request.params == {}
    assert request.secured
    assert toy("types").loads(request.encode()) == body.to_dict()


def test_docs_of_an_operation_carry_its_descriptions(toy: Any) -> None:
    """Summary, description, route and parameters are in the docs."""
    module = toy("api.training.train")
    assert module.__doc__.startswith("Train on a batch.\n\nThe batch is applied at once")
    assert module.__doc__.endswith("POST /api/v1/train\n")
    assert (
        "run_id: The run, such as a:b." in toy("api.runs.delete_checkpoint").build_request.__doc__
    )


def test_an_array_and_its_list_give_the_same_bytes(toy: Any, models: Any) -> None:
    """Requests built from numpy arrays are those built from lists, byte by byte."""
    build = toy("api.sampling.sample").build_request
    array = build(body=sample_request(models, np.arange(300)))
    assert array.encode() == build(body=sample_request(models, list(range(300)))).encode()


def test_repr_of_a_request_holds_no_payload(toy: Any, models: Any) -> None:
    """Logging a request cannot print a batch."""
    request = toy("api.sampling.sample").build_request(body=sample_request(models, [424242]))
    assert "424242" not in repr(request)
    binary = toy("api.training.train_binary").build_request(body=b"424242")
    assert "424242" not in repr(binary)


def test_path_parameters_are_quoted_except_colons(toy: Any) -> None:
    """Slashes, blanks, percent signs and non-ASCII letters stay inside their segment."""
    request = toy("api.runs.delete_checkpoint").build_request(
        run_id="a:train:0", kind="weights", checkpoint_name="x/../y ?#%é"
    )
    assert request.method == "DELETE"
    assert request.path == (
        "/api/v1/runs/a:train:0/checkpoints/weights/x%2F..%2Fy%20%3F%23%25%C3%A9"
    )


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_path_parameters_cannot_change_the_path(toy: Any, name: str) -> None:
    """A segment that servers or proxies would resolve away is refused."""
    with pytest.raises(ValueError, match="path parameter"):
        toy("api.runs.get_archive_url").build_request(run_id=name)


def test_query_parameters_are_sent_when_set(toy: Any) -> None:
    """Defaults of the description are sent, None is not; an array repeats its key."""
    build = toy("api.runs.list_runs").build_request
    assert build().params == {"limit": 20, "access_scope": "owned"}
    assert build(limit=None, access_scope=None).params == {}
    assert build(
        limit=5,
        offset=0,
        access_scope="accessible",
        public=False,
        since=dt.datetime(2026, 1, 2, tzinfo=dt.UTC),
        ids=["a", "b"],
        class_="c",
    ).params == {
        "limit": 5,
        "offset": 0,
        "access_scope": "accessible",
        "public": False,
        "since": "2026-01-02T00:00:00+00:00",
        "ids": ["a", "b"],
        "class": "c",
    }


def test_header_parameters_are_headers(toy: Any) -> None:
    """A header parameter that is not set is not sent."""
    build = toy("api.runs.download").build_request
    bare = build(run_id="r", expires=1, signature="s")
    assert bare.headers == {"accept": "application/octet-stream"}
    assert bare.params == {"expires": 1, "signature": "s"}
    assert not bare.secured
    ranged = build(run_id="r", expires=1, signature="s", range_="bytes=5-")
    assert ranged.headers["range"] == "bytes=5-"


def test_binary_operations_take_and_give_bytes(toy: Any) -> None:
    """A binary body goes to the path it has on the wire, under its own media type."""
    module = toy("api.training.train_binary")
    request = module.build_request(body=b"\x00\x01")
    assert request.operation == "train_binary"
    assert request.path == "/api/v1/train"
    assert request.encode() == b"\x00\x01"
    assert request.content_type == "application/x-protobuf"
    assert module.parse_response(b"\x02") == b"\x02"


def test_an_optional_body_may_be_left_out(toy: Any) -> None:
    """Without body there are neither bytes nor a media type."""
    request = toy("api.training.poll").build_request()
    assert request.encode() is None
    assert request.content_type is None


def test_event_streams_ask_for_events(toy: Any, models: Any) -> None:
    """The request of a streaming operation serves a streaming transport too."""
    module = toy("api.sampling.stream")
    request = module.build_request(body=sample_request(models, [1]))
    assert request.headers == {"accept": "text/event-stream"}
    assert module.parse_response(b"data: \xc3\xa9\n\n") == "data: é\n\n"


def test_sync_sends_and_parses(toy: Any, models: Any, server: Any) -> None:
    """A round trip over a real connection: prefix, key, body and answer."""
    server.body = b'{"request_id":"r"}'
    body = models.TrainRequest(data=[], loss="ppo", model_id="m")
    with toy().Client(base_url=server.base_url, token="key", headers={"x-extra": "1"}) as client:
        assert toy("api.training.train").sync(client=client, body=body).request_id == "r"
    method, path, headers, sent = server.asked[0]
    assert (method, path) == ("POST", "/prefix/api/v1/train")
    assert headers["x-api-key"] == "key"
    assert headers["x-extra"] == "1"
    assert headers["content-type"] == "application/json"
    assert toy("types").loads(sent) == body.to_dict()


def test_the_key_goes_to_secured_operations_only(toy: Any, server: Any) -> None:
    """A signed URL is fetched without credentials; quoting and query arrive as built."""
    server.status, server.body = 206, b"part"
    with toy().Client(base_url=server.base_url, token="key") as client:
        download = toy("api.runs.download")
        assert download.sync(client=client, run_id="a/b:c", expires=1, signature="s") == b"part"
    _, path, headers, _ = server.asked[0]
    assert path == "/prefix/api/v1/runs/a%2Fb:c/download?expires=1&signature=s"
    assert "x-api-key" not in headers


def test_booleans_in_queries_are_lower_case(toy: Any, server: Any) -> None:
    """The query on the wire is what the API expects."""
    server.body = b'{"runs":[]}'
    with toy().Client(base_url=server.base_url) as client:
        toy("api.runs.list_runs").sync(client=client, public=True, ids=["a", "b"])
    assert server.asked[0][1].endswith("?limit=20&access_scope=owned&public=true&ids=a&ids=b")


def test_successes_without_body_give_none(toy: Any, server: Any) -> None:
    """204 is a documented success; so is a redirect, which is reported and not followed."""
    with toy().Client(base_url=server.base_url) as client:
        server.status = 204
        names = {"run_id": "r", "kind": "weights", "checkpoint_name": "n"}
        assert toy("api.runs.delete_checkpoint").sync(client=client, **names) is None
        server.status, server.headers = 302, {"location": "http://elsewhere.example/"}
        archive = toy("api.runs.get_archive_url")
        assert archive.sync(client=client, run_id="r") is None
        found = client.send(archive.build_request(run_id="r"))
        assert found.status_code == 302
        assert found.headers["location"] == "http://elsewhere.example/"
        server.status, server.body = 200, b'{"url":"u","expires":"2026-01-02T03:04:05Z"}'
        assert toy("api.runs.get_archive_url").sync(client=client, run_id="r").url == "u"


@pytest.mark.parametrize("status", [201, 400, 404, 418, 499, 500, 520, 599])
def test_other_statuses_raise_unexpected_status(toy: Any, server: Any, status: int) -> None:
    """Errors, documented or not, of any number and body, are raised, and the message is short."""
    server.status, server.body = status, b"<html>" + b"\xc3\xa9" * 5000
    with (
        toy().Client(base_url=server.base_url) as client,
        pytest.raises(toy("errors").UnexpectedStatus) as caught,
    ):
        toy("api.runs.get_config").sync(client=client)
    assert caught.value.status_code == status
    assert caught.value.content == server.body
    assert str(caught.value) == f"unexpected status {status}: <html>{'é' * 194}"
    assert len(repr(caught.value)) < 200


def test_the_client_hides_its_key_and_cannot_be_changed(toy: Any) -> None:
    """No repr shows the key, no method changes a client that others use, waits are finite."""
    with toy().Client(base_url="http://127.0.0.1:9", token="s3cret") as client:
        assert "s3cret" not in repr(client)
        assert not [name for name in dir(client) if name.startswith(("with_", "set_"))]
        with pytest.raises(AttributeError):
            client.timeout = 1.0
        assert 0 < client.timeout < 600
    for forever in (None, 0, float("inf"), float("nan")):
        with pytest.raises((TypeError, ValueError)):
            toy().Client(base_url="http://127.0.0.1:9", timeout=forever)


def test_the_client_closes_its_connections(toy: Any, server: Any) -> None:
    """After the with block nothing more is sent."""
    with toy().Client(base_url=server.base_url) as client:
        toy("api.runs.get_config").sync(client=client)
    with pytest.raises(RuntimeError):
        toy("api.runs.get_config").sync(client=client)


def test_the_client_takes_a_transport(toy: Any) -> None:
    """Tests of users can put their own transport in."""
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=b'{"a":1}'))
    with toy().Client(base_url="http://toy.example", transport=transport) as client:
        assert toy("api.runs.get_config").sync(client=client) == {"a": 1}
