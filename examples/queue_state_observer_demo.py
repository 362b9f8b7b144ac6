"""Watch the server's queue: in the log, with a custom observer, or on the event bus.

    OBSERVER_MODE=custom python examples/queue_state_observer_demo.py

Settings: TINKER_API_KEY, TINKER_BASE_URL, TINKER_BASE_MODEL, OBSERVER_MODE (builtin, custom or
telemetry). The embedded local server never has a queue, so it is made to report one.
"""

from __future__ import annotations

import logging
import os
import sys
from contextlib import ExitStack

from connection import base_model, connect

from tinkex import Datum, ModelInput, SamplingParams, ServiceClient, TinkexError, events
from tinkex.observability.events import QueueStateChange
from tinkex.testing import Fault

YELLOW, RED, PLAIN = ("\033[33m", "\033[31m", "\033[0m") if sys.stdout.isatty() else ("", "", "")
WORDS = {
    "active": "active",
    "paused_rate_limit": f"{YELLOW}RATE LIMITED{PLAIN}",
    "paused_capacity": f"{RED}OUT OF CAPACITY{PLAIN}",
}


def observe(change: QueueStateChange) -> None:
    """Print a change, like a custom observer."""
    word = WORDS.get(change.state, "unknown")
    why = f": {change.reason}" if change.reason else ""
    print(f"   [observer] {change.subject or '?'} is {word}{why}")


def print_event(change: QueueStateChange) -> None:
    """Print a change as it comes over the event bus."""
    print(
        f"   [{change.name}] {change.state} ({change.reason or 'n/a'}) request {change.request_id}"
    )


def pretend(service: ServiceClient, state: str) -> None:
    """Make the embedded server report that it is busy at the next poll."""
    if service.config.is_local:
        from tinkex.local import shared_server

        body = {"type": "try_again", "queue_state": state, "retry_after_ms": 50}
        shared_server().faults.add(Fault(on="retrieve_future", status=200, body=body))


def sample(service: ServiceClient, model: str) -> None:
    """Sample, whatever the queue does; a failure is only a warning."""
    sampler = service.create_sampling_client(base_model=model)
    tokenizer = sampler.get_tokenizer()
    pretend(service, "paused_rate_limit")
    params = SamplingParams(max_tokens=16, temperature=0.7)
    prompt = ModelInput.from_ints(tokenizer.encode("Hello from the queue observer!"))
    try:
        response = sampler.sample(prompt, 1, params).result(timeout=60)
    except TinkexError as error:
        print(f"   warning: sampling failed: {error}")
        return
    print(f"   sampled {len(response.sequences[0].tokens)} tokens")


def train(service: ServiceClient, model: str) -> None:
    """Compute gradients of one text; a failure is only a warning."""
    training = service.create_lora_training_client(model, rank=8)
    tokens = training.get_tokenizer().encode("The queue state observer demo")
    datum = Datum(ModelInput.from_ints(tokens), {"target_tokens": tokens})
    pretend(service, "paused_capacity")
    try:
        output = training.forward_backward([datum], "cross_entropy").result(timeout=60)
    except TinkexError as error:
        print(f"   warning: training failed: {error}")
        return
    print(f"   loss: {output.metrics.get('loss:sum', 'N/A')}")


def main() -> None:
    """Sample and train under observation."""
    mode = os.environ.get("OBSERVER_MODE", "builtin")
    if mode not in ("builtin", "custom", "telemetry"):
        sys.exit(f"error: OBSERVER_MODE must be builtin, custom or telemetry, not {mode!r}")
    if mode == "builtin":
        logging.basicConfig(stream=sys.stdout, level=logging.WARNING, format="   [log] %(message)s")
    else:
        logging.getLogger("tinkex.queue").setLevel(logging.ERROR)
    with ExitStack() as stack:
        service = stack.enter_context(connect(on_queue_state=observe if mode == "custom" else None))
        if mode == "telemetry":
            stack.enter_context(events.subscribe(print_event, QueueStateChange))
        model = base_model(service)
        print(f"Observer mode: {mode}")
        print("\nPart 1: sampling")
        sample(service, model)
        print("\nPart 2: training")
        train(service, model)
    print("\nDemo complete.")


if __name__ == "__main__":
    try:
        main()
    except TinkexError as error:
        sys.exit(f"error: {error}")
