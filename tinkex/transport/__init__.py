"""The one way to the server: send, retry, authenticate, and say what went wrong."""

from tinkex.transport.http import Answer, Transport
from tinkex.transport.retry import RetryBudget, RetryPolicy

__all__ = ["Answer", "RetryBudget", "RetryPolicy", "Transport"]
