"""The shape of a model, and how it is read from a Hugging Face `config.json`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from attrs import frozen

from tinkex.local.engine.errors import EngineError
from tinkex.local.engine.vision import VisionConfig

_ARCHITECTURES = {"qwen3": "Qwen3ForCausalLM", "llama": "LlamaForCausalLM"}


@frozen
class RopeScaling:
    """Llama 3's frequency scaling of rotary embeddings (`rope_type: "llama3"`)."""

    factor: float
    low_freq_factor: float
    high_freq_factor: float
    original_max_position: int


@frozen
class ModelConfig:
    """The shape of a decoder-only transformer (Qwen3 or Llama).

    Example:
        >>> nano_config(vocab_size=1024).hidden_size
        48

    """

    vocab_size: int
    hidden_size: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    intermediate_size: int
    rope_theta: float = 10_000.0
    rope_scaling: RopeScaling | None = None
    rms_eps: float = 1e-6
    tie_embeddings: bool = True
    qk_norm: bool = True
    max_context: int = 2048
    eos_token_ids: tuple[int, ...] = ()
    vision: VisionConfig | None = None

    def __attrs_post_init__(self) -> None:
        sizes = ("vocab_size", "hidden_size", "num_layers", "num_heads", "num_kv_heads")
        for name in (*sizes, "head_dim", "intermediate_size", "max_context"):
            if getattr(self, name) < 1:
                raise EngineError(f"{name} is {getattr(self, name)}, expected at least 1")
        if self.num_heads % self.num_kv_heads:
            raise EngineError(
                f"num_heads ({self.num_heads}) is not a multiple of "
                f"num_kv_heads ({self.num_kv_heads})"
            )
        if self.head_dim % 2:
            raise EngineError(f"head_dim is {self.head_dim}; rotary embeddings need an even one")

    @property
    def input_size(self) -> int:
        """Number of ids that an input may hold: tokens, and then the codes of image patches."""
        return self.vocab_size + (0 if self.vision is None else self.vision.codes)

    @property
    def query_width(self) -> int:
        """Width of all query heads side by side."""
        return self.num_heads * self.head_dim

    @property
    def kv_width(self) -> int:
        """Width of all key (or value) heads side by side."""
        return self.num_kv_heads * self.head_dim

    @property
    def parameter_count(self) -> int:
        """Number of weights of the base model."""
        attention = 2 * self.hidden_size * (self.query_width + self.kv_width)
        norms = 2 * self.hidden_size + (2 * self.head_dim if self.qk_norm else 0)
        layer = attention + 3 * self.hidden_size * self.intermediate_size + norms
        embeddings = self.vocab_size * self.hidden_size * (1 if self.tie_embeddings else 2)
        return embeddings + self.num_layers * layer + self.hidden_size


def nano_config(
    vocab_size: int = 1024, max_context: int = 512, eos_token_ids: tuple[int, ...] = ()
) -> ModelConfig:
    """Return a shape of about 0.1M weights, for tests that need speed and not sense."""
    return ModelConfig(
        vocab_size=vocab_size,
        hidden_size=48,
        num_layers=2,
        num_heads=4,
        num_kv_heads=2,
        head_dim=16,
        intermediate_size=112,
        max_context=max_context,
        eos_token_ids=eos_token_ids,
    )


def _refuse_unsupported(raw: Mapping[str, Any]) -> None:
    model_type = raw.get("model_type")
    if model_type not in _ARCHITECTURES:
        known = ", ".join(sorted(_ARCHITECTURES))
        raise EngineError(f"config.json: model_type {model_type!r} is not supported (only {known})")
    for key in ("num_experts", "num_local_experts", "n_routed_experts"):
        if raw.get(key):
            raise EngineError(f"config.json: {key} is set; mixture-of-experts is not supported")
    for key in ("attention_bias", "mlp_bias", "use_sliding_window"):
        if raw.get(key):
            raise EngineError(f"config.json: {key} is {raw[key]!r}; only false is supported")
    if any(kind != "full_attention" for kind in raw.get("layer_types") or ()):
        raise EngineError("config.json: layer_types may only hold 'full_attention'")
    if model_type == "llama" and raw.get("sliding_window"):
        raise EngineError("config.json: sliding_window is not supported")
    if raw.get("hidden_act", "silu") not in ("silu", "swish"):
        raise EngineError(f"config.json: hidden_act {raw['hidden_act']!r} is not supported")
    if raw.get("quantization_config"):
        raise EngineError("config.json: quantized weights are not supported")


def _rope(raw: Mapping[str, Any]) -> tuple[float, RopeScaling | None]:
    """Read both spellings: `rope_theta` + `rope_scaling`, and the newer `rope_parameters`."""
    parameters = raw.get("rope_parameters") or raw.get("rope_scaling") or {}
    theta = float(parameters.get("rope_theta") or raw.get("rope_theta") or 10_000.0)
    partial = parameters.get("partial_rotary_factor", raw.get("partial_rotary_factor")) or 1.0
    if partial != 1.0:
        raise EngineError(f"config.json: partial_rotary_factor {partial} is not supported")
    kind = parameters.get("rope_type") or parameters.get("type") or "default"
    if kind == "default":
        return theta, None
    if kind != "llama3":
        raise EngineError(
            f"config.json: rope type {kind!r} is not supported (only 'default' and 'llama3')"
        )
    try:
        scaling = RopeScaling(
            factor=float(parameters["factor"]),
            low_freq_factor=float(parameters["low_freq_factor"]),
            high_freq_factor=float(parameters["high_freq_factor"]),
            original_max_position=int(parameters["original_max_position_embeddings"]),
        )
    except KeyError as error:
        raise EngineError(f"config.json: rope scaling 'llama3' lacks {error}") from None
    if not math.isfinite(scaling.factor) or scaling.high_freq_factor <= scaling.low_freq_factor:
        raise EngineError("config.json: rope scaling needs high_freq_factor > low_freq_factor")
    return theta, scaling


def _token_ids(value: int | list[int] | None) -> tuple[int, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, int) else tuple(value)


def config_from_hf(
    raw: Mapping[str, Any], generation: Mapping[str, Any] | None = None
) -> ModelConfig:
    """Read a `config.json` of model type qwen3 or llama.

    `generation` is the content of `generation_config.json`: where it names end-of-sequence
    tokens it is believed over `config.json`, because chat models list more of them there.

    Raises:
        EngineError: if the file lacks a key or asks for something the engine does not do.

    """
    _refuse_unsupported(raw)
    theta, scaling = _rope(raw)
    stops = _token_ids((generation or {}).get("eos_token_id")) or _token_ids(
        raw.get("eos_token_id")
    )
    try:
        heads = int(raw["num_attention_heads"])
        return ModelConfig(
            vocab_size=int(raw["vocab_size"]),
            hidden_size=int(raw["hidden_size"]),
            num_layers=int(raw["num_hidden_layers"]),
            num_heads=heads,
            num_kv_heads=int(raw.get("num_key_value_heads") or heads),
            head_dim=int(raw.get("head_dim") or int(raw["hidden_size"]) // heads),
            intermediate_size=int(raw["intermediate_size"]),
            rope_theta=theta,
            rope_scaling=scaling,
            rms_eps=float(raw.get("rms_norm_eps", 1e-6)),
            tie_embeddings=bool(raw.get("tie_word_embeddings", False)),
            qk_norm=raw["model_type"] == "qwen3",
            max_context=int(raw.get("max_position_embeddings", 2048)),
            eos_token_ids=stops,
        )
    except KeyError as error:
        raise EngineError(f"config.json lacks {error}") from None


def config_to_hf(config: ModelConfig, dtype: str = "float32") -> dict[str, Any]:
    """Write the `config.json` that `config_from_hf` reads back."""
    model_type = "qwen3" if config.qk_norm else "llama"
    raw: dict[str, Any] = {
        "architectures": [_ARCHITECTURES[model_type]],
        "model_type": model_type,
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden_size,
        "num_hidden_layers": config.num_layers,
        "num_attention_heads": config.num_heads,
        "num_key_value_heads": config.num_kv_heads,
        "head_dim": config.head_dim,
        "intermediate_size": config.intermediate_size,
        "hidden_act": "silu",
        "attention_bias": False,
        "rope_theta": config.rope_theta,
        "rms_norm_eps": config.rms_eps,
        "tie_word_embeddings": config.tie_embeddings,
        "max_position_embeddings": config.max_context,
        "eos_token_id": list(config.eos_token_ids) or None,
        "torch_dtype": dtype,
    }
    if config.rope_scaling is not None:
        raw["rope_scaling"] = {
            "rope_type": "llama3",
            "factor": config.rope_scaling.factor,
            "low_freq_factor": config.rope_scaling.low_freq_factor,
            "high_freq_factor": config.rope_scaling.high_freq_factor,
            "original_max_position_embeddings": config.rope_scaling.original_max_position,
        }
    return raw
