"""Optional request fields that a server does not need, or refuses.

Old servers that forbid unknown fields would refuse a request for a field without effect. So fields
with their default value are omitted. A field that a server refuses by name is omitted from then
on, if the request means the same without it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Mapping
from typing import Any

from tinkex_generated.types import Request, dumps, loads

log = logging.getLogger("tinkex.transport")

Path = tuple[str, ...]

# The defaults of openapi.yaml by operation, which servers use for missing fields.
DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "asample": {
        "num_samples": 1,
        "prompt_logprobs": False,
        "topk_prompt_logprobs": 0,
        "topk_sample_logprobs": 0,
        "prompt_alt_tokens_k": 0,
    },
    "create_model": {"optimizer_config": {"type": "adamw"}},
    "retrieve_future": {"allow_metadata_only": False},
    "retrieve_future_binary": {"allow_metadata_only": False},
    "save_weights": {"overwrite": False},
    "save_weights_for_sampler": {"kind": "snapshot"},
}
_STREAMED = {"stream_sample": "asample"}
# Requests have the same effect without these fields, whatever their values. Without `overwrite`, a save
# under a name that is taken is a conflict, so no checkpoint is kept or replaced in silence.
_LABELS: frozenset[Path] = frozenset(
    {("type",), ("user_metadata",), ("allow_metadata_only",), ("display_name",), ("overwrite",)}
)
# Requests have the same effect without these fields if they have these values. They are sent until they
# are refused, since servers differ in their defaults.
_USUAL: Mapping[Path, Any] = {
    ("adam_params", "grad_clip_norm"): 0.0,
    ("adam_params", "weight_decay"): 0.0,
    ("lora_config", "train_attn"): True,
    ("lora_config", "train_mlp"): True,
    ("lora_config", "train_unembed"): True,
    ("sampling_params", "top_k"): -1,
    ("sampling_params", "top_p"): 1.0,
}
# Error types of validators for unknown fields.
_UNKNOWN_FIELD = frozenset({"extra_forbidden", "value_error.extra"})


class RequestFields:
    """The fields that one server has refused, and request bodies without them."""

    def __init__(self) -> None:
        self._refused: dict[str, frozenset[Path]] = {}

    def encode(self, request: Request) -> bytes | None:
        """Return the encoded body of a request, without the fields that this server refuses."""
        if not isinstance(request.body, dict):
            return request.encode()
        operation = _STREAMED.get(request.operation, request.operation)
        defaults = DEFAULTS.get(operation, {})
        refused = self._refused.get(operation, ())
        if not defaults and not refused:
            return request.encode()
        body = {
            name: value
            for name, value in request.body.items()
            if name not in defaults or value != defaults[name]
        }
        return dumps(_without(body, [path for path in refused if _is_idle(body, path)]))

    def learn(self, request: Request, sent: Any, content: bytes) -> bool:
        """Store the fields that a 422 refuses; return whether the request can be sent without them.

        Args:
            request: The request that was refused.
            sent: The body that was sent.
            content: The body of the response.
        """
        if not isinstance(request.body, dict) or not isinstance(sent, bytes):
            return False
        operation = _STREAMED.get(request.operation, request.operation)
        paths = _unknown_fields(content)
        body = loads(sent)
        if not paths or not all(_is_idle(body, path) and _holds(body, path) for path in paths):
            return False
        known = self._refused.get(operation, frozenset())
        if news := paths - known:
            self._refused[operation] = known | paths
            log.log(
                logging.WARNING if ("user_metadata",) in news else logging.INFO,
                "this server does not accept %s of %s; omitting it from now on",
                ", ".join(sorted(".".join(path) for path in news)),
                operation,
            )
        return True


def _unknown_fields(content: bytes) -> frozenset[Path]:
    """Return the fields that a validator's response names as unknown; none if it names another error."""
    try:
        body = loads(content)
    except ValueError:
        return frozenset()
    faults = body.get("detail") if isinstance(body, dict) else None
    found: set[Path] = set()
    for fault in faults if isinstance(faults, list) else ():
        place = fault.get("loc") if isinstance(fault, dict) else None
        if not isinstance(place, list) or fault.get("type") not in _UNKNOWN_FIELD:
            return frozenset()
        found.add(tuple(str(part) for part in place if part != "body"))
    return frozenset(found)


def _is_idle(body: Mapping[str, Any], path: Path) -> bool:
    """Return whether a request means the same without one of its fields."""
    if path in _LABELS:
        return True
    if path not in _USUAL:
        return False
    return bool(_at(body, path) == _USUAL[path])


def _holds(body: Mapping[str, Any], path: Path) -> bool:
    found = _at(body, path[:-1])
    return isinstance(found, Mapping) and path[-1] in found


def _at(body: Any, path: Path) -> Any:
    for name in path:
        body = body.get(name) if isinstance(body, Mapping) else None
    return body


def _without(body: dict[str, Any], paths: Iterable[Path]) -> dict[str, Any]:
    """Return a body without some of its fields."""
    for path in paths:
        name, *rest = path
        if rest and isinstance(body.get(name), dict):
            body = {**body, name: _without(body[name], [tuple(rest)])}
        else:
            body = {key: value for key, value in body.items() if key != name}
    return body


_fields: dict[str, RequestFields] = {}
_lock = threading.Lock()


def fields_of(base_url: str) -> RequestFields:
    """Return the refused fields of a server; shared by all clients of the process."""
    with _lock:
        return _fields.setdefault(base_url, RequestFields())
