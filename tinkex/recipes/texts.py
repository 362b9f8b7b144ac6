"""Rows of text files: JSON lines, a JSON text, CSV and its kin, plain lines."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attrs import frozen

from tinkex.errors import ValidationError
from tinkex.recipes.mistakes import WrongFieldError

Records = Sequence[tuple[int, dict[str, Any] | WrongFieldError]]

_BOM = "\ufeff"
_BLANK = " \t\r\n" + _BOM
_SPACE = re.compile(f"[{_BLANK}]*")
# Columns by which a table is known where the file's name does not say that it is one.
_KNOWN_COLUMNS = {
    "messages", "conversations", "prompt", "completion", "text", "instruction", "input", "output",
    "chosen", "rejected",
}  # fmt: skip
_DELIMITERS = (",", "\t", ";", "|")


@frozen
class TextRows:
    """The rows of a text.

    Attributes:
        records: Each row's number and the row, or what is wrong with it.
        unit: What the numbers count: "line" or "item".
        notices: What was read in another way than the file's name says.
    """

    records: Records
    unit: str = "line"
    notices: tuple[str, ...] = ()


class _DuplicateKeyError(ValueError):
    pass


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _DuplicateKeyError(f"the key {key!r:.60} stands twice in one object; keep one")
        found[key] = value
    return found


_DECODER = json.JSONDecoder(object_pairs_hook=_object)


def read_text(
    text: str, name: str, suffix: str, columns: Mapping[str, str] | None = None
) -> TextRows:
    """Return the rows of a text, in the format that its content has.

    Args:
        text: The whole text.
        name: The file's name, for errors.
        suffix: The end of its name, such as ".csv"; decides where the content may be several things.
        columns: The user's columns by role: a first line that has them is a table's head.

    Raises:
        ValidationError: The text as a whole is in no format.
    """
    text = text.lstrip(_BOM)
    start = text.lstrip(_BLANK)[:1]
    if start == "[" and suffix not in (".txt", ".text", ".csv", ".tsv"):
        return _array(text, name, suffix)
    if start != "{" or suffix in (".csv", ".tsv"):
        delimiter = _delimiter(text, suffix, columns)
        if delimiter is not None:
            return TextRows(list(_table(text, delimiter, name)))
        if suffix in (".txt", ".text"):
            lines = enumerate(_lines(text), 1)
            return TextRows([(n, {"text": line}) for n, line in lines if line.strip()])
    return _json_lines(text, name)


def parsed(text: str) -> Any:
    """Return what a JSON text says.

    Raises:
        WrongFieldError: It says nothing that can be read.
    """
    try:
        return _DECODER.decode(text)
    except (json.JSONDecodeError, ValueError, RecursionError) as error:
        raise WrongFieldError("", _json_mistake(text, error)) from None


def _lines(text: str) -> list[str]:
    """Return the lines of a text; only the ends that editors write are ends."""
    end = "\n" if "\n" in text else "\r"
    return [line.removeprefix(_BOM).removesuffix("\r") for line in text.split(end)]


def _json_lines(text: str, name: str) -> TextRows:
    found: list[tuple[int, dict[str, Any] | WrongFieldError]] = []
    for number, line in enumerate(_lines(text), 1):
        if line.strip():
            found.append((number, _record(line)))
    first = next((line.strip() for line in _lines(text) if line.strip()), "")
    is_pretty = first.startswith("{") and not first.rstrip(",").endswith("}")
    if is_pretty and not any(isinstance(record, dict) for _, record in found):
        return TextRows(list(_stream(text, name)))
    return TextRows(found)


def _record(line: str) -> dict[str, Any] | WrongFieldError:
    try:
        value = parsed(line)
    except WrongFieldError as error:
        return error
    return _as_record(value)


def _as_record(value: Any) -> dict[str, Any] | WrongFieldError:
    if isinstance(value, dict):
        return value
    return WrongFieldError("", f"is a JSON {kind_of(value)}, and must be an object")


def _stream(text: str, name: str) -> Iterator[tuple[int, dict[str, Any] | WrongFieldError]]:
    """Yield objects that are spread over lines, one after the other."""
    at = line = 0
    while True:
        begin = _skipped(text, at)
        if begin == len(text):
            return
        line += text.count("\n", at, begin)
        value, end = _value(text, begin, name)
        yield line + 1, _as_record(value)
        line += text.count("\n", begin, end)
        at = end


def _skipped(text: str, at: int) -> int:
    """Return where the next thing begins that is no white space."""
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _array(text: str, name: str, suffix: str) -> TextRows:
    at = text.index("[")
    value, end = _value(text, at, name)
    rest = text[end:].lstrip(_BLANK)
    if rest:
        line = text.count("\n", 0, len(text) - len(rest)) + 1
        what = "lists of JSON, one a line" if rest.startswith("[") else "a JSON array and more"
        raise ValidationError(
            f"holds {what}; write one object a line, or one array of all", path=f"{name}:{line}"
        )
    notices = (
        ()
        if suffix == ".json"
        else (f"{name} is one JSON array, and is read as such: {len(value):,} items",)
    )
    return TextRows([(n, _as_record(one)) for n, one in enumerate(value, 1)], "item", notices)


def _value(text: str, at: int, name: str) -> tuple[Any, int]:
    try:
        return _DECODER.raw_decode(text, at)
    except json.JSONDecodeError as error:
        raise ValidationError(
            f"no JSON: {error.msg} at column {error.colno}", path=f"{name}:{error.lineno}"
        ) from None
    except _DuplicateKeyError as error:
        raise ValidationError(str(error), path=name) from None
    except (RecursionError, ValueError) as error:
        raise ValidationError(f"no JSON that can be read: {error!s:.100}", path=name) from None


def _json_mistake(text: str, error: Exception) -> str:
    if isinstance(error, _DuplicateKeyError):
        return str(error)
    if not isinstance(error, json.JSONDecodeError):
        return f"no JSON that can be read: {error!s:.100}"
    if re.match(r"\s*\{\s*'", text):
        return "is what Python prints, and no JSON; write the lines with json.dumps"
    if error.msg == "Extra data" and text[error.pos :].strip() == ",":
        return "a comma follows the object; each line is one object and nothing else"
    return f"no JSON: {error.msg} at column {error.colno}; each line is one whole object"


def _delimiter(text: str, suffix: str, columns: Mapping[str, str] | None) -> str | None:
    """Return what separates the columns of a table, or None if the text is none."""
    head = text.lstrip(_BLANK).partition("\n")[0].partition("\r")[0]
    if suffix == ".tsv":
        return "\t"
    best = max(_DELIMITERS, key=head.count)
    if suffix == ".csv":
        return best if best in head else ","
    cells = {cell.strip().strip('"') for cell in head.split(best)}
    known = _KNOWN_COLUMNS | set((columns or {}).values())
    return best if len(cells) > 1 and cells & known else None


def _table(
    text: str, delimiter: str, name: str
) -> Iterator[tuple[int, dict[str, Any] | WrongFieldError]]:
    limit = csv.field_size_limit()
    # A cell may hold a whole conversation.
    csv.field_size_limit(max(limit, len(text) + 1))
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        head = [cell.strip() for cell in next(reader, [])]
        if len(set(head)) < len(head):
            twice = next(one for one in head if head.count(one) > 1)
            raise ValidationError(f"has the column {twice!r} twice", path=f"{name}:1")
        while True:
            number = reader.line_num + 1
            row = next(reader, None)
            if row is None:
                return
            if not row:
                continue
            if len(row) != len(head):
                yield (
                    number,
                    WrongFieldError(
                        "", f"has {len(row)} cells, and the head has {len(head)} columns"
                    ),
                )
            else:
                yield number, dict(zip(head, row, strict=True))
    except csv.Error as error:
        raise ValidationError(
            f"cannot be read as a table: {error}", path=f"{name}:{number}"
        ) from None
    finally:
        csv.field_size_limit(limit)


def kind_of(value: Any) -> str:
    """Return what JSON calls the kind of a value."""
    kinds: list[tuple[type | tuple[type, ...], str]] = [
        (bool, "true or false"),
        ((int, float), "number"),
        (str, "string"),
        (list, "list"),
        (dict, "object"),
    ]
    return next((name for kind, name in kinds if isinstance(value, kind)), "null")
