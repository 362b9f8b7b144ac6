"""The official package's exceptions."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from support.scripted import Script, promises, scripted_service

import tinkex
from tinkex import errors
from tinkex.tinker import _exceptions as official
from tinkex.tinker import types
from tinkex.tinker.lib.public_interfaces.sampling_client import SamplingClient

PROMPT = types.ModelInput.from_ints([1, 2, 3])
PARAMS = types.SamplingParams(max_tokens=4)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (errors.BadRequestError, official.BadRequestError),
        (errors.VersionNotSupportedError, official.BadRequestError),
        (errors.AuthenticationError, official.AuthenticationError),
        (errors.BillingError, official.BillingError),
        (errors.PermissionDeniedError, official.PermissionDeniedError),
        (errors.NotFoundError, official.NotFoundError),
        (errors.ConflictError, official.ConflictError),
        (errors.UnprocessableError, official.UnprocessableEntityError),
        (errors.RateLimitError, official.RateLimitError),
        (errors.ServerError, official.InternalServerError),
        (errors.GoneError, official.APIStatusError),
        (errors.PayloadTooLargeError, official.APIStatusError),
    ],
)
def test_a_status_becomes_the_exception_of_that_name(
    ours: type[errors.ApiError], theirs: type[official.APIStatusError]
) -> None:
    """With status, response and body, and ours as the cause."""
    error = ours("it went wrong", status_code=418, body='{"detail": "no"}', request_id="r")
    made = official.translated(error)
    assert type(made) is theirs
    assert made.status_code == made.response.status_code == 418
    assert made.body == {"detail": "no"}
    assert made.__cause__ is error
    assert "it went wrong" in str(made)
    restored = pickle.loads(pickle.dumps(made))
    assert (type(restored), restored.status_code, str(restored)) == (theirs, 418, str(made))


@pytest.mark.parametrize(
    ("error", "theirs"),
    [
        (errors.ConnectError("no way"), official.APIConnectionError),
        (errors.ReadTimeoutError("too slow"), official.APITimeoutError),
        (errors.DecodeError("no JSON", status_code=200), official.APIResponseValidationError),
        (errors.RequestFailedError("failed", request_id="r"), official.RequestFailedError),
        (errors.FutureLostError("lost", resubmittable=True), official.RequestFailedError),
        (errors.ClientClosedError("closed"), official.TinkerError),
        (errors.MissingCredentialsError("no key"), official.TinkerError),
    ],
)
def test_other_errors_become_their_kind(error: errors.TinkexError, theirs: type) -> None:
    """Each is a TinkerError with our words, and travels between processes."""
    made = official.translated(error)
    assert type(made) is theirs
    assert error.message in str(made)
    restored = pickle.loads(pickle.dumps(made))
    assert (type(restored), str(restored)) == (theirs, str(made))


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (errors.ValidationError("no"), ValueError),
        (errors.FutureTimeoutError("late"), TimeoutError),
        (errors.MissingDependencyError("it", "torch"), ImportError),
    ],
)
def test_what_python_has_a_class_for_stays(error: Exception, kind: type) -> None:
    """The official package raises Python's own there."""
    assert official.translated(error) is error
    assert isinstance(error, kind)


def script_of_samples(*answers: Any) -> Script:
    script = Script()
    script.on("POST create_sampling_session", {"sampling_session_id": "SS"})
    promises(script, "POST asample", *answers)
    return script


def test_a_rate_limit_reaches_the_handler_that_was_written_for_it() -> None:
    """`except tinker.RateLimitError` around the result."""
    script = script_of_samples()
    script.on("POST asample", (429, {"detail": "slow down"}, {"retry-after": "1"}))
    with scripted_service(script) as service:
        native = service.create_sampling_client(
            base_model="B", retry_config=tinkex.RetryConfig(on_limit="raise")
        )
        future = SamplingClient(native).sample(PROMPT, 1, PARAMS)
        with pytest.raises(official.RateLimitError) as raised:
            future.result()
    assert raised.value.status_code == 429
    assert isinstance(raised.value, official.APIStatusError)


def test_no_exception_carries_the_key() -> None:
    """Its request and response have no headers of ours."""
    script = script_of_samples()
    script.on("POST asample", (401, {"detail": "who are you"}))
    with scripted_service(script, api_key="tml-0123456789abcdef") as service:
        future = SamplingClient(service.create_sampling_client(base_model="B")).sample(
            PROMPT, 1, PARAMS
        )
        with pytest.raises(official.AuthenticationError) as raised:
            future.result()
    seen = [raised.value.response.headers, raised.value.request.headers, raised.value]
    assert "0123456789abcdef" not in repr([*map(repr, seen), *map(str, seen)])
