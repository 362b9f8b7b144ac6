"""Make a random Qwen3 model of 140,000 parameters with a tokenizer: `tiny_model.py FOLDER`.

Run in the virtual environment of a server, for numpy, safetensors and tokenizers.
"""

import json
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

VOCABULARY, HIDDEN, LAYERS, HEADS, KV_HEADS, HEAD_DIM, FFN = 512, 64, 2, 4, 2, 16, 128
CONTEXT = 2048
TEXT = """The quick brown fox jumps over the lazy dog. Hello, world! How are you today?
Question: What is 2 + 2? Answer: 4. Question: What is the capital of France? Answer: Paris.
user assistant system 0 1 2 3 4 5 6 7 8 9 10 { } [ ] ( ) < > = + - * / " ' : ; , . ? !
"""
END, TURN, TURN_END = SPECIALS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def write_tokenizer(folder: Path) -> None:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        min_frequency=1,
        special_tokens=[AddedToken(text, special=True, normalized=False) for text in SPECIALS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXT.splitlines(keepends=True), trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    write(
        folder / "tokenizer_config.json",
        tokenizer_class="PreTrainedTokenizerFast",
        model_max_length=CONTEXT,
        eos_token=TURN_END,
        pad_token=END,
        chat_template=TEMPLATE,
    )


def write_config(folder: Path) -> None:
    write(
        folder / "config.json",
        architectures=["Qwen3ForCausalLM"],
        model_type="qwen3",
        attention_bias=False,
        attention_dropout=0.0,
        bos_token_id=0,
        eos_token_id=2,
        pad_token_id=0,
        head_dim=HEAD_DIM,
        hidden_act="silu",
        hidden_size=HIDDEN,
        intermediate_size=FFN,
        max_position_embeddings=CONTEXT,
        num_attention_heads=HEADS,
        num_hidden_layers=LAYERS,
        num_key_value_heads=KV_HEADS,
        rms_norm_eps=1e-6,
        rope_theta=10000.0,
        tie_word_embeddings=False,
        torch_dtype="float32",
        dtype="float32",
        vocab_size=VOCABULARY,
    )
    write(folder / "generation_config.json", do_sample=True, eos_token_id=[2, 0], pad_token_id=0)


def write_weights(folder: Path) -> None:
    rng = np.random.default_rng(0)

    def drawn(*shape: int, scale: float = 0.05) -> np.ndarray:
        return (rng.standard_normal(shape) * scale).astype(np.float32)

    tensors = {
        "model.embed_tokens.weight": drawn(VOCABULARY, HIDDEN, scale=0.5),
        "model.norm.weight": np.ones(HIDDEN, np.float32),
        "lm_head.weight": drawn(VOCABULARY, HIDDEN, scale=0.1),
    }
    for layer in range(LAYERS):
        tensors |= {
            f"model.layers.{layer}.{name}.weight": tensor
            for name, tensor in {
                "input_layernorm": np.ones(HIDDEN, np.float32),
                "post_attention_layernorm": np.ones(HIDDEN, np.float32),
                "self_attn.q_proj": drawn(HEADS * HEAD_DIM, HIDDEN),
                "self_attn.k_proj": drawn(KV_HEADS * HEAD_DIM, HIDDEN),
                "self_attn.v_proj": drawn(KV_HEADS * HEAD_DIM, HIDDEN),
                "self_attn.o_proj": drawn(HIDDEN, HEADS * HEAD_DIM),
                "self_attn.q_norm": np.ones(HEAD_DIM, np.float32),
                "self_attn.k_norm": np.ones(HEAD_DIM, np.float32),
                "mlp.gate_proj": drawn(FFN, HIDDEN),
                "mlp.up_proj": drawn(FFN, HIDDEN),
                "mlp.down_proj": drawn(HIDDEN, FFN),
            }.items()
        }
    save_file(tensors, str(folder / "model.safetensors"), metadata={"format": "pt"})


def write(file: Path, **values: object) -> None:
    file.write_text(json.dumps(values, indent=2), encoding="utf-8")


if __name__ == "__main__":
    made = Path(sys.argv[1])
    made.mkdir(parents=True, exist_ok=True)
    for part in (write_tokenizer, write_config, write_weights):
        part(made)
