"""Sampling: parameters, determinism, company, streams."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from local.wire import NANO, Model, Wire, datum, prompt
from tinkex_generated.models import SampleStreamChunk

from tinkex.local import LocalServer
from tinkex.local.routes.sampling import read_stop


def sample(wire: Wire, tokens: tuple[int, ...] = (5, 6), **more: Any) -> Any:
    params = {"max_tokens": 6, "seed": 3, **more.pop("params", {})}
    body = {"prompt": prompt(*tokens), "sampling_params": params, **more}
    if not body.keys() & {"sampling_session_id", "model_path", "base_model"}:
        body["base_model"] = NANO
    return wire.result(wire.post("asample", **body))


@pytest.fixture(scope="module")
def counting(running: tuple[LocalServer, Wire]) -> Model:
    """A model that counts: after 5 comes 6, and so on to 10."""
    model = running[1].model()
    while model.step([datum([5, 6, 7, 8, 9])], 1e-2) > 0.05:
        continue
    return model


def test_same_seed_same_sample(wire: Wire) -> None:
    """A seed fixes the tokens and logprobs; another seed gives others."""
    first = sample(wire, num_samples=3)
    assert sample(wire, num_samples=3) == first
    assert sample(wire, num_samples=3, params={"seed": 4}) != first
    tokens = [tuple(one["tokens"]) for one in first["sequences"]]
    assert len(set(tokens)) == 3
    assert all(len(one["logprobs"]) == len(one["tokens"]) for one in first["sequences"])


def test_the_promise_names_its_sequences(wire: Wire) -> None:
    """Newer clients want one id per sample in the promise."""
    body = {"base_model": NANO, "prompt": prompt(1), "sampling_params": {"max_tokens": 1}}
    ids = wire.post("asample", num_samples=3, **body)["sample_sequence_ids"]
    assert len(set(ids)) == 3


def test_saved_weights_are_sampled_by_every_way(wire: Wire, counting: Model) -> None:
    """A checkpoint answers the same through a session, directly, and after an ephemeral save."""
    model = counting
    path = model.call("save_weights_for_sampler", path="ways")["path"]
    ephemeral = model.call("save_weights_for_sampler", sampling_session_seq_id=0)
    resumable = model.call("save_weights", path="w")["path"]
    by_session = wire.sampler(model.session_id, 1, model_path=path)
    greedy = {"temperature": 0.0, "max_tokens": 4}
    answers = [
        sample(wire, (5, 6), params=greedy, **where)["sequences"][0]["tokens"]
        for where in (
            {"model_path": path},
            {"model_path": resumable},
            {"sampling_session_id": by_session, "seq_id": 0},
            {"sampling_session_id": ephemeral["sampling_session_id"], "seq_id": 0},
        )
    ]
    assert answers == [[7, 8, 9, 10]] * 4
    assert wire.get(f"samplers/{by_session}")["model_path"] == path


def test_stop_forms() -> None:
    """null means the model's own end, [] none, strings and tokens what they say."""
    assert read_stop(None) == (None, ())
    assert read_stop([]) == ((), ())
    assert read_stop("end") == (None, ("end",))
    assert read_stop(["a", "b"]) == (None, ("a", "b"))
    assert read_stop([7, 8]) == ((7, 8), ())


def test_stops_end_a_sequence(wire: Wire, counting: Model) -> None:
    """A stop token and a stop string both end the sequence and say why."""
    path = counting.call("save_weights_for_sampler")["path"]

    def greedy(stop: Any) -> Any:
        params = {"temperature": 0.0, "max_tokens": 4, "stop": stop}
        (one,) = sample(wire, (5, 6), model_path=path, params=params)["sequences"]
        return one["tokens"], one["stop_reason"]

    assert greedy([8]) == ([7, 8], "stop")
    assert greedy([]) == ([7, 8, 9, 10], "length")
    from tokenizers import Tokenizer

    text = wire.http.get("tokenizers", params={"model": NANO}).text
    string = Tokenizer.from_str(text).decode([8], skip_special_tokens=False)
    assert greedy(string) == ([7, 8], "stop")
    assert greedy([string, "never"]) == ([7, 8], "stop")


def test_prompt_logprobs_belong_to_the_prompt(wire: Wire) -> None:
    """One entry per prompt token, null first; top-k rows hold the likeliest tokens in order."""
    answer = sample(wire, (5, 6, 7), prompt_logprobs=True, topk_prompt_logprobs=3)
    assert answer["prompt_logprobs"][0] is None
    assert len(answer["prompt_logprobs"]) == 3
    rows = answer["topk_prompt_logprobs"]
    assert rows[0] is None
    for row in rows[1:]:
        assert len(row) == 3
        assert [value for _, value in row] == sorted((value for _, value in row), reverse=True)
    plain = sample(wire, (5, 6, 7))
    assert "prompt_logprobs" not in plain
    assert plain["sequences"] == answer["sequences"]


def test_without_a_limit_sampling_continues_to_the_end_of_the_context(wire: Wire) -> None:
    """max_tokens may be left out."""
    answer = sample(wire, (5, 6), params={"max_tokens": None, "stop": []})
    assert len(answer["sequences"][0]["tokens"]) == 512 - 2


def test_what_to_sample_from_must_be_clear(wire: Wire) -> None:
    """A session, or exactly one of model and path; unknown ones are told apart."""
    body = {"prompt": prompt(1), "sampling_params": {}}

    def status(**more: Any) -> int:
        return wire.send("asample", **body, **more).status_code

    assert status() == 400
    assert status(base_model=NANO, model_path="tinker://a/sampler_weights/b") == 400
    assert status(base_model="none") == 404
    assert status(model_path="tinker://a/sampler_weights/b") == 404
    assert status(sampling_session_id="none", seq_id=0) == 404
    assert status(base_model=NANO, num_samples=100_000) == 400


@pytest.mark.parametrize(
    ("more", "place"),
    [
        ({"topk_sample_logprobs": 512, "num_samples": 1000}, "topk_sample_logprobs is 512 for"),
        ({"prompt_alt_tokens_k": 2**30}, "prompt_alt_tokens_k is"),
        (
            {
                "target_prompt_logprobs": {
                    "data": [],
                    "dtype": "int64",
                    "shape": [1, 2**40],
                    "sparse_crow_indices": [0, 0],
                    "sparse_col_indices": [],
                }
            },
            "target_prompt_logprobs.shape",
        ),
        (
            {"target_prompt_logprobs": {"data": [1.0], "dtype": "float32", "shape": [1, 1]}},
            "target_prompt_logprobs.dtype",
        ),
    ],
)
def test_a_response_that_memory_could_not_hold_is_refused(
    wire: Wire, more: dict[str, Any], place: str
) -> None:
    """A few bytes of a request cannot ask for gigabytes; the field is named."""
    body = {"base_model": NANO, "prompt": prompt(1, 2), "sampling_params": {}}
    refused = wire.send("asample", **body, **more)
    assert refused.status_code == 400
    assert place in refused.json()["detail"]


EXTRAS: dict[str, Any] = {
    "prompt_logprobs": True,
    "prompt_logprobs_last_n": 2,
    "topk_sample_logprobs": 3,
    "prompt_alt_tokens_k": 2,
    "target_prompt_logprobs": {"data": [6, -1, 8, 7, 0, 1], "dtype": "int64", "shape": [3, 2]},
}


def test_newer_results_come_as_json_too(wire: Wire) -> None:
    """The hosted service has them in the binary form only; here they are in both."""
    answer = sample(wire, (5, 6, 7, 8), **EXTRAS)
    (sequence,) = answer["sequences"]
    assert [len(row) for row in sequence["topk_logprobs"]] == [3] * len(sequence["tokens"])
    assert answer["prompt_logprobs"][:2] == [None, None]
    assert None not in answer["prompt_logprobs"][2:]
    targets = answer["target_prompt_logprobs"]
    assert (targets["dtype"], targets["shape"]) == ("float32", [3, 2])
    assert targets["data"][1] == 0.0
    assert answer["prompt_alt_tokens"]["tokens"]["shape"] == [3, 2]
    plain = sample(wire, (5, 6, 7, 8))
    assert plain.keys() == {"type", "sequences"}
    assert plain["sequences"][0].keys() == {"tokens", "logprobs", "stop_reason"}


def test_sparse_targets_get_sparse_logprobs(wire: Wire) -> None:
    """Only listed cells are asked for; the result has the layout of the request."""
    sparse = {
        "data": [8, 5],
        "dtype": "int64",
        "shape": [3, 4],
        "sparse_crow_indices": [0, 1, 1, 2],
        "sparse_col_indices": [2, 0],
    }
    dense = {"data": [-1, -1, 8, -1, *[-1] * 4, 5, -1, -1, -1], "dtype": "int64", "shape": [3, 4]}
    found, whole = (
        sample(wire, (5, 6, 7, 8), target_prompt_logprobs=asked)["target_prompt_logprobs"]
        for asked in (sparse, dense)
    )
    assert found["data"] == [whole["data"][2], whole["data"][8]]
    assert found["shape"] == [3, 4]
    assert found["sparse_crow_indices"] == [0, 1, 1, 2]
    assert found["sparse_col_indices"] == [2, 0]


def test_a_sampling_session_needs_something_that_exists(wire: Wire) -> None:
    """Wrong bases are refused when the session is made, not at the first sample."""
    session = wire.session()

    def status(**more: Any) -> int:
        body = {"session_id": session, "sampling_session_seq_id": 0, **more}
        return wire.send("create_sampling_session", **body).status_code

    path = wire.model().call("save_weights_for_sampler", path="s")["path"]
    assert status() == 400
    assert status(base_model="none") == 404
    assert status(base_model="tinkex/tiny-chat", model_path=path) == 400
    assert status(base_model=NANO, model_path=path) == 200
    assert status(base_model=NANO, session_id="none") == 404


def test_many_clients_sample_at_once_and_get_what_they_would_get_alone(
    wire: Wire, counting: Model
) -> None:
    """Samples run in common batches, across adapters, without touching each other."""
    path = counting.call("save_weights_for_sampler")["path"]
    requests = [
        {
            "tokens": (index, index + 1),
            "params": {"seed": index, "max_tokens": 3 + index % 4},
            **where,
        }
        for index in range(12)
        for where in ({"base_model": NANO}, {"model_path": path})
    ]
    alone = [sample(wire, **request) for request in requests]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda request: sample(wire, **request), requests))
    assert [tokens_of(one) for one in together] == [tokens_of(one) for one in alone]


def tokens_of(answer: Any) -> Any:
    return [sequence["tokens"] for sequence in answer["sequences"]]


def test_queued_samples_run_in_one_batch(wire: Wire, server: LocalServer, monkeypatch: Any) -> None:
    """What is queued for a base when its turn comes is one call of the engine."""
    from tinkex.local.engine import Sampler

    entered, go_on = threading.Event(), threading.Event()
    batches: list[int] = []
    real = Sampler.sample

    def watched(self: Sampler, jobs: Any, *more: Any) -> Any:
        batches.append(len(jobs))
        if len(batches) == 1:
            entered.set()
            assert go_on.wait(30)
        return real(self, jobs, *more)

    monkeypatch.setattr(Sampler, "sample", watched)
    body = {"base_model": NANO, "prompt": prompt(1), "sampling_params": {"max_tokens": 1}}
    first = wire.post("asample", **body)
    assert entered.wait(30)
    others = [wire.post("asample", **body) for _ in range(5)]
    go_on.set()
    for promise in (first, *others):
        wire.result(promise)
    assert batches == [1, 5]


def test_joined_clients_get_numbers_of_their_own(wire: Wire) -> None:
    """Copies of a sampling client are told apart."""
    sampler = wire.sampler()
    counters = [
        wire.post("join_sampling_session", sampling_session_id=sampler)["client_counter"]
        for _ in range(2)
    ]
    assert counters == [1, 2]


def events_of(response: httpx.Response) -> Any:
    for line in response.iter_lines():
        if line:
            assert line.startswith("data: ")
            event = json.loads(line.removeprefix("data: "))
            assert SampleStreamChunk.from_dict(event).to_dict() == event
            yield event


def test_a_stream_yields_while_the_answer_is_still_coming(wire: Wire, monkeypatch: Any) -> None:
    """The first token is readable before the second one is computed."""
    from tinkex.local.streaming import TokenFeed

    seen_by_client = threading.Event()
    real = TokenFeed.token
    count = 0

    def gated(self: TokenFeed, *token: Any) -> None:
        nonlocal count
        count += 1
        if count == 2:
            assert seen_by_client.wait(30), "the first token did not reach the client"
        real(self, *token)

    monkeypatch.setattr(TokenFeed, "token", gated)
    body = {
        "base_model": NANO,
        "prompt": prompt(5, 6),
        "sampling_params": {"max_tokens": 4, "seed": 3, "stop": []},
    }
    with wire.http.stream("POST", "stream_sample", json=body) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        events = events_of(response)
        first = next(events)
        seen_by_client.set()
        rest = list(events)
    tokens = [first, *rest[:-1]]
    plain = sample(wire, (5, 6), params={"max_tokens": 4, "stop": []})["sequences"][0]
    assert [event["token_id"] for event in tokens] == plain["tokens"]
    assert [event["logprob"] for event in tokens] == plain["logprobs"]
    assert rest[-1] == {"index": 0, "finish_reason": "length", "total_tokens": 4}


def test_a_stream_carries_text_and_errors(wire: Wire) -> None:
    """Tokens come with their text; a failure is an event of its own."""
    from tokenizers import Tokenizer

    text = wire.http.get("tokenizers", params={"model": NANO}).text
    tokenizer = Tokenizer.from_str(text)
    ids = tokenizer.encode("hello there, you").ids
    path = "tinker://none/sampler_weights/s"
    assert (
        wire.send(
            "stream_sample", model_path=path, prompt=prompt(1), sampling_params={}
        ).status_code
        == 404
    )
    model = wire.model()
    while model.step([datum(ids[:-1], ids[1:])], 1e-2) > 0.05:
        continue
    path = model.call("save_weights_for_sampler", path="s")["path"]
    params = {"max_tokens": len(ids) - 1, "temperature": 0.0, "stop": []}
    body = {"model_path": path, "prompt": prompt(ids[0]), "sampling_params": params}
    with wire.http.stream("POST", "stream_sample", json=body) as response:
        spoken = "".join(event.get("token", "") for event in events_of(response))
    assert tokenizer.decode(ids[:1]) + spoken == "hello there, you"
    body["prompt"] = prompt(99_999)
    with wire.http.stream("POST", "stream_sample", json=body) as response:
        (event,) = events_of(response)
    assert "99999" in event["error"]


def test_closing_a_stream_stops_the_sample(wire: Wire, server: LocalServer) -> None:
    """A reader that leaves does not keep the engine busy to the end of the context."""
    from tinkex.local.engine_thread import SampleTicket

    tickets: list[SampleTicket] = []
    real = server._app_state.engine.put_sample
    server._app_state.engine.put_sample = lambda base, ticket: (
        tickets.append(ticket),
        real(base, ticket),
    )[1]  # type: ignore[method-assign]
    body = {"base_model": NANO, "prompt": prompt(5), "sampling_params": {"stop": []}}
    try:
        with wire.http.stream("POST", "stream_sample", json=body) as response:
            next(events_of(response))
    finally:
        del server._app_state.engine.put_sample  # type: ignore[method-assign]
    # The engine works in order: when the next sample is done, so is the one that was left.
    sample(wire, params={"max_tokens": 1})
    assert tickets[0].cancelled or tickets[0].promise.done


def test_characters_of_several_tokens_come_whole() -> None:
    """A piece of text never ends inside a character."""
    from tinkex.local.streaming import TextSoFar

    spoken = "naïve 🙂!".encode()
    text = TextSoFar(lambda ids: bytes(ids).decode("utf-8", "replace"))
    pieces = [text.add(byte) for byte in spoken]
    assert "".join(pieces) == "naïve 🙂!"
    assert "�" not in "".join(pieces)


@pytest.mark.parametrize("seed", [0, -1, 2**63 - 1])
def test_any_64_bit_seed_is_taken(wire: Wire, seed: int) -> None:
    """Seeds outside the engine's range are folded, not refused."""
    assert sample(wire, params={"seed": seed}) == sample(wire, params={"seed": seed})
