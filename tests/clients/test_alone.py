"""Clients without a ServiceClient: of the REST routes, and of a sampler in another process."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from datetime import date

import pytest
from support.nano import NANO, nano_service, nano_url
from support.scripted import Script, scripted_service

import tinkex
from tinkex.errors import ValidationError
from tinkex.tinker import SamplingClient as OfficialForm

__all__ = ["nano_service"]

PROMPT = tinkex.ModelInput.from_ints([40, 41, 42])
GREEDY = tinkex.SamplingParams(max_tokens=4, temperature=0.0)


def test_a_rest_client_stands_alone() -> None:
    """It takes the settings of a ServiceClient, and begins no session."""
    with tinkex.RestClient(base_url=nano_url(), timeout=20.0) as rest:
        before = len(rest.list_sessions(100).sessions)
        assert NANO in [
            model.model_name for model in rest.get_server_capabilities().supported_models
        ]
        assert len(rest.list_sessions(100).sessions) == before
    with pytest.raises(tinkex.ClientClosedError):
        rest.list_sessions()


def test_a_rest_client_of_another_client_leaves_it_open(nano_service: tinkex.ServiceClient) -> None:
    """Its connections are not its own."""
    nano_service.create_rest_client().close()
    assert nano_service.health_check().status == "ok"


def test_days_and_hours_may_be_text(nano_service: tinkex.ServiceClient) -> None:
    """As the official client takes them; what is no date is a ValidationError."""
    rest = nano_service.create_rest_client()
    assert rest.get_audit_log(day="2026-07-13").entries == []
    assert rest.get_audit_log(day=date(2026, 7, 13)).entries == []
    usage = rest.get_billing_usage("2026-07-13T00:00:00Z", "2026-07-13T01:00:00+00:00")
    assert usage.data == []
    with pytest.raises(ValidationError, match="day: must be a date"):
        rest.get_audit_log(day="yesterday")
    with pytest.raises(ValidationError, match="starting_on: must be a datetime"):
        rest.get_billing_usage("July", "2026-07-13T01:00:00Z")


CHILD = """
import pickle, sys
sampler = pickle.load(sys.stdin.buffer)
import tinkex
prompt = tinkex.ModelInput.from_ints([40, 41, 42])
params = tinkex.SamplingParams(max_tokens=4, temperature=0.0)
futures = [sampler.sample(prompt, 1, params) for _ in range(3)]
print([future.result(60).sequences[0].tokens for future in futures])
"""


def test_a_sampler_travels_to_another_process_without_its_key(
    nano_service: tinkex.ServiceClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It samples there with the key of that process; the session stays with the one that began it."""
    training = nano_service.create_lora_training_client(NANO, rank=4)
    sampler = training.save_weights_and_get_sampling_client()
    pickled = pickle.dumps(sampler)
    done = subprocess.run(
        [sys.executable, "-c", CHILD],
        input=pickled,
        capture_output=True,
        env={**os.environ, "TINKER_API_KEY": "tml-local"},
        timeout=120,
    )
    expected = sampler.sample(PROMPT, 1, GREEDY).result(60).sequences[0].tokens
    assert done.stdout.decode().strip() == str([expected] * 3), done.stderr.decode()
    assert nano_service.session.heartbeat.is_alive


def test_a_pickled_sampler_has_no_key() -> None:
    """Whichever way the sampler was made, and in either package's form."""
    script = Script().on("POST create_sampling_session", {"sampling_session_id": "SS"})
    with scripted_service(script, api_key="tml-0123456789abcdef") as service:
        sampler = service.create_sampling_client(base_model="B")
        for copy in (sampler, sampler.handle(), OfficialForm(sampler)):
            assert b"0123456789" not in pickle.dumps(copy)


def test_copies_number_their_samples_apart(
    nano_service: tinkex.ServiceClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server tells a repetition by its number, so two copies must not share any."""
    monkeypatch.setenv("TINKER_API_KEY", "tml-local")
    sampler = nano_service.create_sampling_client(base_model=NANO)
    copies = [pickle.loads(pickle.dumps(sampler)) for _ in range(4)]
    assert len({copy._state.next_number() for copy in copies} | {sampler._state.next_number()}) == 5
    assert len({id(copy._session) for copy in copies}) == 1
    for copy in copies:
        assert copy.sample(PROMPT, 1, GREEDY).result(60).sequences


ONLY_SAMPLES = """
import sys
import tinkex
from tinkex.observability.events import TokensUsed, subscribe
counted = []
subscribe(counted.append, TokensUsed)
with tinkex.ServiceClient(base_url=sys.argv[1], wire_format=sys.argv[2]) as service:
    sampler = service.create_sampling_client(base_model=sys.argv[3])
    prompt = tinkex.ModelInput.from_text("ab", sampler)
    sequence = sampler.sample(prompt, 1, tinkex.SamplingParams(max_tokens=4)).result(60).sequences[0]
    print(len(sequence.tokens), len(sequence.logprobs), len(sampler.compute_logprobs(prompt).result(60)))
    print(len(prompt.to_ints()), sum(used.sampled for used in counted), "numpy" in sys.modules)
"""


@pytest.mark.parametrize("wire_format", ["json", "protobuf"])
def test_a_program_that_only_samples_never_loads_numpy(wire_format: str) -> None:
    """Which takes a quarter of its memory, and a fifth of the time to the first sample; telemetry needs none."""
    done = subprocess.run(
        [sys.executable, "-c", ONLY_SAMPLES, nano_url(), wire_format, NANO],
        capture_output=True,
        env={**os.environ, "TINKER_API_KEY": "tml-local", "TINKER_TELEMETRY": "1"},
        timeout=120,
        check=False,
    )
    assert done.stdout.decode() == "4 4 2\n2 4 False\n", done.stderr.decode()
