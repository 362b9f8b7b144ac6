"""A sample that the server refuses for want of room, and the ends of its patience."""

from __future__ import annotations

import pytest
from support.clock import FakeClock
from support.scripted import Script, scripted_service

from tinkex import ModelInput, RetryConfig
from tinkex.errors import RateLimitError


@pytest.mark.parametrize(
    ("headers", "requests"), [({"x-should-retry": "false"}, 1), ({"retry-after": "4"}, 3)]
)
def test_a_429_is_retried_no_longer_than_server_and_deadline_allow(
    script: Script, clock: FakeClock, headers: dict[str, str], requests: int
) -> None:
    """A quota that is used up ends the sample at once; a full server by RetryConfig.deadline."""
    script.on("POST create_sampling_session", {"sampling_session_id": "SS"})
    script.on("POST asample", (429, {"detail": "quota"}, headers))
    with scripted_service(script, clock) as service:
        sampler = service.create_sampling_client(
            base_model="B", retry_config=RetryConfig(deadline=10.0)
        )
        with pytest.raises(RateLimitError, match="quota"):
            sampler.sample(ModelInput.from_ints([1])).result(10)
    assert len(script.sent("asample")) == requests
    assert sum(clock.slept) <= 10
