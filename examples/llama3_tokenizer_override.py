"""Encode and decode for Llama 3, whose tokenizer has another name than the model.

    python examples/llama3_tokenizer_override.py

The model's own repository is gated, so the service uses a copy of its tokenizer; tinkex knows which.
The answer is printed as it is sampled, character by whole character. Skips with a line if the server
does not offer the model. Settings: TINKER_API_KEY, TINKER_BASE_URL.
"""

from __future__ import annotations

import sys

from connection import connect

from tinkex import ModelInput, SamplingParams, ServiceClient, TinkexError
from tinkex.tokenizer import resolve

LLAMA = "meta-llama/Llama-3.1-8B"
SENTENCE = "The tokenizer of Llama 3 writes this sentence as a few ids."


def show(service: ServiceClient) -> None:
    """Show the tokenizer, the ids of a sentence, and the model's continuation."""
    sampler = service.create_sampling_client(base_model=LLAMA)
    tokenizer = sampler.get_tokenizer()
    ids = tokenizer.encode(SENTENCE)
    print(f"Model: {LLAMA}")
    print(f"Tokenizer on the hub: {resolve(LLAMA).name}")
    print(f"Tokenizer in use: {tokenizer.name}")
    print(f"Token ids: {ids} ({len(ids)} tokens)")

    params = SamplingParams(max_tokens=16, temperature=0.7)
    prompt = ModelInput.from_ints(ids)
    response = sampler.sample(prompt, 1, params).result(timeout=60)
    if not response.sequences:
        sys.exit("error: the server answered without a sequence")
    print(f"Decoded: {tokenizer.decode(response.sequences[0].tokens)!r}")

    print("Streamed: ", end="")
    decoder = tokenizer.incremental_decoder(skip_special_tokens=True)
    for chunk in sampler.sample_stream(prompt, params):
        if chunk.token_id is not None:
            print(decoder.feed(chunk.token_id), end="", flush=True)
    print(decoder.finish())


def main() -> None:
    """Run if the server offers the model."""
    with connect() as service:
        models = service.get_server_capabilities().supported_models
        if all(offered.model_name != LLAMA for offered in models):
            print(f"Skipped: this server does not offer {LLAMA}.")
            return
        show(service)


if __name__ == "__main__":
    try:
        main()
    except TinkexError as error:
        sys.exit(f"error: {error}")
