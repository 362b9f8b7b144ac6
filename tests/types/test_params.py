"""Settings check themselves and name the field that cannot be right."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from tinkex.errors import ValidationError
from tinkex.types import AdamParams, LoraConfig, SamplingParams

NAN = float("nan")


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        (AdamParams, "learning_rate", -1e-4),
        (AdamParams, "learning_rate", NAN),
        (AdamParams, "learning_rate", "1e-4"),
        (AdamParams, "learning_rate", True),
        (AdamParams, "beta1", 1.0),
        (AdamParams, "beta2", -0.1),
        (AdamParams, "eps", 0.0),
        (AdamParams, "weight_decay", -1.0),
        (AdamParams, "grad_clip_norm", float("inf")),
        (LoraConfig, "rank", 0),
        (LoraConfig, "rank", 1.5),
        (LoraConfig, "rank", True),
        (LoraConfig, "rank", None),
        (LoraConfig, "seed", -1),
        (LoraConfig, "seed", 2**63),
        (LoraConfig, "train_mlp", "no"),
        (LoraConfig, "train_attn", None),
        (SamplingParams, "max_tokens", 0),
        (SamplingParams, "max_tokens", 2.5),
        (SamplingParams, "seed", 2**64),
        (SamplingParams, "temperature", -0.1),
        (SamplingParams, "temperature", None),
        (SamplingParams, "top_k", 0),
        (SamplingParams, "top_k", -2),
        (SamplingParams, "top_p", 0.0),
        (SamplingParams, "top_p", 1.1),
        (SamplingParams, "stop", ["a", 1]),
        (SamplingParams, "stop", [True]),
        (SamplingParams, "stop", 5),
        (SamplingParams, "stop", [1.5]),
        (SamplingParams, "stop", [None]),
    ],
    ids=repr,
)
def test_a_bad_setting_is_refused_by_its_name(kind: type, field: str, value: object) -> None:
    """Each setting out of its range is a ValidationError whose path is the field."""
    with pytest.raises(ValidationError) as caught:
        kind(**{field: value})
    assert caught.value.path == field


def test_an_adapter_must_adapt_something() -> None:
    """All three places switched off is refused."""
    with pytest.raises(ValidationError, match="at least one of train_mlp"):
        LoraConfig(train_mlp=False, train_attn=False, train_unembed=False)


def test_numpy_scalars_are_taken_as_plain_numbers() -> None:
    """Settings computed with numpy become Python's own numbers, which any JSON writer knows."""
    adam = AdamParams(learning_rate=np.float32(0.5), weight_decay=0)
    params = SamplingParams(max_tokens=np.int32(4), stop=np.array([1, 2]), top_k=np.int64(3))
    assert type(adam.learning_rate) is type(adam.weight_decay) is float
    assert type(params.max_tokens) is int
    assert params.stop == (1, 2)
    assert {type(item) for item in params.stop} == {int}


def test_stop_keeps_its_meanings_apart() -> None:
    """None, an empty list, a string, strings and ids are five different wishes."""
    assert SamplingParams().stop is None
    assert SamplingParams(stop=[]).stop == ()
    assert SamplingParams(stop="x").stop == "x"
    assert SamplingParams(stop=["x", "y"]).stop == ("x", "y")
    assert SamplingParams(stop=[7]).stop == (7,)


def test_settings_are_values() -> None:
    """Settings are frozen, comparable, hashable and picklable, with the service's defaults."""
    for value in (AdamParams(), LoraConfig(), SamplingParams(stop=["x"])):
        assert pickle.loads(pickle.dumps(value)) == value
        assert hash(value) == hash(pickle.loads(pickle.dumps(value)))
        with pytest.raises(AttributeError):
            value.seed = 1
    assert AdamParams() == AdamParams(1e-4, 0.9, 0.95, 1e-12, 0.0, 0.0)
    assert LoraConfig() == LoraConfig(32, None, True, True, True)
