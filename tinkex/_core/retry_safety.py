"""For each operation, whether and why the same bytes may be sent twice."""

from __future__ import annotations

from enum import Enum


class RequestClass(Enum):
    """How the server recognises a repeated request, which decides when it may be repeated.

    READ: No side effects; always repeatable.
    SEQUENCED: Recognised by (model_id, seq_id); identical bytes are applied once.
    KEYED: Recognised by the session's counter; identical bytes are applied once.
    REPEATABLE: The operation is idempotent by nature.
    UNKEYED: Recognised only by X-Idempotency-Key, which a server may ignore: repeat only if nothing
        was sent, or if the server says that it did nothing (429, 503).
    BACKGROUND: Best effort; never repeated.
    """

    READ = "read"
    SEQUENCED = "sequenced"
    KEYED = "keyed"
    REPEATABLE = "repeatable"
    UNKEYED = "unkeyed"
    BACKGROUND = "background"

    @property
    def is_idempotent(self) -> bool:
        """Return whether the same bytes may be sent again after they may have arrived."""
        return self is not RequestClass.UNKEYED and self is not RequestClass.BACKGROUND


_CLASSES: dict[RequestClass, frozenset[str]] = {
    RequestClass.SEQUENCED: frozenset(
        {
            "forward_backward",
            "forward_backward_binary",
            "forward",
            "optim_step",
            "save_weights",
            "save_weights_for_sampler",
            "save_weights_external",
            "load_weights",
        }
    ),
    RequestClass.KEYED: frozenset(
        {
            "create_model",
            "create_sampling_session",
            "join_sampling_session",
            "create_custom_loss",
            "asample",
        }
    ),
    RequestClass.REPEATABLE: frozenset(
        {
            "set_checkpoint_ttl",
            "unload_model",
            "finish_session",
            "assign_session_project",
            "cancel_future",
        }
    ),
    RequestClass.UNKEYED: frozenset(
        {
            "create_session",
            "publish_checkpoint",
            "unpublish_checkpoint",
            "delete_checkpoint",
            "copy_weights",
            "delete_own_api_key",
            "stream_sample",
            "raw_request",
        }
    ),
    RequestClass.BACKGROUND: frozenset({"session_heartbeat", "send_telemetry"}),
}

_CLASS_OF: dict[str, RequestClass] = {
    operation: request_class
    for request_class, operations in _CLASSES.items()
    for operation in operations
}


def request_class(operation: str) -> RequestClass:
    """Return the class of an operation of openapi.yaml; unlisted operations only read."""
    return _CLASS_OF.get(operation, RequestClass.READ)
