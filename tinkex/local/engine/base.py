"""A frozen base model: its weights in the layout the forward pass wants.

Query and key rows are permuted at load so that the two halves of a rotary pair stand side by
side: rotation is then one complex multiplication. `rotary_order` is that permutation; adapters
apply it to their B matrices when they are read and undo it when they are written. Matrices are
kept [in, out], the transpose of Hugging Face's: BLAS multiplies a few rows by them in half the
time or less, which is what decoding does all day.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from attrs import evolve, frozen

from tinkex.local.engine.arena import Array
from tinkex.local.engine.config import ModelConfig, RopeScaling, config_from_hf, config_to_hf
from tinkex.local.engine.errors import EngineError
from tinkex.local.engine.tensors import TensorFile, read_json, write_json, write_tensors
from tinkex.local.engine.vision import VisionConfig

LARGE_MODEL = 100_000_000
"""Above this many weights, copies of them cost more than what they save."""


@frozen(eq=False)
class LayerWeights:
    """Weights of one block; matrices are [in, out]."""

    attention_norm: Array
    qkv: Array
    qk_norm: Array | None
    """[query heads + key heads, head_dim], or None."""
    o: Array
    mlp_norm: Array
    gate_up: Array
    down: Array


@frozen(eq=False)
class Weights:
    """All weights of a base model."""

    embed: Array
    """[vocabulary, D]; of a model that sees, the embeddings of its codes follow those of tokens."""
    layers: tuple[LayerWeights, ...]
    final_norm: Array
    head: Array
    """[D, vocabulary]; where the two are tied the transpose of `embed`, copied if it is small."""


class Base:
    """A base model that adapters are trained on; immutable, shared between threads.

    Example:
        >>> from tinkex.local.engine import Base, nano_config
        >>> Base.random(nano_config()).config.num_layers
        2

    """

    def __init__(
        self, config: ModelConfig, weights: Weights, name: str, folder: Path | None = None
    ) -> None:
        self.config = config
        self.weights = weights
        self.name = name
        self.folder = folder
        self.dtype: np.dtype[Any] = weights.embed.dtype
        self._rope: Array = np.empty((0, config.head_dim // 2), np.complex128)

    @classmethod
    def load(cls, folder: Path | str, name: str | None = None) -> Self:
        """Load a Hugging Face folder (Qwen3 or Llama shape) as float32.

        Raises:
            EngineError: naming the file, option or tensor that is missing or unsupported.

        """
        folder = Path(folder)
        if not folder.is_dir():
            raise EngineError(f"{folder} is not a folder")
        generation = folder / "generation_config.json"
        config = config_from_hf(
            read_json(folder / "config.json"),
            read_json(generation) if generation.exists() else None,
        )
        return cls(config, _read_weights(config, folder), name or folder.name, folder)

    @classmethod
    def random(
        cls,
        config: ModelConfig,
        seed: int = 0,
        name: str = "tinkex/nano",
        dtype: npt.DTypeLike = np.float32,
    ) -> Self:
        """Make a base of random weights: logits at the first step have a spread of about one."""
        rng = np.random.default_rng(seed)
        kind = np.dtype(dtype)

        def draw(rows: int, columns: int) -> Array:
            drawn: Array = rng.standard_normal((rows, columns)) / np.sqrt(columns)
            return drawn.astype(kind)

        def norm(width: int) -> Array:
            return (1.0 + 0.1 * rng.standard_normal(width)).astype(kind)

        def layer() -> dict[str, Array]:
            d, f = config.hidden_size, config.intermediate_size
            q, kv, h = config.query_width, config.kv_width, config.head_dim
            weights = {"input_layernorm": norm(d), "post_attention_layernorm": norm(d)}
            weights |= {"self_attn.q_proj": draw(q, d), "self_attn.k_proj": draw(kv, d)}
            weights |= {"self_attn.v_proj": draw(kv, d), "self_attn.o_proj": draw(d, q)}
            weights |= {"self_attn.q_norm": norm(h), "self_attn.k_norm": norm(h)}
            weights |= {"mlp.gate_proj": draw(f, d), "mlp.up_proj": draw(f, d)}
            return weights | {"mlp.down_proj": draw(d, f)}

        embed = draw(config.vocab_size, config.hidden_size)
        layers = tuple(_fuse(config, layer()) for _ in range(config.num_layers))
        head = embed if config.tie_embeddings else draw(config.vocab_size, config.hidden_size)
        head = _transposed_head(config, head)
        return cls(config, Weights(embed, layers, norm(config.hidden_size), head), name)

    def rotations(self, length: int) -> Array:
        """Return e^(i·angle) for positions below `length`: complex [length, head_dim / 2]."""
        table = self._rope
        if len(table) < length:
            rows = min(
                max(64, 1 << (length - 1).bit_length()), max(length, self.config.max_context)
            )
            angles = np.outer(np.arange(rows), rope_frequencies(self.config))
            kind = np.result_type(self.dtype, np.complex64)
            # Threads may race to build the table; they build the same one.
            table = self._rope = np.exp(1j * angles).astype(kind)
        return table[:length]


def rope_frequencies(config: ModelConfig) -> Array:
    """Return the angular frequency of each rotary pair, with Llama 3 scaling where asked.

    RoFormer (Su et al. 2021): theta^(-2i/d). Llama 3 divides wavelengths beyond
    original_max_position / low_freq_factor by `factor` and blends in between.
    """
    half = config.head_dim // 2
    frequencies = config.rope_theta ** -(np.arange(half) / half)
    scaling: RopeScaling | None = config.rope_scaling
    if scaling is None:
        return frequencies
    turns = scaling.original_max_position * frequencies / (2 * np.pi)
    blend = (turns - scaling.low_freq_factor) / (scaling.high_freq_factor - scaling.low_freq_factor)
    blend = np.clip(blend, 0.0, 1.0)
    scaled: Array = frequencies * (blend + (1.0 - blend) / scaling.factor)
    return scaled


def rotary_order(config: ModelConfig, heads: int) -> Array:
    """Return the row order that puts the halves (i, i + d/2) of each pair side by side."""
    half = config.head_dim // 2
    within = np.arange(config.head_dim).reshape(2, half).T.ravel()
    return (np.arange(heads)[:, None] * config.head_dim + within).ravel()


def _fuse(config: ModelConfig, hf: dict[str, Array]) -> LayerWeights:
    """Build one block from tensors under their Hugging Face names."""
    c = config
    within = rotary_order(c, 1)
    qk_norm = None
    if c.qk_norm:
        qk_norm = np.concatenate(
            [
                np.tile(hf["self_attn.q_norm"][within], (c.num_heads, 1)),
                np.tile(hf["self_attn.k_norm"][within], (c.num_kv_heads, 1)),
            ]
        )
    qkv = [
        hf["self_attn.q_proj"][rotary_order(c, c.num_heads)],
        hf["self_attn.k_proj"][rotary_order(c, c.num_kv_heads)],
        hf["self_attn.v_proj"],
    ]
    return LayerWeights(
        attention_norm=hf["input_layernorm"],
        qkv=_side_by_side(qkv),
        qk_norm=qk_norm,
        o=_side_by_side([hf["self_attn.o_proj"]]),
        mlp_norm=hf["post_attention_layernorm"],
        gate_up=_side_by_side([hf["mlp.gate_proj"], hf["mlp.up_proj"]]),
        down=_side_by_side([hf["mlp.down_proj"]]),
    )


def _side_by_side(matrices: list[Array]) -> Array:
    """Return the transposes of [out, in] matrices in one [in, Σ out]."""
    return np.ascontiguousarray(np.concatenate(matrices).T)


def _transposed_head(config: ModelConfig, head: Array) -> Array:
    if config.tie_embeddings and config.parameter_count > LARGE_MODEL:
        return head.T  # a copy of the embeddings would cost more than it saves
    return np.ascontiguousarray(head.T)


def _layer_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    d, f = config.hidden_size, config.intermediate_size
    q, kv, h = config.query_width, config.kv_width, config.head_dim
    shapes: dict[str, tuple[int, ...]] = {
        "input_layernorm": (d,),
        "post_attention_layernorm": (d,),
        "self_attn.q_proj": (q, d),
        "self_attn.k_proj": (kv, d),
        "self_attn.v_proj": (kv, d),
        "self_attn.o_proj": (d, q),
        "mlp.gate_proj": (f, d),
        "mlp.up_proj": (f, d),
        "mlp.down_proj": (d, f),
    }
    if config.qk_norm:
        shapes |= {"self_attn.q_norm": (h,), "self_attn.k_norm": (h,)}
    return shapes


def _open_shards(folder: Path) -> dict[str, TensorFile]:
    """Map every tensor name to the file that holds it."""
    index = folder / "model.safetensors.index.json"
    single = folder / "model.safetensors"
    if index.exists():
        placed: dict[str, str] = read_json(index).get("weight_map", {})
        files = {name: TensorFile(folder / name) for name in sorted(set(placed.values()))}
        return {tensor: files[name] for tensor, name in placed.items()}
    if single.exists():
        file = TensorFile(single)
        return dict.fromkeys(file.keys(), file)
    raise EngineError(f"{folder} has neither model.safetensors nor model.safetensors.index.json")


def _read_weights(config: ModelConfig, folder: Path) -> Weights:
    shards = _open_shards(folder)

    def read(name: str, shape: tuple[int, ...]) -> Array:
        if name not in shards:
            raise EngineError(f"{folder} has no tensor {name!r}")
        tensor = shards[name][name]
        if tensor.shape != shape:
            raise EngineError(
                f"tensor {name!r} has shape {tensor.shape}, but config.json says {shape}"
            )
        return np.array(tensor, np.float32)

    shapes = _layer_shapes(config)
    layers = tuple(
        _fuse(config, {n: read(f"model.layers.{i}.{n}.weight", s) for n, s in shapes.items()})
        for i in range(config.num_layers)
    )
    table = (config.vocab_size, config.hidden_size)
    embed = read("model.embed_tokens.weight", table)
    head = embed if config.tie_embeddings else read("lm_head.weight", table)
    norm = read("model.norm.weight", (config.hidden_size,))
    return Weights(embed, layers, norm, _transposed_head(config, head))


def _unfuse(config: ModelConfig, layer: LayerWeights) -> dict[str, Array]:
    """Undo `_fuse`."""
    c = config
    q, k, v = np.split(layer.qkv.T, [c.query_width, c.query_width + c.kv_width])
    gate, up = np.split(layer.gate_up.T, 2)
    hf = {
        "input_layernorm": layer.attention_norm,
        "post_attention_layernorm": layer.mlp_norm,
        "self_attn.q_proj": q[np.argsort(rotary_order(c, c.num_heads))],
        "self_attn.k_proj": k[np.argsort(rotary_order(c, c.num_kv_heads))],
        "self_attn.v_proj": v,
        "self_attn.o_proj": layer.o.T,
        "mlp.gate_proj": gate,
        "mlp.up_proj": up,
        "mlp.down_proj": layer.down.T,
    }
    if layer.qk_norm is not None:
        back = np.argsort(rotary_order(c, 1))
        hf["self_attn.q_norm"] = layer.qk_norm[0][back]
        hf["self_attn.k_norm"] = layer.qk_norm[c.num_heads][back]
    return hf


def with_vision(base: Base, vision: VisionConfig, projection: Array, name: str) -> Base:
    """Return a base that sees: with the embeddings of image patches behind those of its tokens."""
    codes = vision.embeddings(projection.astype(base.dtype))
    weights = evolve(base.weights, embed=np.concatenate([base.weights.embed, codes]))
    return Base(evolve(base.config, vision=vision), weights, name, base.folder)


def save_base(base: Base, folder: Path | str) -> None:
    """Write a base as a Hugging Face folder (config.json, model.safetensors).

    The tokenizer files of the folder it came from, if any, are copied along.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    weights = base.weights
    tensors = {"model.embed_tokens.weight": weights.embed, "model.norm.weight": weights.final_norm}
    if not base.config.tie_embeddings:
        tensors["lm_head.weight"] = weights.head.T
    for i, layer in enumerate(weights.layers):
        for name, tensor in _unfuse(base.config, layer).items():
            tensors[f"model.layers.{i}.{name}.weight"] = tensor
    write_tensors(folder / "model.safetensors", tensors)
    write_json(folder / "config.json", config_to_hf(base.config, base.dtype.name))
    for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
        if base.folder is not None and (base.folder / name).exists():
            shutil.copyfile(base.folder / name, folder / name)
