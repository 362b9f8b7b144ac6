"""Sample from Kimi K2, whose tokenizer is a tiktoken file that tinkex reads without its code.

    python examples/kimi_k2_sampling.py

Skips with a line if the server does not offer the model. Settings: TINKER_API_KEY, TINKER_BASE_URL,
TINKER_BASE_MODEL, TINKER_PROMPT ("Say hi"), TINKER_MAX_TOKENS (32), TINKER_TEMPERATURE (0.7),
TINKER_NUM_SAMPLES (1), TINKER_SAMPLE_TIMEOUT (60000, in milliseconds).
"""

from __future__ import annotations

import sys

from connection import connect, setting

from tinkex import ModelInput, SamplingParams, ServiceClient, TinkexError

KIMI = "moonshotai/Kimi-K2-Thinking"
SHOWN_IDS = 32


def is_advertised(service: ServiceClient, model: str) -> bool:
    """Return whether the server lists the model; if that is unknown, sampling will show it."""
    try:
        models = service.get_server_capabilities().supported_models
    except TinkexError as error:
        print(f"warning: the server does not say what it offers: {error}", file=sys.stderr)
        return True
    return any(offered.model_name == model for offered in models)


def sample(service: ServiceClient, model: str) -> None:
    """Show how the prompt is encoded, sample, and print what came back."""
    prompt = setting("TINKER_PROMPT", "Say hi", str)
    sampler = service.create_sampling_client(base_model=model)
    tokenizer = sampler.get_tokenizer()
    ids = tokenizer.encode(prompt)
    print(f"Model: {model}")
    print(f"Prompt: {prompt!r}")
    print(f"Token ids: {ids[:SHOWN_IDS]} ({len(ids)} tokens)")
    print(f"Round trip: {tokenizer.decode(ids)!r}")

    params = SamplingParams(
        max_tokens=setting("TINKER_MAX_TOKENS", 32, int),
        temperature=setting("TINKER_TEMPERATURE", 0.7, float),
    )
    future = sampler.sample(
        ModelInput.from_ints(ids), setting("TINKER_NUM_SAMPLES", 1, int), params
    )
    response = future.result(timeout=setting("TINKER_SAMPLE_TIMEOUT", 60_000, int) / 1000)
    for number, sequence in enumerate(response.sequences, start=1):
        print(f"\nSample {number}:")
        print(f"  {tokenizer.decode(sequence.tokens)}")


def main() -> None:
    """Sample from Kimi K2 if it is there."""
    with connect() as service:
        model = setting("TINKER_BASE_MODEL", KIMI, str)
        if model == KIMI and not is_advertised(service, model):
            print(f"Skipped: this server does not offer {KIMI}.")
            return
        sample(service, model)


if __name__ == "__main__":
    try:
        main()
    except TinkexError as error:
        sys.exit(f"error: {error}")
