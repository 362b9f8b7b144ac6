"""Checks that refuse invalid arguments before anything is sent."""

from __future__ import annotations

import numbers
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, cast

from tinkex._base.checkpoint_path import is_name, split_path
from tinkex._core.queue_state import QueueObserver
from tinkex.errors import ValidationError
from tinkex.types.datum import Datum
from tinkex.types.foreign import datum_of, model_input_of, settings_of
from tinkex.types.model_input import ModelInput
from tinkex.types.paths import CheckpointPath

T = TypeVar("T")


def checked_data(data: Sequence[Datum]) -> Sequence[Datum]:
    """Return the data of a batch if it is a list of at least one datum; another package's as ours."""
    if hasattr(data, "loss_fn_inputs") or not isinstance(data, Sequence):
        raise ValidationError("must be a list of Datum", path="data")
    if not data:
        raise ValidationError("is empty; the service would never respond", path="data")
    if all(isinstance(item, Datum) for item in data):
        return data
    return [datum_of(item, f"data[{index}]") for index, item in enumerate(data)]


def checked_prompt(prompt: ModelInput) -> ModelInput:
    """Return a prompt if there is something in it to read; another package's as ours."""
    prompt = model_input_of(prompt, "prompt")
    if not prompt.chunks or prompt.known_length() == 0:
        raise ValidationError("is empty; it must have at least one token", path="prompt")
    return prompt


def checked_count(value: Any, path: str, least: int) -> int:
    """Return an integer of at least `least` as a Python int; numpy integers are accepted."""
    if type(value) is int and value >= least:
        # The test for a numpy integer is slow, and most numbers are none.
        return value
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < least:
        raise ValidationError(f"must be an integer of at least {least}, not {value!r}", path=path)
    return int(value)


def check_observer(observer: QueueObserver | None) -> None:
    """Raise if an observer of queue states cannot be called."""
    if observer is not None and not callable(observer):
        raise ValidationError(
            f"must be a function of a QueueStateChange, not {type(observer).__name__}",
            path="queue_state_observer",
        )


def checked_ttl(ttl_seconds: int | None) -> int | None:
    """Return a time to live in seconds; None means that the object never expires."""
    if ttl_seconds is None:
        return None
    return checked_count(ttl_seconds, "ttl_seconds", 1)


def checked_metadata(
    user_metadata: Mapping[str, str] | None, path: str = "user_metadata"
) -> dict[str, str] | None:
    """Return key-value pairs of strings, or None for none.

    Numbers and booleans are converted to the strings that JSON writes for them.
    """
    if user_metadata is None:
        return None
    if not isinstance(user_metadata, Mapping):
        raise ValidationError('must be a dict such as {"team": "a"}', path=path)
    pairs: dict[str, str] = {}
    for name, value in user_metadata.items():
        if not isinstance(name, str) or not isinstance(cast("Any", value), str | int | float):
            raise ValidationError(
                f"must map strings to strings, not {name!r} to {value!r:.80}", path=path
            )
        pairs[name] = str(value).lower() if isinstance(cast("Any", value), bool) else str(value)
    return pairs


def checked_name(name: str) -> str:
    """Return a checkpoint's name if it is valid in a path."""
    if not is_name(name):
        raise ValidationError(
            f"must be a plain name such as 'step-100', without slashes and spaces, not {name!r}",
            path="name",
        )
    return name


def check_training_path(path: str) -> None:
    """Refuse a path from which training cannot resume.

    For a path without a kind the server decides.
    """
    parsed = CheckpointPath.parse(path)
    if parsed.kind != "weights" and not parsed.is_short:
        raise ValidationError(
            f"{path} is a {parsed.checkpoint_type} checkpoint; training resumes from a checkpoint of "
            "save_state (tinker://<run>/weights/<name>)",
            path="path",
        )


def check_sampling_path(path: str) -> None:
    """Refuse a path that cannot be sampled from.

    The part between run and name is left to the server: servers differ (SkyRL has none).
    """
    split_path(path, ValidationError)
    if "/external_weights/" in path:
        raise ValidationError(
            f"{path} holds exported files; sample from a checkpoint of save_weights_for_sampler",
            path="model_path",
        )


def checked_id(value: str, path: str) -> str:
    """Return the id of an object on the server if it is well-formed."""
    if not isinstance(value, str) or value in {"", ".", ".."}:
        raise ValidationError(f"must be the id of an object, not {value!r}", path=path)
    return value


def checked_settings(value: Any, kind: type[T], path: str) -> T:
    """Return settings as one of our classes; None stands for its defaults."""
    return kind() if value is None else settings_of(value, kind, path)
