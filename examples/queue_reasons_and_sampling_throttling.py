"""Show the events of queue pauses, and how samplers reduce their rate then.

    python examples/queue_reasons_and_sampling_throttling.py

Settings: TINKER_API_KEY, TINKER_BASE_URL, TINKER_BASE_MODEL, TINKER_PROMPT.
"""

from __future__ import annotations

import logging
import sys

from connection import base_model, connect, setting

from tinkex import ModelInput, SamplingParams, ServiceClient, TinkexError, events
from tinkex._base.clock import SYSTEM_CLOCK
from tinkex._core.queue_state import QueueWatch
from tinkex._core.wire.chunking import estimate_input_bytes
from tinkex.observability.events import QueueStateChange


def show(change: QueueStateChange) -> None:
    """Print a change of the queue."""
    print(
        f"[event] queue state={change.state} reason={change.reason or 'n/a'} "
        f"request={change.request_id or 'n/a'}"
    )


def pause_once(session_id: str) -> None:
    """Emit a pause twice, as the server would; the log has one line for both."""
    print("\n1. A pause in the log (once a minute for each sampler or model):")
    watch = QueueWatch(SYSTEM_CLOCK)
    for _ in range(2):
        watch.note(
            QueueStateChange(
                state="paused_capacity",
                reason="server says: running short on capacity (demo)",
                operation="sample",
                subject=session_id,
            )
        )


def throttle(service: ServiceClient) -> None:
    """Begin a cool-down as if the server had responded with a 429."""
    print("\n2. After a 429 all samplers of the process hold back together:")
    limiter = service.session.limiter
    limiter.cool_down(1.0, SYSTEM_CLOCK)
    print(f"   no sample is sent for another {limiter.cool_down_left(SYSTEM_CLOCK):.1f} s")


def sample(service: ServiceClient, prompt: str) -> None:
    """Sample for real; the request waits for the rest of the cool-down."""
    print("\n3. A sample:")
    sampler = service.create_sampling_client(base_model=base_model(service))
    tokenizer = sampler.get_tokenizer()
    tokens = ModelInput.from_ints(tokenizer.encode(prompt))
    print(f"   estimated prompt bytes: {estimate_input_bytes(tokens)} for {len(tokens)} tokens")
    params = SamplingParams(max_tokens=32, temperature=0.7)
    began = SYSTEM_CLOCK.now()
    response = sampler.sample(tokens, 1, params).result(timeout=60)
    text = tokenizer.decode(response.sequences[0].tokens, skip_special_tokens=True)
    print(f"   {prompt}|{text}")
    print(f"   it took {SYSTEM_CLOCK.now() - began:.1f} s, the cool-down included")


def main() -> None:
    """Show reasons, throttling, and a sample."""
    # A program decides where the lines of the logs go; a library never does.
    logging.basicConfig(
        stream=sys.stdout, level=logging.WARNING, format="[%(levelname)s] %(message)s"
    )
    with events.subscribe(show, QueueStateChange), connect() as service:
        pause_once(service.session.id)
        throttle(service)
        sample(service, setting("TINKER_PROMPT", "Hello from throttling + queue reasons!", str))
    print("\nDone.")


if __name__ == "__main__":
    try:
        main()
    except TinkexError as error:
        sys.exit(f"error: {error}")
