"""One request as the handlers see it, and the marks that say where a handler runs."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from attrs import frozen
from starlette.requests import Request

from tinkex._base.checkpoint_path import CheckpointPath
from tinkex.local.paths import path_of
from tinkex.local.signing import UrlSigner

F = TypeVar("F", bound=Callable[..., Any])

_LIGHT = "_tinkex_light"


@frozen(eq=False)
class Call:
    """A request that fits the spec: its parameters by name and its parsed body."""

    operation_id: str
    request: Request
    parameters: Mapping[str, Any]
    body: Any

    @property
    def url(self) -> str:
        """The URL of the request, without its query."""
        return str(self.request.url).partition("?")[0]

    @property
    def credential(self) -> str:
        """The value of X-API-Key."""
        return self.request.headers.get("x-api-key", "")

    def verify_signature(self, signer: UrlSigner, subject: str) -> None:
        """Raise a 403 problem unless the URL was signed for `subject` and is still good."""
        signer.verify(subject, self.parameters["expires"], self.parameters["signature"])

    def checkpoint_path(self) -> CheckpointPath:
        """Return the checkpoint that the URL names; without a kind, one to sample from."""
        return path_of(
            self.parameters["training_run_id"],
            self.parameters.get("checkpoint_kind", "sampler_weights"),
            self.parameters["checkpoint_name"],
        )


def light(handler: F) -> F:
    """Mark a handler that only touches memory: it runs on the event loop itself."""
    setattr(handler, _LIGHT, True)
    return handler


def is_light(handler: Callable[..., Any]) -> bool:
    """Return whether a handler may run on the event loop."""
    return getattr(handler, _LIGHT, False)
