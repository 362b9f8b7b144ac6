"""Names, numbers and times as the pages show them."""

import time

from markupsafe import Markup

from tinkex.local.run_status import RunStatus
from tinkex.local.runs import RunRecord

# Of a generated id so much is enough to know it again.
_SHORT_ID = 6


def run_name(run: RunRecord, status: RunStatus) -> str:
    """Return what to call a run: its own name, its session's, or the model and a part of its id."""
    session, _, number = run.run_id.partition(":train:")
    if name := (run.user_metadata or {}).get("name"):
        return str(name)
    if status.display_name:
        return status.display_name + (f" ({int(number) + 1})" if number not in ("", "0") else "")
    model = run.base_model.rpartition("/")[2]
    rest = session.rpartition("-")[2][:_SHORT_ID]
    return f"{model} {rest}" + (f":{number}" if number not in ("", "0") else "")


def size(count: int) -> str:
    """Return a number of bytes in few characters."""
    for limit, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= limit:
            return f"{count / limit:.3g} {unit}"
    return f"{count} bytes"


def short(number: float) -> str:
    """Return a count in few characters: 950, 12.3k, 4.1M."""
    for least, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= least:
            return f"{number / least:.3g}{letter}"
    return f"{number:g}"


def ago(at: float) -> Markup:
    """Return a moment in the past; the page's script shows it as the time since then."""
    return Markup('<time data-at="{}" title="{}">{}</time>').format(
        f"{at:.3f}", clock(at), clock(at)
    )


def until(at: float) -> Markup:
    """Return a moment to come; the page's script shows it as the time until then."""
    return Markup('<time data-until="{}" title="{}">{}</time>').format(
        f"{at:.3f}", clock(at), clock(at)
    )


def clock(at: float) -> str:
    """Return a moment as date and time."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def setting(value: object) -> str:
    """Return the value of a setting."""
    return f"{value:g}" if isinstance(value, float) else str(value)
