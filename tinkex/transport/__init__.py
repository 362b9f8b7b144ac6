"""The one way to the server: send, retry, authenticate, and say what went wrong."""

from tinkex.transport.answer import Answer
from tinkex.transport.http import Transport
from tinkex.transport.retry import RetryBudget, RetryPolicy

__all__ = ["Answer", "RetryBudget", "RetryPolicy", "Transport"]
