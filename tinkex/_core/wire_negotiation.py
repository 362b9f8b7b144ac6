"""Send batches in the form that a server takes: binary (protobuf) or JSON.

Some servers take both, some one of them alone, and none says which. So the first batch that a server
accepts settles it, for all clients of the process.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable
from typing import Literal, TypeVar

from attrs import define, field

from tinkex._core.config import Config
from tinkex.errors import ApiError

T = TypeVar("T")

Form = Literal["protobuf", "json"]
Operation = Literal["forward", "forward_backward"]

log = logging.getLogger("tinkex.training")

# A 422 about the body as a whole, or about the field that only the JSON form has: so speaks a server
# that read the bytes of the other form. Bad data are named by a place inside of the body.
_NOT_THE_BODY = re.compile(
    r'"loc"\s*:\s*\[\s*"body"\s*(,\s*(\d+|"forward_(backward_)?input")\s*)?\]'
)
# What parsers say of bytes that are not theirs.
_MALFORMED = re.compile(
    r"\bjson\b|protobuf|content.?type|media.?type|utf-?8|pars(e|ing)|decod|malformed|compress|zstd",
    re.IGNORECASE,
)
_NO_ROUTE = re.compile(r"^$|\bnot found\b|/forward\b|no(t a)? route|cannot post", re.IGNORECASE)


@define(eq=False)
class WireFormat:
    """Remember what one server took.

    Attributes:
        known: The form in which it accepted a batch; None before the first.
        lacks_forward: Whether it has no route for a forward pass as JSON.
    """

    known: Form | None = None
    lacks_forward: bool = field(default=False)

    def send(
        self,
        send: Callable[[Form], T],
        choice: str,
        operation: Operation,
        *,
        may_be_binary: bool = True,
        is_untouched: Callable[[], bool] = lambda: True,
    ) -> T:
        """Send a call in the form the server takes, and if it refuses the form, once in the other.

        Args:
            send: Sends the call in a form.
            choice: The user's: "auto", "protobuf" or "json".
            operation: What the call is.
            may_be_binary: Whether the call has a binary form.
            is_untouched: Tells whether nothing of the call was accepted, so that its number is
                free for the same call in the other form.

        Raises:
            ApiError: The server refused the call itself, or both forms of it.
        """
        if choice != "auto":
            return send("protobuf" if choice == "protobuf" else "json")
        first = self._first(operation) if may_be_binary else "json"
        try:
            result = send(first)
        except ApiError as error:
            if not (is_untouched() and self._is_about_form(error, first, operation)):
                raise
            refusal = error
        else:
            self._learn(first if may_be_binary else None)
            return result
        if not may_be_binary:
            refusal.message += (
                ". The data point to an image elsewhere, which only JSON can: give the images "
                "themselves as ImageChunk"
            )
            raise refusal
        return self._send_other(send, "json" if first == "protobuf" else "protobuf", refusal)

    def _send_other(self, send: Callable[[Form], T], form: Form, refusal: ApiError) -> T:
        log.info("the server refused the form of a batch (%s); it is sent as %s", refusal, form)
        try:
            result = send(form)
        except ApiError as error:
            # The second answer is about the call itself, unless it only says that this form is none
            # the server takes: then the first one is what the user has to read.
            says_nothing = _refuses_form(error) and not _refuses_form(refusal)
            if error.status_code == 415 or says_nothing:
                raise refusal from None
            raise
        self._learn(form)
        return result

    def _first(self, operation: Operation) -> Form:
        if self.known == "json" and operation == "forward" and self.lacks_forward:
            return "protobuf"
        return self.known or "protobuf"

    def _is_about_form(self, error: ApiError, form: Form, operation: Operation) -> bool:
        """Tell a refusal of the form from one of what the user sent.

        A 415 says it, at any time: the server may be another one by now. A missing route for
        forward passes says it too. For 400 and 422 the words have to do, so these count only until
        a form was accepted. Where the words mislead, the call is refused in the other form for the
        same reason, and the user reads that.
        """
        if error.status_code == 415:
            return True
        if form == "json" and operation == "forward" and _lacks_route(error):
            self.lacks_forward = True
            return True
        return self.known is None and _refuses_form(error)

    def _learn(self, form: Form | None) -> None:
        if form is not None and form != self.known:
            log.debug("batches go to this server as %s", form)
            self.known = form


def _refuses_form(error: ApiError) -> bool:
    if error.status_code == 422:
        return _NOT_THE_BODY.search(error.body) is not None
    if error.status_code == 400:
        return _MALFORMED.search(error.body) is not None
    return error.status_code == 415


def _lacks_route(error: ApiError) -> bool:
    # A model that is not there is a 404 too, but its message names the model.
    return error.status_code == 405 or (
        error.status_code == 404
        and "model" not in error.body.lower()
        and _NO_ROUTE.search(error.body) is not None
    )


_forms: dict[str, WireFormat] = {}
_forms_lock = threading.Lock()


def server_form(config: Config) -> WireFormat:
    """Return what is known of a server; the same for all clients of the process."""
    with _forms_lock:
        return _forms.setdefault(config.base_url, WireFormat())
