"""What holds for all tests."""

from __future__ import annotations

import signal

# A shell lets what it starts with `&` ignore Ctrl-C, and so would every program that the tests start and
# interrupt: it would run to its end instead.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
