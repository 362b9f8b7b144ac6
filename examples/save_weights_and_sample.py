"""Snapshot a model's weights and sample from the snapshot.

    python examples/save_weights_and_sample.py

Settings: TINKER_API_KEY, TINKER_BASE_URL, TINKER_BASE_MODEL, TINKER_PROMPT, TINKER_MAX_TOKENS (32),
TINKER_LORA_RANK (8), TINKER_SAVE_TTL_SECONDS (keeps the snapshot as a checkpoint for that long).
"""

from __future__ import annotations

import sys
import time

from connection import base_model, connect, setting

from tinkex import ModelInput, SamplingParams, TinkexError


def main() -> None:
    """Create a model, snapshot it, and sample from the snapshot."""
    prompt = setting("TINKER_PROMPT", "Hello from Tinkex!", str)
    rank = setting("TINKER_LORA_RANK", 8, int)
    ttl_seconds = setting("TINKER_SAVE_TTL_SECONDS", 0, int)
    with connect() as service:
        model = base_model(service, hosted_default="Qwen/Qwen3-8B")
        print(f"Base model: {model}, LoRA rank {rank}")
        training = service.create_lora_training_client(model, rank=rank)

        if ttl_seconds > 0:
            name = f"snapshot-{int(time.time())}"
            sampler = training.save_weights_and_get_sampling_client(name, ttl_seconds=ttl_seconds)
            print(f"Saved for {ttl_seconds} s as {sampler.model_path}")
        else:
            sampler = training.save_weights_and_get_sampling_client()
            print("Saved a snapshot that lives as long as this session.")

        tokenizer = sampler.get_tokenizer()
        print(f"Tokenizer: {tokenizer}")
        future = sampler.sample(
            ModelInput.from_ints(tokenizer.encode(prompt)),
            sampling_params=SamplingParams(max_tokens=setting("TINKER_MAX_TOKENS", 32, int)),
        )
        for number, sequence in enumerate(future.result().sequences, start=1):
            print(f"\n--- Sample {number} ---")
            print(f"{prompt}|{tokenizer.decode(sequence.tokens, skip_special_tokens=True)}")


if __name__ == "__main__":
    try:
        main()
    except TinkexError as error:
        sys.exit(f"error: {error}")
