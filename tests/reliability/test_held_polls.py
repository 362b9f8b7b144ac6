"""Polls that a server holds, over TLS with HTTP/2 and over plain HTTP/1.1."""

from __future__ import annotations

import pytest
from reliability.conftest import MakeTransport
from support import calls
from support.certificates import Authority
from support.clock import FakeClock
from support.extent import extent
from support.held_server import held_server
from support.http2_server import http2_server
from support.raw_server import BODY

from tinkex import ModelInput, SamplingParams, ServiceClient

COUNT = extent("HELD_SAMPLES", 120, 300)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.mark.holds("F43")
@pytest.mark.parametrize("streams", [100, 20, None])
def test_hundreds_of_samples_come_over_few_streams(
    authority: Authority, streams: int | None
) -> None:
    """Over HTTP/2 who finds no room waits, at no cost of patience; None: HTTP/1.1 in the clear.

    No poll is cut by us, and nothing is sent twice.
    """
    certificate = None if streams is None else authority.sign("held")
    bundle = None if streams is None else authority.bundle
    with (
        held_server(0.2, certificate, bundle, streams=streams or 0) as server,
        ServiceClient(base_url=server.url, verify=str(authority.bundle)) as service,
    ):
        sampler = service.create_sampling_client(base_model="B")
        prompt, params = ModelInput.from_ints([1]), SamplingParams(max_tokens=1)
        futures = [sampler.sample(prompt, 1, params) for _ in range(COUNT)]
        tokens = [list(future.result(60).sequences[0].tokens) for future in futures]
        facts = server.facts()
    assert tokens == [[7]] * COUNT
    assert facts.get("cut", 0) == 0
    assert (facts["asample"], facts["retrieve_future"]) == (COUNT, 2 * COUNT)
    if streams is not None:
        assert facts["http/2"] >= 3 * COUNT


@pytest.mark.parametrize("carrier", ["pyqwest"], indirect=True)
@pytest.mark.parametrize("way", ["one stream at a time", "all of a connection"])
def test_refused_requests_are_sent_again_whatever_they_are(
    authority: Authority, connect: MakeTransport, clock: FakeClock, way: str
) -> None:
    """The server certainly did nothing: also what must not be repeated is, at no cost of patience."""
    with http2_server(authority.sign("refusing")) as server:
        transport = connect(server.url, verify=str(authority.bundle))
        transport.send(calls.read())
        server.leaves_early = way == "all of a connection"
        server.refusals = 1 if server.leaves_early else 20
        before = transport.budget.tokens
        response = transport.send(calls.publish())
        assert (response.content, response.retries) == (BODY, 0)
        assert transport.budget.tokens >= before
        assert clock.slept == []
    assert server.refusals == 0
