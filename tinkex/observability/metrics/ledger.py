"""Token and byte counts by operation and model."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from attrs import asdict, define, evolve, frozen

from tinkex._core.events.bus import Event
from tinkex._core.events.types import HttpRequest, HttpRequestException, HttpRequestStop, TokensUsed
from tinkex.observability.metrics.prices import PER, Estimate, EstimateLine, Price, as_price


@frozen(kw_only=True)
class LedgerRow:
    """The usage of one operation on one model.

    Attributes:
        operation: The call, such as "forward_backward"; polls count for the call that they serve.
        model: The base model, else the checkpoint; None if there is none.
        trained: Tokens of which gradients were computed.
        prompted: Tokens that were only read.
        sampled: Tokens that were sampled.
        requests: Requests to the server, including polls.
        sent_bytes: Bytes of the request bodies.
        received_bytes: Bytes of the response bodies.
    """

    operation: str
    model: str | None
    trained: int = 0
    prompted: int = 0
    sampled: int = 0
    requests: int = 0
    sent_bytes: int = 0
    received_bytes: int = 0


@define
class _Counts:
    trained: int = 0
    prompted: int = 0
    sampled: int = 0
    requests: int = 0
    sent_bytes: int = 0
    received_bytes: int = 0


class TokenLedger:
    """Token and byte counts by operation and model, filled by a `Metrics`.

    >>> for row in metrics.ledger.rows():
    ...     print(row.operation, row.model, row.trained, row.prompted, row.sampled)
    """

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str | None], _Counts] = {}
        self._lock = threading.Lock()

    def note(self, event: Event) -> None:
        """Count an event of tokens or of a finished request; ignore others."""
        if isinstance(event, TokensUsed):
            with self._lock:
                counts = self._at(event.operation, event.model)
                counts.trained += event.trained
                counts.prompted += event.prompted
                counts.sampled += event.sampled
        elif isinstance(event, HttpRequestStop | HttpRequestException):
            self._note_request(event, getattr(event, "received_bytes", 0))

    def rows(self) -> list[LedgerRow]:
        """Return the counts, by operation and model."""
        with self._lock:
            counted = [(key, evolve(counts)) for key, counts in self._counts.items()]
        return [
            LedgerRow(operation=operation, model=model, **asdict(counts))
            for (operation, model), counts in sorted(
                counted, key=lambda one: (one[0][0], str(one[0][1]))
            )
        ]

    def totals(self) -> dict[str, int]:
        """Return the totals, by the field names of `LedgerRow`."""
        totals = asdict(_Counts())
        for row in self.rows():
            for name in totals:
                totals[name] += getattr(row, name)
        return totals

    def estimate(self, prices: Mapping[str, Price | Mapping[str, float]]) -> Estimate:
        """Estimate the cost of the tokens from a price table; the result is not a bill.

        Args:
            prices: Base models with a `Price` or a mapping such as ``{"train": 1.2}``, per million
                tokens.

        Raises:
            ValidationError: A price is invalid.
        """
        table = {model: as_price(model, price) for model, price in prices.items()}
        lines = []
        unpriced: dict[str, None] = {}
        for row in self.rows():
            if not row.trained + row.prompted + row.sampled:
                continue
            price = table.get(row.model or "")
            amount: float | None = None
            if price is None:
                unpriced[row.model or "an unknown model"] = None
            else:
                amount = (
                    row.trained * price.train
                    + row.prompted * price.prompt
                    + row.sampled * price.sample
                ) / PER
            lines.append(EstimateLine(operation=row.operation, model=row.model, amount=amount))
        total = sum(line.amount for line in lines if line.amount is not None)
        return Estimate(lines=tuple(lines), total=total, unpriced=tuple(unpriced))

    def reset(self) -> None:
        """Reset all counts."""
        with self._lock:
            self._counts.clear()

    def _note_request(self, event: HttpRequest, received: int) -> None:
        with self._lock:
            counts = self._at(event.caller or event.operation, event.model)
            counts.requests += 1
            counts.sent_bytes += event.sent_bytes  # type: ignore[attr-defined]
            counts.received_bytes += received

    def _at(self, operation: str, model: str | None) -> Any:
        return self._counts.setdefault((operation, model), _Counts())
