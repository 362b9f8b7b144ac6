"""One request as the handlers see it, and the marks that say where a handler runs."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from attrs import frozen
from starlette.requests import Request

from tinkex.local.paths import KINDS, TinkerPath
from tinkex.local.problem import Problem

F = TypeVar("F", bound=Callable[..., Any])

_LIGHT = "_tinkex_light"


@frozen(eq=False)
class Call:
    """A request that fits the spec: its parameters by name and its parsed body."""

    operation_id: str
    request: Request
    parameters: Mapping[str, Any]
    body: Any

    def checkpoint_path(self) -> TinkerPath:
        """Return the checkpoint that the URL names."""
        run_id, kind, name = (
            self.parameters[part]
            for part in ("training_run_id", "checkpoint_kind", "checkpoint_name")
        )
        if kind not in KINDS:
            raise Problem(404, f"this server keeps no {kind}: there are {', '.join(KINDS)}")
        return TinkerPath(run_id, kind, name)


def light(handler: F) -> F:
    """Mark a handler that only touches memory: it runs on the event loop itself."""
    setattr(handler, _LIGHT, True)
    return handler


def is_light(handler: Callable[..., Any]) -> bool:
    """Say whether a handler may run on the event loop."""
    return getattr(handler, _LIGHT, False)
