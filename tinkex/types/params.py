"""Settings of optimizer steps, sampling, and adapters."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from typing import Any

import attrs
from attrs import field, frozen

from tinkex.errors import ValidationError
from tinkex.types.json_form import JsonForm

# The service folds seeds into this range.
_SEEDS_END = 2**63


def _plain_float(value: Any) -> Any:
    """Convert numbers of other libraries, such as numpy scalars, to Python floats."""
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    return float(value) if is_number else value


def plain_int(value: Any) -> Any:
    """Convert integers of other libraries to Python ints; return anything else unchanged."""
    is_integer = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    return int(value) if is_integer else value


def _float(
    default: float | None,
    *,
    least: float = -math.inf,
    below: float = math.inf,
    above: float = -math.inf,
) -> Any:
    """Return a field for a finite number with least <= x < below and x > above.

    Without a default it is required.
    """

    def check(_: object, attribute: attrs.Attribute[Any], value: Any) -> None:
        if not isinstance(value, float) or not math.isfinite(value):
            raise ValidationError(f"must be a finite number, not {value!r}", path=attribute.name)
        if value < least or value >= below or value <= above:
            bounds = [
                f"at least {least:g}" if math.isfinite(least) else "",
                f"above {above:g}" if math.isfinite(above) else "",
                f"below {below:g}" if math.isfinite(below) else "",
            ]
            raise ValidationError(
                f"must be {' and '.join(filter(None, bounds))}, not {value!r}", path=attribute.name
            )

    given = attrs.NOTHING if default is None else default
    return field(default=given, converter=_plain_float, validator=check)


def _integer(default: int | None, *, least: int, below: int | None = None) -> Any:
    """Return a field for an integer with least <= x < below, or None if that is the default."""

    def check(_: object, attribute: attrs.Attribute[Any], value: Any) -> None:
        if value is None and default is None:
            return
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValidationError(
                f"must be an integer of at least {least}, not {value!r}", path=attribute.name
            )
        if below is not None and value >= below:
            raise ValidationError(f"must be below {below}, not {value!r}", path=attribute.name)

    return field(default=default, converter=plain_int, validator=check)


def _switch(_: object, attribute: attrs.Attribute[Any], value: Any) -> None:
    if not isinstance(value, bool):
        raise ValidationError(f"must be True or False, not {value!r}", path=attribute.name)


@frozen
class AdamParams(JsonForm):
    """Settings of one AdamW step.

    >>> AdamParams(learning_rate=1e-4).beta2
    0.95

    Attributes:
        learning_rate: Step size.
        beta1: Decay rate of the first moment.
        beta2: Decay rate of the second moment.
        eps: Added outside the square root.
        weight_decay: Decoupled weight decay (Loshchilov & Hutter 2019, arXiv:1711.05101).
        grad_clip_norm: Largest global L2 norm of the gradient; 0 disables clipping.
    """

    learning_rate: float = _float(1e-4, least=0)
    beta1: float = _float(0.9, least=0, below=1)
    beta2: float = _float(0.95, least=0, below=1)
    eps: float = _float(1e-12, above=0)
    weight_decay: float = _float(0.0, least=0)
    grad_clip_norm: float = _float(0.0, least=0)


@frozen
class DimuonParams(JsonForm):
    """Settings of one Dimuon step, for a model created with ``optimizer="dimuon"``.

    >>> DimuonParams(learning_rate=1e-3).beta1
    0.9

    Attributes:
        learning_rate: Step size.
        grad_clip_norm: Largest global L2 norm of the gradient; 0 disables clipping.
        beta1: Decay rate of the first moment.
    """

    learning_rate: float = _float(None, least=0)
    grad_clip_norm: float = _float(0.0, least=0)
    beta1: float = _float(0.9, least=0, below=1)


@frozen
class LoraConfig(JsonForm):
    """The size and the target layers of a LoRA adapter.

    Attributes:
        rank: Rank of each pair of matrices.
        seed: Seed of the initial matrices.
        train_mlp: Whether to adapt the MLP layers (and experts).
        train_attn: Whether to adapt the attention layers.
        train_unembed: Whether to adapt the unembedding.
    """

    rank: int = _integer(32, least=1)
    seed: int | None = _integer(None, least=0, below=_SEEDS_END)
    train_mlp: bool = field(default=True, validator=_switch)
    train_attn: bool = field(default=True, validator=_switch)
    train_unembed: bool = field(default=True, validator=_switch)

    def __attrs_post_init__(self) -> None:
        if not (self.train_mlp or self.train_attn or self.train_unembed):
            raise ValidationError(
                "at least one of train_mlp, train_attn, train_unembed must be True"
            )


def _stop(value: Any) -> str | tuple[str, ...] | tuple[int, ...] | None:
    if value is None or isinstance(value, str):
        return value
    try:
        items = tuple(plain_int(item) for item in value)
    except TypeError:
        items = (None,)  # not a sequence, refused below
    if all(isinstance(item, str) for item in items):
        return items
    if any(isinstance(item, bool) or not isinstance(item, int | str) for item in items):
        raise ValidationError(
            f"must be a string, strings or token ids, not {value!r:.100}", path="stop"
        )
    if all(isinstance(item, int) for item in items):
        return items
    raise ValidationError("must be all strings or all token ids, not a mix", path="stop")


@frozen
class SamplingParams(JsonForm):
    """Sampling settings.

    >>> SamplingParams(max_tokens=16, temperature=0.0)
    SamplingParams(max_tokens=16, seed=None, stop=None, temperature=0.0, top_k=-1, top_p=1.0)

    Attributes:
        max_tokens: Most tokens to sample; None uses the server's default.
        seed: Makes sampling reproducible.
        stop: A string, strings or token ids that end a sequence. None uses the model's end-of-text
            token; with an empty list, only `max_tokens` ends it.
        temperature: 0 always takes the likeliest token.
        top_k: Sample from this many likeliest tokens; -1 from all.
        top_p: Sample from the likeliest tokens that together have this probability.
    """

    max_tokens: int | None = _integer(None, least=1)
    seed: int | None = _integer(None, least=0, below=_SEEDS_END)
    stop: str | Sequence[str] | Sequence[int] | None = field(default=None, converter=_stop)
    temperature: float = _float(1.0, least=0)
    top_k: int = _integer(-1, least=-1)
    top_p: float = _float(1.0, above=0)

    def __attrs_post_init__(self) -> None:
        if self.top_p > 1:
            raise ValidationError(f"must be at most 1, not {self.top_p!r}", path="top_p")
        if self.top_k == 0:
            raise ValidationError("must be -1 (no limit) or at least 1, not 0", path="top_k")
