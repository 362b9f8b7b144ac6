"""Faults read from a file, in JSON or TOML."""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from tinkex.testing.faults import Fault, FaultError

_FIELDS = tuple(entry.name for entry in attrs.fields(Fault))


def load_faults(path: str | Path) -> list[Fault]:
    """Load faults from a file: a JSON list, or a table with `faults`; in TOML `[[faults]]`.

    The extension `.toml` selects TOML, any other JSON.

    Raises:
        FaultError: The file is invalid, or a fault in it is; the message names the file, the entry
            and the field.
        OSError: The file cannot be read.
    """
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8")
        data: Any = tomllib.loads(text) if file.suffix.lower() == ".toml" else json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FaultError(f"{file}: {error}") from error
    if isinstance(data, dict):
        unknown = sorted(set(data) - {"faults"})
        if unknown or "faults" not in data:
            raise FaultError(
                f"{file}: expected 'faults' at the top, got {', '.join(sorted(data)) or 'nothing'}"
            )
        data = data["faults"]
    if not isinstance(data, list):
        raise FaultError(f"{file}: expected a list of faults, got {type(data).__name__}")
    faults = []
    for index, entry in enumerate(data):
        try:
            faults.append(read_fault(entry))
        except FaultError as error:
            raise FaultError(f"{file}: faults[{index}].{error}") from error
    return faults


def read_fault(entry: Any) -> Fault:
    """Return the fault with the fields in a mapping.

    `times` may be the text "always", since TOML has no null.
    """
    if not isinstance(entry, Mapping):
        raise FaultError(f"on: expected a table of fields, got {entry!r}")
    for name in entry:
        if name not in _FIELDS:
            raise FaultError(f"{name}: unknown field; available: {', '.join(_FIELDS)}")
    values = dict(entry)
    if values.get("times") == "always":
        values["times"] = None
    return Fault(**values)
