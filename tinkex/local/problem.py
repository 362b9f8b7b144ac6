"""The one exception of the local server that becomes an HTTP error response."""

from collections.abc import Mapping
from typing import Any


class Problem(Exception):  # noqa: N818 - a refusal with a status, not always an error of ours
    """A request that is refused, with the status and the body's `detail`.

    Raised while a request is being read, it becomes an HTTP response `{"detail": …}`; raised inside
    a job of the engine thread, it becomes the failed result of that job's future. `code` is a short
    name of the problem for programs; it becomes the field `code` of the body.
    """

    def __init__(
        self,
        status: int,
        detail: Any,
        *,
        headers: Mapping[str, str] | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(detail if isinstance(detail, str) else repr(detail))
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})
        self.code = code


def conflict(detail: str) -> Problem:
    """Return the problem of a name that is taken, or of a state that is reached already.

    Its status is 400: the official client retries a 409 for five minutes before it raises. Clients
    recognise the conflict by its code.
    """
    return Problem(400, detail, code="conflict")


def misfit(loc: tuple[str | int, ...], msg: str) -> Problem:
    """Return a 400 problem about one place of the body, named as the engine's messages do.

    Bodies that do not fit the spec's schema are a 422; this is for what a schema cannot say.
    """
    return Problem(400, f"{dotted(loc)} {msg}")


def dotted(loc: tuple[str | int, ...]) -> str:
    """Return a place of the request as a path, such as `data[3].model_input`."""
    text = ""
    for part in loc:
        if isinstance(part, int):
            text += f"[{part}]"
        elif text.endswith("loss_fn_inputs"):
            text += f"[{part!r}]"
        else:
            text += f".{part}" if text else part
    return text.removeprefix("body.")
