"""Sample text from a base model.

    python examples/sampling_basic.py

Settings: TINKER_API_KEY, TINKER_BASE_URL, TINKER_BASE_MODEL, TINKER_PROMPT, TINKER_MAX_TOKENS (64),
TINKER_TEMPERATURE (0.7), TINKER_NUM_SAMPLES (1), TINKER_SAMPLE_TIMEOUT (30000, in milliseconds).
"""

from __future__ import annotations

import sys

from connection import base_model, connect, setting

from tinkex import ModelInput, SamplingParams, TinkexError


def main() -> None:
    """Encode a prompt, sample, and print what came back."""
    prompt = setting("TINKER_PROMPT", "Hello from Tinkex!", str)
    num_samples = setting("TINKER_NUM_SAMPLES", 1, int)
    params = SamplingParams(
        max_tokens=setting("TINKER_MAX_TOKENS", 64, int),
        temperature=setting("TINKER_TEMPERATURE", 0.7, float),
    )
    with connect() as service:
        model = base_model(service)
        sampler = service.create_sampling_client(base_model=model)
        tokenizer = sampler.get_tokenizer()

        print(f"Sampling {num_samples} sequence(s) from {model} ...")
        future = sampler.sample(ModelInput.from_ints(tokenizer.encode(prompt)), num_samples, params)
        response = future.result(timeout=setting("TINKER_SAMPLE_TIMEOUT", 30_000, int) / 1000)

        print(f"Received {len(response.sequences)} sequence(s):")
        for number, sequence in enumerate(response.sequences, start=1):
            text = tokenizer.decode(sequence.tokens, skip_special_tokens=True)
            print(f"\nSample {number} ({len(sequence.tokens)} tokens, {sequence.stop_reason}):")
            print(f"  {prompt}|{text}")


if __name__ == "__main__":
    try:
        main()
    except TinkexError as error:
        sys.exit(f"error: {error}")
