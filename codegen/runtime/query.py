"""Layout of arrays and objects as query parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SEPARATORS = {"form": ",", "spaceDelimited": " ", "pipeDelimited": "|"}


def query_items(
    name: str, value: Any, *, style: str = "form", explode: bool = True
) -> dict[str, str | list[str]]:
    """Return the query parameters for a value; an empty array or object yields none.

    Args:
        name: The parameter's name.
        value: Its JSON form.
        style: The OpenAPI name of the layout.
        explode: Whether each item and each key becomes a parameter of its own.
    """
    if isinstance(value, Mapping):
        items = {key: query_text(name, item) for key, item in value.items() if item is not None}
        if style == "deepObject":
            return {f"{name}[{key}]": item for key, item in items.items()}
        if explode:
            return {**items}
        value = [part for pair in items.items() for part in pair]
    elif not isinstance(value, list | tuple):
        return {name: query_text(name, value)}
    texts = [query_text(name, item) for item in value]
    if explode or not texts:
        return {name: texts} if texts else {}
    separator = SEPARATORS[style]
    for text in texts:
        if separator in text:
            # Servers decode before they split, so quoting would not keep the item whole.
            raise ValueError(
                f"{text!r} in {name} contains {separator!r}, the separator of the items"
            )
    return {name: separator.join(texts)}


def query_text(name: str, value: Any) -> str:
    """Return a scalar as a query has it."""
    if value is None:
        raise ValueError(f"{name} contains None, which cannot be sent in a query")
    return str(value).lower() if isinstance(value, bool) else str(value)
