"""Negotiation of the wire format of batches: binary (protobuf) or JSON.

Servers accept one format or both, and none announces which. The first batch that a server accepts
decides, for all clients of the process.
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

# A 422 about the body as a whole, or about the field that only JSON has, comes from a server that read
# the other format. Errors about invalid data name a location inside the body.
_NOT_THE_BODY = re.compile(
    r'"loc"\s*:\s*\[\s*"body"\s*(,\s*(\d+|"forward_(backward_)?input")\s*)?\]'
)
# Parser messages for bytes in another format.
_MALFORMED = re.compile(
    r"\bjson\b|protobuf|content.?type|media.?type|utf-?8|pars(e|ing)|decod|malformed|compress|zstd",
    re.IGNORECASE,
)
_NO_ROUTE = re.compile(r"^$|\bnot found\b|/forward\b|no(t a)? route|cannot post", re.IGNORECASE)


@define(eq=False)
class WireFormat:
    """The wire format of one server.

    Attributes:
        known: The format in which it accepted a batch; None before the first one.
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
        """Send a call in the format that the server accepts, or else in the other one.

        Args:
            send: Sends the call in a given format.
            choice: The user's setting: "auto", "protobuf" or "json".
            operation: The call's operation id.
            may_be_binary: Whether the binary format supports the call.
            is_untouched: Returns whether no part of the call was accepted, so that its number is free for
                the other format.

        Raises:
            ApiError: The server refused the call itself, or both formats.
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
                ". The data refer to an image, which only JSON supports: pass the images themselves as "
                "ImageChunk"
            )
            raise refusal
        return self._send_other(send, "json" if first == "protobuf" else "protobuf", refusal)

    def _send_other(self, send: Callable[[Form], T], form: Form, refusal: ApiError) -> T:
        log.info("the server refused the format of a batch (%s); sending it as %s", refusal, form)
        try:
            result = send(form)
        except ApiError as error:
            # The second response is about the call itself, unless it also refuses the format: then the
            # first one is the useful error.
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
        """Return whether a refusal is about the wire format rather than the call.

        A 415 always is: the server may have been replaced. So is a missing route for forward passes. For
        400 and 422 the message decides, until the first batch was accepted. If the message is
        misleading, the other format is refused for the same reason, and the user gets that error.
        """
        if error.status_code == 415:
            return True
        if form == "json" and operation == "forward" and _lacks_route(error):
            self.lacks_forward = True
            return True
        return self.known is None and _refuses_form(error)

    def _learn(self, form: Form | None) -> None:
        if form is not None and form != self.known:
            log.debug("this server gets batches as %s", form)
            self.known = form


def _refuses_form(error: ApiError) -> bool:
    if error.status_code == 422:
        return _NOT_THE_BODY.search(error.body) is not None
    if error.status_code == 400:
        return _MALFORMED.search(error.body) is not None
    return error.status_code == 415


def _lacks_route(error: ApiError) -> bool:
    # A missing model is a 404 too, but its message names the model.
    return error.status_code == 405 or (
        error.status_code == 404
        and "model" not in error.body.lower()
        and _NO_ROUTE.search(error.body) is not None
    )


_forms: dict[str, WireFormat] = {}
_forms_lock = threading.Lock()


def server_form(config: Config) -> WireFormat:
    """Return the known wire format of a server; shared by all clients of the process."""
    with _forms_lock:
        return _forms.setdefault(config.base_url, WireFormat())
