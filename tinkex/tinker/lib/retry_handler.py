"""How patient samples are."""

from __future__ import annotations

from dataclasses import dataclass

import tinkex
from tinkex.tinker._exceptions import APIConnectionError


@dataclass
class RetryConfig:
    """How patient samples are, and how many are under way at once.

    `max_connections`, `progress_timeout` and `enable_retry_logic` have an effect. The server's own
    `Retry-After`, or a back-off with jitter, takes the place of the delays.
    """

    max_connections: int | None = 1000
    progress_timeout: float = 7200
    retry_delay_base: float = 0.5
    retry_delay_max: float = 10.0
    jitter_factor: float = 0.25
    enable_retry_logic: bool = True
    enable_stuck_detection: bool = True
    retryable_exceptions: tuple[type[Exception], ...] = (TimeoutError, APIConnectionError)

    def __post_init__(self) -> None:
        if self.max_connections is not None and self.max_connections <= 0:
            raise ValueError(f"max_connections must be positive, not {self.max_connections}")


def native_retry(config: RetryConfig | tinkex.RetryConfig | None) -> tinkex.RetryConfig | None:
    """Return our settings of the same meaning."""
    if not isinstance(config, RetryConfig):
        return config
    return tinkex.RetryConfig(
        enabled=config.enable_retry_logic,
        deadline=config.progress_timeout,
        max_connections=config.max_connections,
    )
