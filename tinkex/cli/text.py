"""Strings fit to be seen: safe on a terminal, JSON, times and sizes."""

import os
import re
from datetime import UTC, datetime
from typing import IO, Any

# What a terminal acts upon instead of showing it: whole sequences first, so that nothing is left of
# them, then each control character that is left.
_SEQUENCES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)"  # OSC and its relatives: titles, links, clipboard
    r"|\x1b[ -/]*[0-~]"  # the short ones
)
# Bidirectional overrides let a name read as another one.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_SURROGATES = re.compile("[\ud800-\udfff]")

_DAY = 86_400


def is_terminal(stream: IO[str]) -> bool:
    """Return whether a stream is a terminal; a closed one is not."""
    try:
        return stream.isatty()
    except (AttributeError, ValueError):
        return False


def wants_color() -> bool:
    """Return whether the user wants colour on terminals: NO_COLOR and TERM=dumb disable it."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def for_terminal(text: str) -> str:
    r"""Return a text without what a terminal would act upon; line ends and tabs stay.

    >>> for_terminal("ok\x1b[2J\x1b]0;title\x07")
    'ok'
    """
    return _SURROGATES.sub("\N{REPLACEMENT CHARACTER}", _CONTROLS.sub("", _SEQUENCES.sub("", text)))


def fitted(text: str, head: str = "") -> str:
    """Wrap a text to the width of the terminal, between words only.

    Args:
        text: One or more lines.
        head: A prefix of the first line.
    """
    lines = [line for one in (head + text).split("\n") for line in wrapped(one)]
    return "\n".join(lines)[len(head) :]


def wrapped(text: str, indent: int = 0) -> list[str]:
    """Return the lines of a text on the terminal, broken between words only.

    Args:
        text: One line.
        indent: The columns in front of each line.
    """
    import shutil
    import textwrap

    columns = max(shutil.get_terminal_size().columns - indent, 1)
    return textwrap.wrap(text, columns, break_long_words=False, break_on_hyphens=False) or [""]


class Styled(str):
    """A line in colours of our own, with nothing in it that a server could have a terminal do."""

    __slots__ = ()


def styled(text: str, **style: Any) -> str:
    """Return a text with a style, if the user wants colour."""
    import click

    return click.style(text, **style) if wants_color() else text


def cell(value: Any) -> str:
    """Return a value as one line without tabs, for a cell of a table."""
    return " ".join(for_terminal("N/A" if value is None else str(value)).split())


def to_json(value: Any) -> str:
    r"""Return JSON text, indented, in which everything a terminal would act upon is escaped.

    >>> print(to_json("a\x9b"))
    "a\u009b"

    Numbers that JSON lacks (NaN, infinities) become null.
    """
    import json

    try:
        text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    except ValueError:
        text = json.dumps(_finite(value), indent=2, ensure_ascii=False)
    return _SURROGATES.sub(_escaped, _CONTROLS.sub(_escaped, text))


def _escaped(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"


def _finite(value: Any) -> Any:
    if isinstance(value, float) and value - value != 0:
        return None
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value


def iso(moment: datetime | None) -> str | None:
    """Return a time as ISO 8601 in UTC, such as 2026-01-31T12:00:00Z.

    >>> iso(datetime(2026, 1, 31, 12, tzinfo=UTC))
    '2026-01-31T12:00:00Z'
    """
    if moment is None:
        return None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def ago(moment: datetime | None, none: str = "N/A", now: datetime | None = None) -> str:
    """Return a time as people say it: "3 hours ago", "in 2 days"; far ones as a date.

    >>> ago(datetime(2026, 1, 1, tzinfo=UTC), now=datetime(2026, 1, 3, tzinfo=UTC))
    '2 days ago'
    """
    if moment is None:
        return none
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    passed = ((now or datetime.now(UTC)) - moment).total_seconds()
    size = abs(passed)
    if size > 30 * _DAY:
        return moment.astimezone(UTC).date().isoformat()
    for most, unit, name in ((7 * _DAY, 7 * _DAY, "week"), (_DAY, _DAY, "day")):
        if size >= most:
            return _spoken(int(size // unit), name, passed)
    if size > 3600:
        return _spoken(int(size // 3600), "hour", passed)
    if size > 60:
        return _spoken(int(size // 60), "minute", passed)
    return "just now" if passed >= 0 else "in less than a minute"


def _spoken(count: int, name: str, passed: float) -> str:
    words = f"{count} {name}{'' if count == 1 else 's'}"
    return f"{words} ago" if passed >= 0 else f"in {words}"


def size(count: int | None) -> str:
    """Return a number of bytes with a unit, base 1024.

    >>> size(1536), size(12), size(None)
    ('1.5 KB', '12 B', 'N/A')
    """
    if count is None:
        return "N/A"
    if count < 1024:
        return f"{count} B"
    amount = float(count)
    for unit in ("KB", "MB", "GB"):
        amount /= 1024
        if amount < 1024:
            return f"{amount:.1f} {unit}"
    return f"{amount / 1024:.1f} TB"


def yes_no(value: bool | None) -> str:
    """Return Yes, No, or N/A if unknown."""
    return "N/A" if value is None else "Yes" if value else "No"
