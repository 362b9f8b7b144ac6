"""Count the requests of a sample, and show how long they took.

    python examples/metrics.py

Settings: TINKER_API_KEY, TINKER_BASE_URL, TINKER_BASE_MODEL, TINKER_PROMPT, TINKER_MAX_TOKENS (32),
TINKER_TEMPERATURE (0.7), TINKER_NUM_SAMPLES (1), TINKER_SAMPLE_TIMEOUT (30000, in milliseconds).
"""

from __future__ import annotations

import sys

from connection import base_model, connect, setting

from tinkex import ModelInput, SamplingParams, ServiceClient, TinkexError
from tinkex.observability.metrics import Metrics


def sample(service: ServiceClient) -> None:
    """Sample once, and print the text or what went wrong."""
    sampler = service.create_sampling_client(base_model=base_model(service))
    tokenizer = sampler.get_tokenizer()
    prompt = setting("TINKER_PROMPT", "Quick metrics check from Tinkex", str)
    future = sampler.sample(
        ModelInput.from_ints(tokenizer.encode(prompt)),
        setting("TINKER_NUM_SAMPLES", 1, int),
        SamplingParams(
            max_tokens=setting("TINKER_MAX_TOKENS", 32, int),
            temperature=setting("TINKER_TEMPERATURE", 0.7, float),
        ),
    )
    try:
        response = future.result(timeout=setting("TINKER_SAMPLE_TIMEOUT", 30_000, int) / 1000)
    except TinkexError as error:
        print(f"Sampling failed: {error}")
        return
    for sequence in response.sequences:
        print(f"Sampled text: {tokenizer.decode(sequence.tokens, skip_special_tokens=True)}")


def milliseconds(value: float | None) -> str:
    """Write a duration with two decimals."""
    return "n/a" if value is None else f"{value:.2f}"


def report(metrics: Metrics) -> None:
    """Print counters, the latency of requests, and the tokens."""
    snapshot = metrics.snapshot()
    print("\n=== Metrics snapshot ===")
    print("Counters:")
    for name, value in sorted(snapshot["counters"].items()):
        print(f"  {name}: {value}")
    print("\nLatency (ms):")
    latency = snapshot["histograms"].get("tinkex_request_duration_ms")
    if latency is None:
        print("  no data yet")
    else:
        print(f"  count: {latency['count']}")
        for name in ("mean", "p50", "p95", "p99"):
            print(f"  {name}: {milliseconds(latency[name])}")
    print("\nTokens:")
    for row in metrics.ledger.rows():
        if row.prompted or row.sampled:
            print(f"  {row.operation} on {row.model}: {row.prompted} read, {row.sampled} sampled")


def main() -> None:
    """Sample under the eyes of the metrics."""
    with Metrics() as metrics, connect() as service:
        metrics.reset()
        sample(service)
        metrics.flush()
        report(metrics)


if __name__ == "__main__":
    try:
        main()
    except TinkexError as error:
        sys.exit(f"error: {error}")
