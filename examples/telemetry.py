"""Report on a session to the server, and read along in the log.

    python examples/telemetry.py

Settings: TINKER_API_KEY, TINKER_BASE_URL, TINKER_BASE_MODEL, TINKER_PROMPT. Telemetry is off unless
a program asks for it, as this one does, and never on where DO_NOT_TRACK is set.
"""

from __future__ import annotations

import logging
import sys

from connection import base_model, connect, setting

from tinkex import ModelInput, SamplingParams, TinkexError
from tinkex.observability.events import attach_logger, detach


def main() -> None:
    """Log custom events around a sample, and send them."""
    prompt = setting("TINKER_PROMPT", "Write a single sentence about telemetry.", str)
    logging.basicConfig(stream=sys.stdout, format="[%(levelname)s] %(message)s")
    logging.getLogger("tinkex.events").setLevel(logging.INFO)
    with connect(telemetry=True) as service:
        reporter = service.telemetry
        if reporter is None:
            sys.exit("error: telemetry is disabled (DO_NOT_TRACK is set)")
        reading = attach_logger("info")
        model = base_model(service)
        # Only the length of the prompt is reported, never the prompt itself.
        accepted = reporter.log(
            "example.start", {"base_model": model, "prompt_length": len(prompt)}
        )
        print(f"example.start accepted: {accepted}")

        sampler = service.create_sampling_client(base_model=model)
        tokenizer = sampler.get_tokenizer()
        tokens = tokenizer.encode(prompt)
        params = SamplingParams(max_tokens=32, temperature=0.7)
        response = sampler.sample(ModelInput.from_ints(tokens), 1, params).result(timeout=15)
        for sequence in response.sequences:
            print(f"Sampled: {tokenizer.decode(sequence.tokens, skip_special_tokens=True)}")

        reporter.log("example.complete", {"model": model, "tokens": len(tokens)})
        print(f"Flushed: {reporter.flush()}")
        detach(reading)


if __name__ == "__main__":
    try:
        main()
    except TinkexError as error:
        sys.exit(f"error: {error}")
