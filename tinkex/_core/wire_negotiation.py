"""Negotiation of the wire format of batches: binary (protobuf) or JSON.

Servers accept one format or both, and none announces which. The first batch that a server accepts
decides, for all clients of the process.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any, Literal, TypeAlias, TypeVar

from attrs import define, field
from tinkex_generated.types import loads

from tinkex._core.retry import is_repeatable
from tinkex.config import Config
from tinkex.errors import ApiError, ServerError

T = TypeVar("T")

WireFormat = Literal["protobuf", "json"]
Operation = Literal["forward", "forward_backward"]
Send: TypeAlias = Callable[[WireFormat, bool], T]

log = logging.getLogger("tinkex.training")

# These are about the caller or the moment, whatever the formatat.
_NOT_THE_FORMAT = frozenset({401, 402, 403, 408, 425, 429})
# With these a server says that it does not take a format at all, or that the number is taken.
_NOT_TAKEN = frozenset({405, 409, 415, 501})
_NO_ROUTE = frozenset({404, 405, 501})


@define(eq=False)
class Negotiation:
    """The negotiation with one server.

    Attributes:
        known: The format in which it accepted a batch; None before the first one.
        lacks_forward: Whether it has no route for a forward pass as JSON.
    """

    known: WireFormat | None = None
    lacks_forward: bool = field(default=False)

    def send(
        self,
        send: Send[T],
        choice: str,
        operation: Operation,
        *,
        may_be_binary: bool = True,
        is_untouched: Callable[[], bool] = lambda: True,
    ) -> T:
        """Send a call in the format that the server accepts, or else in the other one.

        Args:
            send: Sends the call in a given format; with True, an error status is raised at once.
            choice: The user's setting: "auto", "protobuf" or "json".
            operation: The call's operation id.
            may_be_binary: Whether the binary format supports the call.
            is_untouched: Returns whether no part of the call was accepted, so that its number is free for
                the other format.

        Raises:
            ApiError: The server refused the call itself, or both formats.
        """
        if choice != "auto":
            return send("protobuf" if choice == "protobuf" else "json", False)
        if not may_be_binary:
            return _in_json_alone(send)
        if self.known is None:
            return self._find_out(send, operation, is_untouched)
        chosen: WireFormat = (
            "protobuf" if operation == "forward" and self.lacks_forward else self.known
        )
        try:
            result = send(chosen, False)
        except ApiError as error:
            if not is_untouched():
                raise
            lacks_forward = (
                chosen == "json" and operation == "forward" and error.status_code in _NO_ROUTE
            )
            if error.status_code != 415 and not lacks_forward:
                raise
            return self._in_other(
                send, "json" if chosen == "protobuf" else "protobuf", error, operation
            )
        self._learn(chosen, operation)
        return result

    def _find_out(self, send: Send[T], operation: Operation, is_untouched: Callable[[], bool]) -> T:
        """Send the first call to a server: in the binary format, and after any failure as JSON.

        A server may refuse bytes that it cannot read with whatever status.
        """
        try:
            result = send("protobuf", True)
        except ApiError as error:
            if not is_untouched():
                raise
            binary = error
        else:
            self._learn("protobuf", operation)
            return result
        if binary.status_code in _NOT_THE_FORMAT or binary.retry_after is not None:
            if not is_repeatable(binary, operation):
                raise binary
            return self._repeated(send, "protobuf", operation)
        log.info("the server refused the format of a batch (%s); it is sent as JSON", binary)
        try:
            result = send("json", True)
        except ApiError as error:
            if not is_untouched():
                raise
            json = error
        else:
            self._learn("json", operation)
            return result
        refusal = _about_the_call(binary, json, operation)
        if not is_repeatable(refusal, operation):
            raise refusal
        return self._repeated(send, "json" if refusal is json else "protobuf", operation)

    def _repeated(self, send: Send[T], chosen: WireFormat, operation: Operation) -> T:
        result = send(chosen, False)
        self._learn(chosen, operation)
        return result

    def _in_other(
        self, send: Send[T], chosen: WireFormat, refusal: ApiError, operation: Operation
    ) -> T:
        """Send a call in the other format, after the one that was known was refused."""
        log.info("the server refused the format of a batch (%s); sending it as %s", refusal, chosen)
        try:
            result = send(chosen, True)
        except ApiError as error:
            if error.status_code in _NOT_TAKEN | _NO_ROUTE or _is_about_whole_body(error):
                raise refusal from None
            raise
        if refusal.status_code == 415:
            self._learn(chosen, operation)
        else:
            self.lacks_forward = True
        return result

    def _learn(self, chosen: WireFormat, operation: Operation) -> None:
        is_detour = operation == "forward" and self.lacks_forward
        if chosen != self.known and not is_detour:
            log.debug("this server gets batches as %s", chosen)
            self.known = chosen


def _in_json_alone(send: Send[T]) -> T:
    try:
        return send("json", False)
    except ApiError as error:
        if error.status_code == 415:
            error.message += (
                ". The data refer to an image, which only JSON supports: pass the images themselves as "
                "ImageChunk"
            )
        raise


def _about_the_call(binary: ApiError, json: ApiError, operation: Operation) -> ApiError:
    """Return which of two refusals is about the call, and not about the format in which it came."""
    not_taken = _NOT_TAKEN | (_NO_ROUTE if operation == "forward" else frozenset())
    if json.status_code in not_taken or _is_about_whole_body(json):
        return binary
    if binary.status_code in _NOT_TAKEN or _is_about_whole_body(binary):
        return json
    if isinstance(json, ServerError):
        # Of a server that fails at both formats in the same way, nothing is known yet.
        return binary if binary.status_code == json.status_code else json
    if not isinstance(binary, ServerError) and binary.body != json.body:
        json.message += f". In the binary format, {binary.message}"
    return json


def _is_about_whole_body(error: ApiError) -> bool:
    """Return whether a validator refuses the body as a whole, or the one field that wraps it in JSON.

    So does a server that read the bytes of the other format. Bad data are named by a place inside.
    """
    if error.status_code != 422:
        return False
    try:
        body = loads(error.body)
    except ValueError:
        return False
    faults = body.get("detail") if isinstance(body, dict) else None
    if not isinstance(faults, list) or not faults:
        return False
    return all(isinstance(fault, dict) and _is_outer(fault.get("loc")) for fault in faults)


def _is_outer(place: Any) -> bool:
    match place:
        case ["body"] | ["body", "forward_backward_input" | "forward_input"]:
            return True
        case ["body", int()]:
            return True
    return False


_negotiations: dict[str, Negotiation] = {}
_lock = threading.Lock()


def negotiation_with(config: Config) -> Negotiation:
    """Return the negotiation with a server; shared by all clients of the process."""
    with _lock:
        return _negotiations.setdefault(config.base_url, Negotiation())
