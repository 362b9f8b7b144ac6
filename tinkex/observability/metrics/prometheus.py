"""The text format of Prometheus (version 0.0.4)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from attrs import frozen

from tinkex.errors import ValidationError
from tinkex.observability.metrics.histogram import BUCKETS, Histogram

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_known: dict[tuple[object, ...], Series] = {}
MOST_KNOWN = 1000
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


@frozen(cache_hash=True)
class Series:
    """A metric's name with its sorted labels."""

    name: str
    labels: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return self.name + _braces(self.labels)


def series(name: str, labels: Mapping[str, str]) -> Series:
    """Return the series of a name and its labels.

    Raises:
        ValidationError: Prometheus does not accept the name or a label.
    """
    # Checked once: events use the same few series repeatedly.
    asked = (name, *labels.items())
    known = _known.get(asked)
    if known is not None:
        return known
    if not _NAME.fullmatch(name):
        raise ValidationError(
            f"{name!r} is not a valid metric name: use a-z, 0-9 and _", path="name"
        )
    for label in labels:
        if not _LABEL.fullmatch(label):
            raise ValidationError(f"{label!r} is not a valid label name: use a-z, 0-9 and _")
    made = Series(name, tuple(sorted((label, str(value)) for label, value in labels.items())))
    if len(_known) < MOST_KNOWN:
        _known[asked] = made
    return made


def exposition(
    counters: Mapping[Series, float],
    gauges: Mapping[Series, float],
    histograms: Mapping[Series, Histogram],
) -> str:
    """Return all values as text, with each metric's series grouped under its type."""
    lines: list[str] = []
    for kind, values in (("counter", counters), ("gauge", gauges)):
        for name, members in _grouped(values):
            lines.append(f"# TYPE {name} {kind}")
            lines += [f"{member} {_number(values[member])}" for member in members]
    for name, members in _grouped(histograms):
        lines.append(f"# TYPE {name} histogram")
        for member in members:
            lines += _histogram(member, histograms[member])
    return "".join(f"{line}\n" for line in lines)


def _grouped(values: Mapping[Series, object]) -> Iterator[tuple[str, list[Series]]]:
    names = sorted({member.name for member in values})
    for name in names:
        yield name, sorted((one for one in values if one.name == name), key=str)


def _histogram(member: Series, histogram: Histogram) -> Iterator[str]:
    below = 0
    for bound, count in zip((*BUCKETS, "+Inf"), histogram.buckets, strict=True):
        below += count
        labels = _braces((*member.labels, ("le", str(bound))))
        yield f"{member.name}_bucket{labels} {below}"
    yield f"{member.name}_sum{_braces(member.labels)} {_number(histogram.total)}"
    yield f"{member.name}_count{_braces(member.labels)} {histogram.count}"


def _braces(labels: tuple[tuple[str, str], ...]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))
