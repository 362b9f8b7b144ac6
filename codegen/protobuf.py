"""The numbers of protobuf fields, from the messages that operations describe.

`x-tinkex-protobuf` of an operation lists messages, one a line; indented lines continue the one before:

    Tensor  oneof: 1 dense bytes, 2 sparse_csr SparseCsr; 3 dtype DType, 4 shape repeated int64

Text in round brackets and lines that begin with `//` are comments.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from schemas import refused

EXTENSION = "x-tinkex-protobuf"
_FIELD = re.compile(r"(?P<number>\d+)(?: optional)? (?P<name>[A-Za-z_]\w*)(?: repeated)?(?: \w+)?")


def module(spec: Mapping[str, Any]) -> str | None:
    """Return the text of a module with a class for each message; None if there is no message."""
    messages: dict[str, dict[str, int]] = {}
    for place, text in _texts(spec):
        for name, fields in _definitions(text, place):
            if messages.setdefault(name, fields) != fields:
                raise refused(place, f"the message {name} is described twice, in different ways")
    if not messages:
        return None
    classes = (
        "\n".join([f"class {name}:", *(f"    {field} = {fields[field]}" for field in fields)])
        for name, fields in messages.items()
    )
    title = '"""The field numbers of the protobuf messages, and the numbers of their enums."""'
    return "\n\n\n".join([title, *classes]) + "\n"


def _texts(spec: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for path, item in spec["paths"].items():
        for method, operation in item.items() if isinstance(item, dict) else ():
            if isinstance(operation, dict) and EXTENSION in operation:
                yield f"paths.{path}.{method}.{EXTENSION}", operation[EXTENSION]


def _definitions(text: str, place: str) -> Iterator[tuple[str, dict[str, int]]]:
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("//"))
    for line in re.sub(r"\n\s+", " ", lines).splitlines():
        name, _, described = line.partition(" ")
        plain = re.sub(r"\([^)]*\)|<[^>]*>|\boneof:", "", described)
        fields: dict[str, int] = {}
        for part in re.split("[,;]", plain):
            found = _FIELD.fullmatch(" ".join(part.split()))
            if not name.isidentifier() or found is None or found["name"] in fields:
                raise refused(place, f"cannot read {part.strip()!r} in the message {name!r}")
            fields[found["name"]] = int(found["number"])
        yield name, fields
