"""Cost estimates from a user's price table."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import field, fields, frozen

from tinkex.errors import ValidationError

PER = 1_000_000


def _amount(value: Any) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 <= value < math.inf:
        raise ValidationError(f"must be a price per million tokens, not {value!r}")
    return float(value)


@frozen(kw_only=True)
class Price:
    """The price of a million tokens of a model, in the currency of the table.

    Attributes:
        train: Price of tokens of which gradients are computed.
        prompt: Price of tokens that are only read.
        sample: Price of sampled tokens.
    """

    train: float = field(default=0.0, converter=_amount)
    prompt: float = field(default=0.0, converter=_amount)
    sample: float = field(default=0.0, converter=_amount)


@frozen(kw_only=True)
class EstimateLine:
    """The estimated cost of one operation on one model; `amount` is None without a price."""

    operation: str
    model: str | None
    amount: float | None


@frozen(kw_only=True)
class Estimate:
    """An estimate of cost: this process's counts at the user's prices.

    It is not a bill: usage of other programs, storage, discounts and rounding are not included.

    Attributes:
        lines: One per operation and model.
        total: The sum of the lines with a price.
        unpriced: Counted models that the table does not have.
    """

    lines: tuple[EstimateLine, ...]
    total: float
    unpriced: tuple[str, ...]

    def __str__(self) -> str:
        missing = f" (without {', '.join(self.unpriced)}: no price)" if self.unpriced else ""
        return f"estimate: {self.total:.4f}{missing}"


def load_prices(path: str | os.PathLike[str]) -> dict[str, Price]:
    """Return the price table in a JSON file.

    >>> load_prices("prices.json")  # {"Qwen/Qwen3-8B": {"train": 1.2, "prompt": 0.3, "sample": 0.9}}

    Prices are per million tokens, by base model.

    Raises:
        ValidationError: The file is missing or invalid; the path names the model and the price.
    """
    try:
        found = json.loads(Path(path).read_bytes())
    except OSError as error:
        raise ValidationError(f"cannot be read: {error.strerror}", path=str(path)) from None
    except (ValueError, RecursionError):
        raise ValidationError("is not JSON", path=str(path)) from None
    if not isinstance(found, Mapping):
        raise ValidationError("must be an object from models to prices", path=str(path))
    return {model: as_price(model, price) for model, price in found.items()}


def as_price(model: str, price: Any) -> Price:
    """Return a model's price, given as a `Price` or as a mapping of its three numbers."""
    if isinstance(price, Price):
        return price
    known = [one.name for one in fields(Price)]
    if not isinstance(price, Mapping) or set(price) - set(known):
        raise ValidationError(f"must have {', '.join(known)}, not {price!r}", path=f"[{model!r}]")
    prices = {}
    for name, value in price.items():
        try:
            prices[name] = _amount(value)
        except ValidationError as error:
            raise ValidationError(str(error), path=f"[{model!r}][{name!r}]") from None
    return Price(**prices)
