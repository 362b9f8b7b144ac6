"""What tokens would cost by a price table of the user's own."""

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
    """Hold what a million tokens of a model cost, in whatever currency the table is in.

    Attributes:
        train: Tokens that gradients are computed for.
        prompt: Tokens that are only read.
        sample: Tokens that are drawn.
    """

    train: float = field(default=0.0, converter=_amount)
    prompt: float = field(default=0.0, converter=_amount)
    sample: float = field(default=0.0, converter=_amount)


@frozen(kw_only=True)
class EstimateLine:
    """Hold what one operation on one model comes to; `amount` is None without a price."""

    operation: str
    model: str | None
    amount: float | None


@frozen(kw_only=True)
class Estimate:
    """Hold an estimate: what this process counted, at the prices of the user's table.

    It is no bill: what other programs used, storage, discounts and rounding are not in it.

    Attributes:
        lines: One for each operation and model.
        total: The sum of those that have a price.
        unpriced: Models whose tokens were counted and that the table does not have.
    """

    lines: tuple[EstimateLine, ...]
    total: float
    unpriced: tuple[str, ...]

    def __str__(self) -> str:
        missing = f" (without {', '.join(self.unpriced)}: no price)" if self.unpriced else ""
        return f"estimate: {self.total:.4f}{missing}"


def load_prices(path: str | os.PathLike[str]) -> dict[str, Price]:
    """Read a price table from a JSON file.

    >>> load_prices("prices.json")  # {"Qwen/Qwen3-8B": {"train": 1.2, "prompt": 0.3, "sample": 0.9}}

    Prices are for a million tokens. Names are base models.

    Raises:
        ValidationError: The file is not there or no table; the path names the model and the price.
    """
    try:
        found = json.loads(Path(path).read_bytes())
    except OSError as error:
        raise ValidationError(f"cannot be read: {error.strerror}", path=str(path)) from None
    except ValueError:
        raise ValidationError("is no JSON", path=str(path)) from None
    if not isinstance(found, Mapping):
        raise ValidationError("must be an object from models to prices", path=str(path))
    return {model: as_price(model, price) for model, price in found.items()}


def as_price(model: str, price: Any) -> Price:
    """Return a model's price, given as such or as a mapping of its three numbers."""
    if isinstance(price, Price):
        return price
    known = [one.name for one in fields(Price)]
    if not isinstance(price, Mapping) or set(price) - set(known):
        raise ValidationError(f"must hold {', '.join(known)}, not {price!r}", path=f"[{model!r}]")
    prices = {}
    for name, value in price.items():
        try:
            prices[name] = _amount(value)
        except ValidationError as error:
            raise ValidationError(str(error), path=f"[{model!r}][{name!r}]") from None
    return Price(**prices)
