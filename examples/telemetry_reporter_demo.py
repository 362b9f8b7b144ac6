"""Walk through everything that a telemetry reporter does.

    python examples/telemetry_reporter_demo.py

Settings: TINKER_API_KEY, TINKER_BASE_URL, TINKER_BASE_MODEL, TINKER_PROMPT.
"""

from __future__ import annotations

import sys
import time

from connection import base_model, connect, setting

from tinkex import ModelInput, SamplingParams, ServiceClient, TinkexError
from tinkex.observability.telemetry import TelemetryReporter

SUMMARY = [
    "SESSION_START",
    "demo.started, demo.info, demo.warning, demo.debug",
    "an exception that does not end the session",
    "demo.sampling_complete",
    "demo.before_drain",
    "demo.batch_event, five times",
    "demo.completing",
    "SESSION_END",
]


def start(service: ServiceClient) -> TelemetryReporter:
    """Return the session's reporter, or one of our own where the session has none."""
    if service.telemetry is not None:
        print("   the session's own reporter")
        return service.telemetry
    print("   telemetry is off for the session, so this is a reporter of our own")
    session = service.session
    return TelemetryReporter(session.transport, session.id, flush_interval=5.0, flush_threshold=50)


def sample(service: ServiceClient, reporter: TelemetryReporter, model: str, prompt: str) -> None:
    """Sample and report it; a failure is reported too."""
    try:
        sampler = service.create_sampling_client(base_model=model)
        tokenizer = sampler.get_tokenizer()
        params = SamplingParams(max_tokens=32, temperature=0.7)
        tokens = ModelInput.from_ints(tokenizer.encode(prompt))
        sequence = sampler.sample(tokens, 1, params).result(timeout=30).sequences[0]
    except TinkexError as error:
        reporter.log_exception(error, "ERROR")
        print(f"   sampling failed: {error}")
        return
    text = tokenizer.decode(sequence.tokens, skip_special_tokens=True)
    print(f"   generated: {text[:80]!r}")
    reporter.log("demo.sampling_complete", {"tokens_generated": len(sequence.tokens)})


def main() -> None:
    """Do the seven steps, one after the other."""
    prompt = setting("TINKER_PROMPT", "Explain telemetry in one sentence.", str)
    with connect() as service:
        model = base_model(service)
        print("1. Starting the reporter")
        reporter = start(service)

        print("2. Logging events of our own")
        started = {"base_model": model, "prompt_length": len(prompt), "timestamp": time.time()}
        accepted = [
            reporter.log("demo.started", started),
            reporter.log("demo.info", {"severity": "info"}, "INFO"),
            reporter.log("demo.warning", {"severity": "warning"}, "WARNING"),
            reporter.log("demo.debug", {"severity": "debug"}, "DEBUG"),
        ]
        print(f"   accepted: {accepted.count(True)} of {len(accepted)}")

        print("3. Logging an exception that does not end the session")
        print(f"   accepted: {reporter.log_exception(RuntimeError('a demo'), 'WARNING')}")

        print("4. Sampling")
        sample(service, reporter, model, prompt)

        print("5. Flushing, and waiting until everything is sent")
        reporter.log("demo.before_drain")
        print(f"   flushed: {reporter.flush()}")
        print(f"   drained: {reporter.wait_until_drained(5.0)}")

        print("6. Logging a batch")
        for index in range(5):
            reporter.log("demo.batch_event", {"index": index})
        print("   5 events queued")

        print("7. Stopping")
        reporter.log("demo.completing")
        print(f"   stopped: {reporter.stop(10.0)}")
    print("\nWhat was reported:")
    for line in SUMMARY:
        print(f"  - {line}")


if __name__ == "__main__":
    try:
        main()
    except TinkexError as error:
        sys.exit(f"error: {error}")
