"""One tree of errors, with what a support request needs."""

from __future__ import annotations

import copy
import inspect
import pickle
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinkex import errors
from tinkex._core.failures import api_error
from tinkex._core.response import Response
from tinkex.errors import (
    ApiError,
    BadRequestError,
    ConflictError,
    FutureLostError,
    FutureTimeoutError,
    MissingDependencyError,
    RequestFailedError,
    TinkexError,
    ValidationError,
    api_error_class,
)

CLASSES = [
    value
    for value in vars(errors).values()
    if inspect.isclass(value) and issubclass(value, TinkexError)
]


def drawn() -> dict[str, int]:
    """Return the classes of the module's drawing, with the depth at which each stands."""
    lines = errors.__doc__.partition("The tree::")[2].partition("Each message")[0].splitlines()
    depths: dict[str, int] = {}
    for line in lines:
        bare = re.sub(r"\([^)]*\)", "", line)
        for name in re.findall(r"[A-Z]\w*Error", bare):
            depths[name] = (re.search(r"[A-Z]", line).start() - 3) // 4
    return depths


def test_the_drawing_shows_every_class_and_no_other() -> None:
    """The tree in the module's docstring is the tree."""
    assert set(drawn()) == {cls.__name__ for cls in CLASSES}


def test_the_drawing_shows_the_depth_of_each_class() -> None:
    """A class stands under its parent."""
    depths = drawn()
    for cls in CLASSES:
        generations = [base for base in cls.__mro__ if base in CLASSES]
        assert depths[cls.__name__] - depths["TinkexError"] == len(generations) - 1, cls


def test_every_class_says_what_it_reports() -> None:
    """Each error has a docstring of its own."""
    assert all(cls.__dict__.get("__doc__") for cls in CLASSES)


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (400, "BadRequestError"), (401, "AuthenticationError"), (402, "BillingError"),
        (403, "PermissionDeniedError"), (404, "NotFoundError"), (405, "NotFoundError"),
        (408, "ApiError"), (409, "ConflictError"), (410, "GoneError"), (413, "PayloadTooLargeError"),
        (422, "UnprocessableError"), (429, "RateLimitError"), (500, "ServerError"),
        (501, "NotFoundError"), (503, "ServerError"), (599, "ServerError"), (302, "ApiError"),
    ],
)  # fmt: skip
def test_each_status_has_its_class(status: int, name: str) -> None:
    """Programs catch the class, not the number."""
    assert api_error_class(status).__name__ == name


def test_a_conflict_is_known_by_its_code_too() -> None:
    """The local server sends 400 with a code, because the official client retries 409 for minutes."""
    assert api_error_class(400, "conflict") is ConflictError
    assert api_error_class(400, "other") is BadRequestError
    assert api_error_class(409, None) is ConflictError


@pytest.mark.parametrize(
    ("body", "hint"),
    [
        (b'{"detail": "checkpoint x not found"}', "check the id"),
        (b'{"detail": "Not Found"}', "this server does not offer the route"),
        (b"<h1>404</h1>", "check the id, and whether this server has the route"),
        (b"", "check the id, and whether this server has the route"),
    ],
)
def test_a_404_says_what_is_missing_as_far_as_it_is_known(body: bytes, hint: str) -> None:
    """The object that the server names, the route, or one of both."""
    error = api_error(Response(404, {}, body), "get_training_run")
    assert error.message.endswith(f" — {hint}")


def test_the_text_ends_with_the_ids_that_are_known() -> None:
    """What a support request needs stands in the message, and only what is known."""
    error = TinkexError("it broke", request_id="r-1", session_id="s-1", status_code=500)
    assert str(error) == "it broke (request_id=r-1, session=s-1, status=500)"
    assert str(TinkexError("it broke")) == "it broke"


def test_ids_that_become_known_later_appear_too() -> None:
    """A layer further out may add what it knows."""
    error = TinkexError("it broke")
    error.session_id = "s-2"
    error.message += "; gave up"
    assert str(error) == "it broke; gave up (session=s-2)"


def test_local_mistakes_are_value_errors_that_name_the_path() -> None:
    """Code that expects ValueError from wrong arguments gets it."""
    error = ValidationError("is NaN", path="data[3].loss_fn_inputs['weights']")
    assert isinstance(error, ValueError)
    assert str(error) == "data[3].loss_fn_inputs['weights']: is NaN"
    assert error.category == "user"
    assert not error.retryable


def test_a_wait_that_ends_is_a_timeout_error() -> None:
    """Code that expects TimeoutError gets it, and is told that it may go on waiting."""
    assert isinstance(FutureTimeoutError("x"), TimeoutError)
    assert FutureTimeoutError("x").retryable


def test_a_missing_package_is_an_import_error_that_names_the_command() -> None:
    """The way out of a missing extra is a line to paste."""
    error = MissingDependencyError("the local server", "local")
    assert isinstance(error, ImportError)
    assert "pip install 'tinkex[local]'" in str(error)


EXAMPLES = [
    ApiError("no", status_code=503, body="b", request_id="r", retry_after=4.0, category="server"),
    ValidationError("is wrong", path="data[0]"),
    FutureTimeoutError("slow", request_id="r", session_id="s"),
    FutureLostError("gone", resubmittable=True, request_id="r", status_code=410),
    MissingDependencyError("it", "local"),
    RequestFailedError("failed", category="server", retryable=True),
]


@pytest.mark.parametrize(
    "copied", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy, copy.deepcopy]
)
@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_errors_survive_pickling_with_all_their_attributes(error: TinkexError, copied) -> None:
    """Errors cross process borders, as when a pool of processes reports one."""
    error.attempts = ("0.0 s: HTTP 503",)
    again = copied(error)
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)


@given(st.sampled_from(CLASSES), st.text(), st.none() | st.text(min_size=1))
def test_every_class_can_be_raised_caught_and_pickled(cls, message: str, request_id) -> None:
    """No class of the tree is special."""
    required = {
        parameter.name: {"status_code": 500, "resubmittable": False}.get(parameter.name, message)
        for parameter in inspect.signature(cls).parameters.values()
        if parameter.default is parameter.empty
    }
    error = cls(**required)
    error.request_id = request_id
    with pytest.raises(TinkexError) as caught:
        raise error
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(error)


def test_the_body_of_an_answer_is_bounded() -> None:
    """An error page of a megabyte does not live on in an error."""
    assert len(ApiError("x", status_code=500, body="y" * 10**6).body) == 2000
