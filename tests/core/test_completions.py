"""One held poll for all samples of a sampling session, where the server offers it."""

from __future__ import annotations

from typing import Any

import pytest
from support.nano import NANO
from support.scripted import Script, scripted_service
from tinkex_generated.models import ClientConfigResponse

from tinkex import ModelInput, SamplingParams, ServiceClient
from tinkex._core.server_config import ServerConfig
from tinkex.local import LocalServer

RESULT = {"sequences": [{"tokens": [5], "logprobs": [-0.5], "stop_reason": "stop"}]}
PROMPT = ModelInput.from_ints([1, 2])


def sampling(script: Script, *polls: Any) -> Script:
    """Let a script promise samples r0, r1, … and report them by these responses."""
    made: list[str] = []

    def promise(request: Any) -> Any:
        made.append(f"r{len(made)}")
        return {"request_id": made[-1]}

    script.on("POST client/config", {"sample_use_retrieve_futures": True})
    script.on("POST create_sampling_session", {"sampling_session_id": "SS"})
    script.on("POST asample", promise)
    script.on("POST retrieve_futures", *polls)
    script.on("POST retrieve_future", RESULT)
    return script


def finished(*names: str, cursor: int) -> dict[str, Any]:
    return {
        "completions": [{"state": "finished", "request_id": name} for name in names],
        "cursor": cursor,
    }


def test_samples_share_one_poll_and_are_retrieved_once(script: Script) -> None:
    """Three samples take the polls of one, and a retrieval each when they are reported."""
    sampling(script, finished(cursor=1), finished("r0", "r1", "r2", cursor=4))
    with scripted_service(script) as service:
        sampler = service.create_sampling_client(base_model="B")
        futures = [sampler.sample(PROMPT) for _ in range(3)]
        assert [future.result(10).sequences[0].tokens for future in futures] == [[5]] * 3
    assert len(script.sent("retrieve_future")) == 3
    polls = script.bodies("retrieve_futures")
    assert polls[0]["target"]["sampling_session_id"] == "SS"
    assert [poll["prev_cursor"] for poll in polls[:2]] == [0, 1]


def test_what_was_retrieved_is_told_with_the_next_poll(script: Script) -> None:
    """The server may forget results that were fetched."""
    sampling(script, finished("r0", cursor=1), finished("r1", cursor=2))
    with scripted_service(script) as service:
        sampler = service.create_sampling_client(base_model="B")
        sampler.sample(PROMPT).result(10)
        sampler.sample(PROMPT).result(10)
    told = [poll.get("retrieved_request_ids", []) for poll in script.bodies("retrieve_futures")]
    assert ["r0"] in told


def test_what_was_retrieved_is_reported_again_after_an_error(script: Script) -> None:
    """A server that failed at the report has not taken it."""
    sampling(script, finished("r0", cursor=1), 503, finished("r1", cursor=2))
    with scripted_service(script) as service:
        sampler = service.create_sampling_client(base_model="B")
        sampler.sample(PROMPT).result(10)
        sampler.sample(PROMPT).result(10)
    reported = [poll.get("retrieved_request_ids") for poll in script.bodies("retrieve_futures")]
    assert reported[1:3] == [["r0"], ["r0"]]


@pytest.mark.parametrize("refusal", [404, 405, 501, (200, b"[]"), (400, {"detail": "no"})])
def test_a_server_that_cannot_report_is_polled_for_each_sample(script: Script, refusal) -> None:
    """A switch that promises too much costs one request, and no sample."""
    sampling(script, refusal)
    with scripted_service(script) as service:
        sampler = service.create_sampling_client(base_model="B")
        futures = [sampler.sample(PROMPT) for _ in range(3)]
        assert all(future.result(10) for future in futures)
    assert len(script.sent("retrieve_futures")) == 1


def test_a_report_that_overtakes_the_promise_is_not_lost(script: Script) -> None:
    """The completion of a sample whose submission is still being answered counts."""
    sampling(script, finished("r0", "r1", cursor=2), finished(cursor=2))
    with scripted_service(script) as service:
        sampler = service.create_sampling_client(base_model="B")
        assert sampler.sample(PROMPT).result(10)
        assert sampler.sample(PROMPT).result(10)
    assert len(script.sent("retrieve_futures")) == 1


def test_the_local_server_reports_many_samples_at_once(tmp_path, monkeypatch) -> None:
    """Against a real implementation of the route, every sample gets its own result."""
    offered = ServerConfig(ClientConfigResponse(sample_use_retrieve_futures=True))
    monkeypatch.setattr("tinkex._core.session.fetch_server_config", lambda transport: offered)
    params = SamplingParams(max_tokens=2, temperature=0.0)
    with (
        LocalServer(data_dir=tmp_path) as server,
        ServiceClient(base_url=server.base_url) as service,
    ):
        sampler = service.create_sampling_client(base_model=NANO)
        prompts = [ModelInput.from_ints([1, 2, 3 + index]) for index in range(30)]
        futures = [sampler.sample(prompt, 1, params) for prompt in prompts]
        together = [future.result(60).sequences[0].tokens for future in futures]
        alone = [
            sampler.sample(prompt, 1, params).result(60).sequences[0].tokens
            for prompt in prompts[:3]
        ]
    assert together[:3] == alone
