"""Say for each operation whether the same bytes may be sent twice, and what makes that safe."""

from __future__ import annotations

from enum import Enum


class RequestClass(Enum):
    """Say by what a repeated request is recognised, and so when it may be repeated.

    READ: Nothing changes; repeat at will.
    SEQUENCED: The server knows it by (model_id, seq_id); identical bytes have one effect.
    KEYED: The server knows it by the session's own counter; identical bytes have one effect.
    REPEATABLE: Doing it twice leaves what doing it once leaves.
    UNKEYED: Only X-Idempotency-Key tells a repetition, and a server may ignore it: repeat only
        when nothing was sent, or when the server says that it did nothing (429, 503).
    BACKGROUND: Not worth a second attempt.
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
        return self not in {RequestClass.UNKEYED, RequestClass.BACKGROUND}


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
    """Return the class of an operation of openapi.yaml; those that only read need no entry."""
    return _CLASS_OF.get(operation, RequestClass.READ)
