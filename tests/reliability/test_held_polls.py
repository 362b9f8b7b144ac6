"""Polls that a server holds, over TLS with HTTP/2 and over plain HTTP/1.1."""

from __future__ import annotations

import pytest
from support.certificates import Authority
from support.held_server import held_server

from tinkex import ModelInput, SamplingParams, ServiceClient


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def test_more_samples_than_the_server_allows_streams_all_come(authority: Authority) -> None:
    """300 at once where 100 may be open: who finds no room waits, and no poll is cut by us."""
    certificate = authority.sign("held")
    with held_server(0.2, certificate, authority.bundle, streams=100) as server:
        with ServiceClient(base_url=server.url, verify=str(authority.bundle)) as service:
            sampler = service.create_sampling_client(base_model="B")
            prompt, params = ModelInput.from_ints([1]), SamplingParams(max_tokens=1)
            futures = [sampler.sample(prompt, 1, params) for _ in range(300)]
            tokens = [list(future.result(60).sequences[0].tokens) for future in futures]
        facts = server.facts()
    print(facts)
    assert tokens == [[7]] * 300
    assert facts.get("cut", 0) == 0
    assert facts["most held"] <= 100
