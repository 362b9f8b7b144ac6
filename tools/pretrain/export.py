"""Write a checkpoint as the Hugging Face folder that tinkex ships: float16 weights, configuration, model card.

python -m tools.pretrain.export RUN_FOLDER MODEL_FOLDER
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

import torch
from safetensors.torch import save as serialized
from tokenizers import Tokenizer

from .chat import ENDOFTEXT, IM_END
from .model import Shape, Transformer
from .train import TOKENS_PER_STEP, Mix, encoded, sequence_loss

CARD = Path(__file__).parent / "model_card.md"
VALIDATION_TOKENS = 100_000


def configuration(shape: Shape, tokenizer: Tokenizer) -> dict[str, object]:
    """Return config.json: the architecture is Qwen3's."""
    return {
        "architectures": ["Qwen3ForCausalLM"],
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": None,
        "dtype": "float16",
        "eos_token_id": tokenizer.token_to_id(IM_END),
        "head_dim": shape.head_dim,
        "hidden_act": "silu",
        "hidden_size": shape.hidden_size,
        "initializer_range": 0.02,
        "intermediate_size": shape.intermediate_size,
        "max_position_embeddings": shape.max_context,
        "model_type": "qwen3",
        "num_attention_heads": shape.num_heads,
        "num_hidden_layers": shape.num_layers,
        "num_key_value_heads": shape.num_kv_heads,
        "pad_token_id": tokenizer.token_to_id(ENDOFTEXT),
        "rms_norm_eps": shape.rms_eps,
        "rope_scaling": None,
        "rope_theta": shape.rope_theta,
        "tie_word_embeddings": True,
        "use_cache": True,
        "vocab_size": shape.vocab_size,
    }


def generation_configuration(tokenizer: Tokenizer) -> dict[str, object]:
    """Return generation_config.json: a reply ends at the end of the message or of the text."""
    return {
        "do_sample": True,
        "eos_token_id": [tokenizer.token_to_id(IM_END), tokenizer.token_to_id(ENDOFTEXT)],
        "pad_token_id": tokenizer.token_to_id(ENDOFTEXT),
        "temperature": 0.7,
        "top_p": 0.95,
    }


def write_json(path: Path, content: dict[str, object]) -> None:
    """Write an indented JSON file."""
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


@torch.no_grad()
def held_out_loss(model: Transformer, tokenizer: Tokenizer) -> dict[str, float]:
    """Return nats per token on the validation split: all tokens, and replies and prose only; and bits per byte."""
    ids, weights = encoded("valid", VALIDATION_TOKENS, tokenizer, Mix())
    rows = VALIDATION_TOKENS // 256
    windows = torch.from_numpy(ids[: rows * 256]).long().view(rows, 256)
    counted = torch.from_numpy(weights[: rows * 256]).view(rows, 256)
    sums = {"all": 0.0, "answers": 0.0}
    for chunk, weight in zip(windows.split(16), counted.split(16), strict=True):
        sums["all"] += (
            sequence_loss(model, chunk, torch.ones_like(weight)).item() * len(chunk) / rows
        )
        sums["answers"] += (
            sequence_loss(model, chunk, (weight == 1).float()).item() * len(chunk) / rows
        )
    text = tokenizer.decode(ids[: rows * 256].tolist(), skip_special_tokens=False)
    nats = sums["all"] * rows * 255
    sums["bits_per_byte"] = nats / 0.6931471805599453 / len(text.encode())
    return sums


def last_record(run: Path) -> dict[str, float]:
    """Return the last line of the log of a run."""
    lines = (run / "log.jsonl").read_text(encoding="utf-8").splitlines()
    record: dict[str, float] = json.loads(lines[-1])
    return record


def export(folder: Path, runs: list[Path]) -> None:
    """Write the weights and the files that describe them."""
    torch.set_num_threads(1)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    shape = Shape(vocab_size=tokenizer.get_vocab_size())
    state = torch.load(runs[-1] / "checkpoint.pt", map_location="cpu", weights_only=True)
    halved = {
        f"model.{name}": tensor.to(torch.float16).contiguous() for name, tensor in state.items()
    }
    weights = serialized(halved, metadata={"format": "pt"})
    model = Transformer(shape)
    model.load_state_dict({name: halved[f"model.{name}"].float() for name in state})
    losses = held_out_loss(model, tokenizer)
    records = [last_record(run) for run in runs]
    steps = int(sum(record["step"] for record in records))
    card = CARD.read_text(encoding="utf-8").format(
        parameters=sum(tensor.numel() for tensor in state.values()),
        size=len(weights),
        sha256=hashlib.sha256(weights).hexdigest(),
        steps=steps,
        tokens=steps * TOKENS_PER_STEP / 1e6,
        minutes=sum(record["seconds"] for record in records) / 60,
        **losses,
    )
    write_json(folder / "config.json", configuration(shape, tokenizer))
    write_json(folder / "generation_config.json", generation_configuration(tokenizer))
    (folder / "model.safetensors").write_bytes(weights)
    (folder / "MODEL_CARD.md").write_text(card, encoding="utf-8")
    print(json.dumps(losses | records[-1]))


def main() -> None:
    """Read the arguments and export."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("runs", type=Path, nargs="+")
    arguments = parser.parse_args()
    export(arguments.folder, arguments.runs)


if __name__ == "__main__":
    main()
