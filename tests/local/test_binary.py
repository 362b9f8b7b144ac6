"""The local server takes and gives the binary form, made and read by the official package."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from local.wire import NANO, Model, Wire, datum, loss_input, prompt, served
from support.messages import fill_map, message
from tinkex_generated.errors import ParseError

from tinkex._base.protobuf import MEDIA_TYPE
from tinkex.local.app_state import Options
from tinkex.local.binary import read_request, write_result

TOKENS, TARGETS = [5, 6, 7, 8], [6, 7, 8, 9]


def tensor(values: Any, dtype: str, code: int) -> Any:
    array = np.array(values, dtype)
    return message("Tensor", dense=array.tobytes(), dtype=code, shape=array.shape)


def text(tokens: list[int]) -> Any:
    chunk = message("EncodedTextChunk", tokens=np.array(tokens, "<i4").tobytes())
    return message("Chunk", encoded_text=chunk)


def example(*chunks: Any, **inputs: Any) -> Any:
    made = message("Datum", model_input=chunks or [text(TOKENS)])
    tensors = {"target_tokens": tensor(TARGETS, "<i8", 2), "weights": tensor([1.0] * 4, "<f4", 1)}
    fill_map(made.loss_fn_inputs, {**tensors, **inputs})
    return made


def misused() -> Any:
    """Return a Tensor with a number where the sparse values should be, as no client writes it."""
    made = message("Tensor")
    made.ParseFromString(bytes([2 << 3 | 1]) + bytes(8))
    return made


def request(
    model_id: str, seq_id: int, *data: Any, loss: str = "cross_entropy", **more: Any
) -> Any:
    fields = {"model_id": model_id, "seq_id": seq_id, "loss_fn": loss, **more}
    return message("ForwardBackwardRequest", data=data or [example()], **fields)


def post(wire: Wire, made: Any, **headers: str) -> httpx.Response:
    content = made if isinstance(made, bytes) else made.SerializeToString()
    return wire.http.post(
        "forward_backward", content=content, headers={"content-type": MEDIA_TYPE, **headers}
    )


def outcome(wire: Wire, promise: Any, kind: str) -> Any:
    """Wait for a result in the binary form and read it by the official package."""
    body = {"request_id": promise["request_id"]}
    response = wire.http.post("retrieve_future", json=body, headers={"accept": MEDIA_TYPE})
    assert response.headers["content-type"] == MEDIA_TYPE, response.text
    made = message(kind)
    made.ParseFromString(response.content)
    return made


def loss(wire: Wire, response: httpx.Response) -> float:
    assert response.is_success, response.text
    return float(outcome(wire, response.json(), "ForwardBackwardOutput").metrics["loss:sum"])


@pytest.fixture
def model(wire: Wire) -> Model:
    return wire.model()


def test_a_pass_in_the_binary_form_is_the_pass_in_json(model: Model) -> None:
    """Loss and logprobs of a protobuf request are those of the JSON request, to the last bit."""
    wire = model.wire
    promise = post(wire, request(model.model_id, 1)).json()
    assert promise["model_id"] == model.model_id
    binary = outcome(wire, promise, "ForwardBackwardOutput")
    same = model.wire.post(
        "forward",
        model_id=model.model_id,
        seq_id=2,
        forward_input=loss_input([datum(TOKENS, TARGETS)]),
    )
    plain = wire.result(same)
    assert binary.loss_fn_output_type == plain["loss_fn_output_type"]
    assert dict(binary.metrics) == plain["metrics"]
    (record,) = binary.loss_fn_outputs
    logprobs = np.frombuffer(record.fields["logprobs"].data, "<f4")
    expected = np.array(plain["loss_fn_outputs"][0]["logprobs"]["data"], np.float32)
    assert logprobs.tobytes() == expected.tobytes()
    assert (record.num_datums, record.fields["logprobs"].dtype) == (1, 1)


@pytest.mark.parametrize("encoding", ["identity", "zstd"])
def test_a_refused_binary_request_holds_up_no_later_number(model: Model, encoding: str) -> None:
    """Its number is read from what can be read of it."""
    made = request(model.model_id, 1, example(target_tokens=misused())).SerializeToString()
    content = zstandard.compress(made) if encoding == "zstd" else made
    headers = {"content-encoding": encoding} if encoding == "zstd" else {}
    assert post(model.wire, content, **headers).status_code == 422
    loss(model.wire, post(model.wire, request(model.model_id, 2)))


def test_forward_only_leaves_the_gradients_alone(model: Model) -> None:
    """A step after it changes nothing, after a pass with gradients it does."""
    wire, losses = model.wire, []
    for number, forward_only in ((1, True), (3, False), (5, True)):
        made = request(model.model_id, number, forward_only=forward_only)
        losses.append(loss(wire, post(wire, made)))
        params = {"learning_rate": 1e-2}
        step = wire.post(
            "optim_step", model_id=model.model_id, seq_id=number + 1, adam_params=params
        )
        wire.result(step)
    assert losses[0] == losses[1] > losses[2]


def test_a_repeated_number_is_the_same_request_in_either_form(model: Model) -> None:
    """The same pass again, as protobuf or JSON, has the same promise; another one is a conflict."""
    wire = model.wire
    body = {
        "model_id": model.model_id,
        "seq_id": 1,
        "forward_backward_input": loss_input([datum(TOKENS, TARGETS)]),
    }
    first = post(wire, request(model.model_id, 1)).json()
    assert post(wire, request(model.model_id, 1)).json() == first
    assert wire.post("forward_backward", **body) == first
    other = post(wire, request(model.model_id, 1, example(), example()))
    assert other.status_code == 409
    assert post(wire, request(model.model_id, 1, forward_only=True)).status_code == 409


def test_sparse_and_narrow_tensors_are_taken(model: Model) -> None:
    """CSR weights, int32 targets and bfloat16 weights mean the same as dense wide ones."""
    wire = model.wire
    halves = np.array([1, 0, 1, 0], "<f4").view("<u4") >> 16
    sparse = message(
        "SparseCsr",
        values=np.array([1, 1], "<f4").tobytes(),
        crow_indices=np.array([0, 1, 1, 2, 2], "<i8").tobytes(),
        col_indices=np.array([0, 0], "<i8").tobytes(),
    )
    forms = [
        {"weights": tensor([1, 0, 1, 0], "<f4", 1)},
        {"weights": message("Tensor", dense=halves.astype("<u2").tobytes(), dtype=4, shape=[4])},
        {
            "weights": tensor([1, 0, 1, 0], "<f4", 1),
            "target_tokens": message(
                "Tensor", dense=np.array(TARGETS, "<i4").tobytes(), dtype=3, shape=[4]
            ),
        },
        {
            "weights": message("Tensor", sparse_csr=sparse, dtype=1, shape=[4, 1]),
            "target_tokens": tensor(np.array(TARGETS)[:, None], "<i8", 2),
        },
    ]
    losses = [
        loss(wire, post(wire, request(model.model_id, number, example(**inputs))))
        for number, inputs in enumerate(forms, 1)
    ]
    assert len(set(losses)) == 1


def test_settings_come_in_two_maps(model: Model) -> None:
    """Those of the second map win, as newer clients write both."""
    inputs = {
        "logprobs": tensor([-60.0] * 4, "<f4", 1),
        "advantages": tensor([1.0] * 4, "<f4", 1),
    }
    old = {"clip_low_threshold": 0.5, "clip_high_threshold": 3.0}
    made = request(model.model_id, 1, example(**inputs), loss="ppo", loss_fn_config=old)
    del made.data[0].loss_fn_inputs["weights"]
    assert loss(model.wire, post(model.wire, made)) == -12.0
    made.seq_id = 2
    made.loss_fn_config_v2["clip_high_threshold"].number = 2.0
    assert loss(model.wire, post(model.wire, made)) == -8.0


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        ({"model_id": ""}, 422, "is missing"),
        ({"seq_id": -1}, 422, "must be at least 1"),
        ({"loss_fn": "mse"}, 400, "loss 'mse' is not available here"),
        ({"data": [example(text([-1]))]}, 422, "negative token id"),
        ({"data": [example(message("Chunk"))]}, 422, "no known kind"),
        ({"data": [example(message("Chunk", dmel=message("DmelChunk", dmel=b"x")))]}, 400, "audio"),
        ({"data": [example(message("Chunk", image=message("ImageChunk", data=b"x")))]}, 400, "audio"),
        ({"data": [example(weights=message("Tensor", dense=b"123", dtype=1))]}, 422, "3 bytes"),
        ({"data": [example(weights=message("Tensor", dense=b""))]}, 422, "unknown dtype 0"),
        ({"data": [example(weights=misused())]}, 422, "unknown dtype 0"),
        ({"data": [example(weights=tensor([np.nan] * 4, "<f4", 1))]}, 400, "float32 cannot hold"),
        ({"data": [example(weights=message("Tensor", dense=b"1234", dtype=1, shape=[2]))]}, 400, "[2]"),
    ],
)  # fmt: skip
def test_what_cannot_be_right_is_named(
    model: Model, change: dict[str, Any], status: int, said: str
) -> None:
    """Values that JSON's schema would refuse are refused here too, with their place."""
    fields = {"model_id": model.model_id, "seq_id": 1, "loss_fn": "cross_entropy", **change}
    fields.setdefault("data", [example()])
    response = post(model.wire, message("ForwardBackwardRequest", **fields))
    assert (response.status_code, said in response.text) == (status, True), response.text
    assert post(model.wire, request(model.model_id, 1)).is_success


def test_bytes_that_are_no_message_are_refused(model: Model) -> None:
    """A cut body is a 422 that says where it ends."""
    whole = request(model.model_id, 1).SerializeToString()
    response = post(model.wire, whole[:-3])
    assert response.status_code == 422
    assert "too early" in response.text


def test_only_passes_have_a_binary_form(wire: Wire) -> None:
    """Other routes answer 415 to a protobuf body."""
    response = wire.http.post("optim_step", content=b"", headers={"content-type": MEDIA_TYPE})
    assert response.status_code == 415


def test_results_without_a_binary_form_are_json(model: Model) -> None:
    """Steps and failures come as JSON, however the client asks."""
    wire = model.wire
    step = wire.post("optim_step", model_id=model.model_id, seq_id=1, adam_params={})
    unknown = post(wire, request(model.model_id, 2, example(text([5, 6, 7, 10**6])))).json()
    for promise, key in ((step, "metrics"), (unknown, "error")):
        body = {"request_id": promise["request_id"]}
        response = wire.http.post("retrieve_future", json=body, headers={"accept": MEDIA_TYPE})
        assert response.headers["content-type"] == "application/json"
        assert key in response.json()


def test_samples_have_a_binary_form(wire: Wire) -> None:
    """Tokens, logprobs, prompt logprobs and top tokens are those of the JSON answer."""
    promise = wire.post(
        "asample",
        sampling_session_id=wire.sampler(),
        seq_id=0,
        num_samples=2,
        prompt=prompt(5, 6, 7),
        sampling_params={"max_tokens": 4, "seed": 1},
        prompt_logprobs=True,
        topk_prompt_logprobs=2,
    )
    plain, binary = wire.result(promise), outcome(wire, promise, "SampleResponse")
    for ours, theirs in zip(plain["sequences"], binary.sequences, strict=True):
        assert np.frombuffer(theirs.tokens, "<i4").tolist() == ours["tokens"]
        assert np.frombuffer(theirs.logprobs, "<f4").tolist() == ours["logprobs"]
        assert ["stop", "length"][theirs.stop_reason] == ours["stop_reason"]
    logprobs = np.frombuffer(binary.prompt_logprobs, "<f4").tolist()
    assert np.isnan(logprobs[0])
    assert logprobs[1:] == plain["prompt_logprobs"][1:]
    top = binary.topk_prompt_logprobs
    assert (top.k, top.length) == (2, 3)
    tokens = np.frombuffer(top.token_ids, "<i4").reshape(3, 2).tolist()
    assert tokens[0] == [0, 0]
    assert tokens[1:] == [[token for token, _ in row] for row in plain["topk_prompt_logprobs"][1:]]


def test_newer_results_of_samples_have_a_binary_form(wire: Wire) -> None:
    """Top tokens of the sample, target logprobs (dense and sparse) and alternatives are the JSON's."""
    sparse = {"sparse_crow_indices": [0, 1, 1], "sparse_col_indices": [1]}
    for layout in ({"data": [6, -1, 7, 8]}, {"data": [8], **sparse}):
        targets = {"dtype": "int64", "shape": [2, 2], **layout}
        promise = wire.post(
            "asample",
            base_model=NANO,
            prompt=prompt(5, 6, 7),
            sampling_params={"max_tokens": 4, "seed": 1},
            topk_sample_logprobs=2,
            prompt_alt_tokens_k=3,
            target_prompt_logprobs=targets,
        )
        plain, binary = wire.result(promise), outcome(wire, promise, "SampleResponse")
        top = binary.sequences[0].topk_sampled_logprobs
        rows = plain["sequences"][0]["topk_logprobs"]
        assert np.frombuffer(top.token_ids, "<i4").reshape(-1, 2).tolist() == [
            [token for token, _ in row] for row in rows
        ]
        found, expected = binary.target_prompt_logprobs, plain["target_prompt_logprobs"]
        assert list(found.shape) == [2, 2]
        is_sparse = found.HasField("sparse_csr")
        assert is_sparse == ("sparse_crow_indices" in layout)
        values = found.sparse_csr.values if is_sparse else found.dense
        assert values == np.array(expected["data"], "<f4").tobytes()
        if is_sparse:
            assert np.frombuffer(found.sparse_csr.crow_indices, "<i8").tolist() == [0, 1, 1]
            assert np.frombuffer(found.sparse_csr.col_indices, "<i8").tolist() == [1]
        alternatives = plain["prompt_alt_tokens"]
        drawn = np.frombuffer(binary.prompt_alt_tokens.tokens.dense, "<i8").tolist()
        assert drawn == alternatives["tokens"]["data"]
        logprobs = np.array(alternatives["logprobs"]["data"], "<f4").tobytes()
        assert binary.prompt_alt_tokens.logprobs.dense == logprobs


def test_a_client_that_takes_both_gets_the_binary_form(model: Model) -> None:
    """`Accept` with both types is answered as protobuf, `application/json` alone as JSON."""
    wire = model.wire
    promise = post(wire, request(model.model_id, 1)).json()
    body = {"request_id": promise["request_id"]}
    for accept, kind in (
        (f"{MEDIA_TYPE}, application/json", MEDIA_TYPE),
        ("application/json", "application/json"),
        ("*/*", "application/json"),
    ):
        response = wire.http.post("retrieve_future", json=body, headers={"accept": accept})
        assert response.headers["content-type"] == kind


def test_compressed_bodies_are_taken(model: Model) -> None:
    """A zstd frame is the request that it holds."""
    content = request(model.model_id, 1).SerializeToString()
    frame = zstandard.ZstdCompressor().compress(content)
    first = post(model.wire, frame, **{"content-encoding": "zstd"})
    assert first.is_success
    assert post(model.wire, content).json() == first.json()


@pytest.fixture
def narrow() -> Iterator[Wire]:
    with served(options=Options(max_body_bytes=10_000)) as (_, wire):
        yield wire


@pytest.mark.parametrize(
    ("content", "encoding", "status", "said"),
    [
        (b"no frame", "zstd", 422, "no zstd stream"),
        (zstandard.ZstdCompressor().compress(bytes(10**8)), "zstd", 413, "more than 10000 bytes"),
        (b"", "br", 415, "compress with zstd"),
    ],
)
def test_compressed_bodies_have_a_bound(
    narrow: Wire, content: bytes, encoding: str, status: int, said: str
) -> None:
    """What is no frame, grows beyond the limit or is compressed in another way is refused."""
    response = post(narrow, content, **{"content-encoding": encoding})
    assert (response.status_code, said in response.text) == (status, True), response.text


def test_without_the_package_zstd_is_refused(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer names the extra that the server lacks."""
    monkeypatch.setitem(sys.modules, "zstandard", None)
    response = post(wire, b"", **{"content-encoding": "zstd"})
    assert response.status_code == 415
    assert "pip install 'tinkex[zstd]'" in response.text


OUTPUTS = st.dictionaries(
    st.sampled_from(["a", "b"]),
    st.one_of(
        st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False) | st.none()).map(
            lambda values: {"data": values, "dtype": "float32", "shape": [len(values)]}
        ),
        st.lists(st.integers(-(2**63), 2**63 - 1), min_size=2, max_size=4).map(
            lambda values: {"data": values[:2], "dtype": "int64", "shape": [1, 2]}
        ),
    ),
)


@given(outputs=st.lists(OUTPUTS, max_size=4))
def test_ragged_results_come_in_several_records(outputs: list[Any]) -> None:
    """However outputs differ in names, dtypes and shapes, the official package reads them all."""
    payload = json.dumps(
        {"loss_fn_output_type": "T", "loss_fn_outputs": outputs, "metrics": {"m:sum": None}}
    )
    content = write_result(payload.encode())
    assert content is not None
    made = message("ForwardBackwardOutput")
    made.ParseFromString(content)
    assert np.isnan(made.metrics["m:sum"])
    read: list[dict[str, Any]] = []
    for record in made.loss_fn_outputs:
        for i in range(record.num_datums):
            read.append({name: part(field, i) for name, field in record.fields.items()})
    expected = [
        {name: [np.nan if v is None else v for v in t["data"]] for name, t in output.items()}
        for output in outputs
    ]
    assert same(read, expected)


def part(field: Any, i: int) -> list[Any]:
    ends = np.frombuffer(field.offsets, "<i8")
    values = np.frombuffer(field.data[ends[i] : ends[i + 1]], "<f4" if field.dtype == 1 else "<i8")
    return values.tolist()


def same(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> bool:
    return len(ours) == len(theirs) and all(
        one.keys() == other.keys()
        and all(np.array_equal(one[k], other[k], equal_nan=True) for k in one)
        for one, other in zip(ours, theirs, strict=True)
    )


@given(data=st.data())
def test_broken_requests_are_parse_errors(data: st.DataObject) -> None:
    """A request that was cut or whose bytes were changed is read or refused, and nothing else."""
    content = bytearray(request("M", 1, loss_fn_config={"x": 1.0}).SerializeToString())
    for _ in range(data.draw(st.integers(0, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    del content[data.draw(st.integers(0, len(content))) :]
    with contextlib.suppress(ParseError):
        read_request(bytes(content))
