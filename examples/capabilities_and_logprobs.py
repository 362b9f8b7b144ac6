"""Ask the server what it offers and whether it is well, then score a text token by token.

    python examples/capabilities_and_logprobs.py

Settings: TINKER_API_KEY, TINKER_BASE_URL, TINKER_BASE_MODEL, TINKER_PROMPT.
"""

from __future__ import annotations

import sys

from connection import base_model, connect, setting

from tinkex import ModelInput, ServiceClient, TinkexError

LOGPROB_TIMEOUT = 30.0


def show_capabilities(service: ServiceClient) -> None:
    """Print the models; neither this nor the health check begins a session."""
    models = service.get_server_capabilities().supported_models
    print(f"Models: {len(models)}")
    for model in models:
        more = f" ({model.model_id})" if model.model_id else ""
        more += f" [{model.arch}]" if model.arch else ""
        context = f", up to {model.max_context_length} tokens" if model.max_context_length else ""
        print(f"  {model.model_name}{more}{context}")
    print(f"Names: {', '.join(model.model_name or 'unnamed' for model in models)}")
    print(f"Health: {service.health_check().status}")


def show_logprobs(service: ServiceClient, prompt: str) -> None:
    """Print how likely the model finds each token of a text, given those before it."""
    model = base_model(service)
    sampler = service.create_sampling_client(base_model=model)
    tokenizer = sampler.get_tokenizer()
    tokens = tokenizer.encode(prompt)
    scores = sampler.compute_logprobs(ModelInput.from_ints(tokens)).result(LOGPROB_TIMEOUT)
    print(f"Log probabilities of {prompt!r} under {model}:")
    for token, score in zip(tokens, scores, strict=True):
        # Nothing precedes the first token.
        value = "   None" if score is None else f"{score:7.3f}"
        print(f"  {value}  {tokenizer.decode([token])!r}")


def main() -> None:
    """Show the server's capabilities, then score the text."""
    with connect() as service:
        print(f"Server: {service.base_url}")
        show_capabilities(service)
        show_logprobs(service, setting("TINKER_PROMPT", "Hello from Tinkex!", str))


if __name__ == "__main__":
    try:
        main()
    except (TinkexError, TimeoutError) as error:
        sys.exit(f"error: {error}")
