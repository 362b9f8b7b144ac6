"""What the short examples share: a connection, settings from the environment, sizes for people.

With --help, an example prints its docstring and ends when it imports this.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import tinkex

T = TypeVar("T")

if {"-h", "--help"} & set(sys.argv[1:]):
    print(sys.modules["__main__"].__doc__)
    sys.exit()


def connect(**settings: Any) -> tinkex.ServiceClient:
    """Connect to the service, or, without a key, to the embedded local server.

    Settings are those of `tinkex.ServiceClient`, such as ``telemetry=True``.
    """
    if not os.environ.get("TINKER_API_KEY") and not os.environ.get("TINKER_BASE_URL"):
        print("TINKER_API_KEY is not set: using the embedded local server.")
        return tinkex.ServiceClient(base_url="local", **settings)
    try:
        return tinkex.ServiceClient(**settings)
    except tinkex.errors.ConfigurationError as error:
        sys.exit(f"error: {error}")


def base_model(
    service: tinkex.ServiceClient, hosted_default: str = "meta-llama/Llama-3.1-8B"
) -> str:
    """Return TINKER_BASE_MODEL, or what the server in use is known for."""
    named = os.environ.get("TINKER_BASE_MODEL")
    if named:
        return named
    if not service.config.is_loopback:
        return hosted_default
    names = [model.model_name for model in service.get_server_capabilities().supported_models]
    return next((name for name in names if name), hosted_default)


def setting(name: str, default: T, convert: Callable[[str], T]) -> T:
    """Return an environment variable, or the default if it is not set or cannot be read."""
    try:
        return convert(os.environ[name])
    except (KeyError, ValueError):
        return default


def human(size: int | None) -> str:
    """Write a number of bytes for people."""
    if size is None:
        return "N/A"
    amount = float(size)
    for unit in ("B", "KB", "MB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.2f} GB"
