"""`tinkex usage`: tokens and storage, as the server counts them."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import click

from tinkex.cli.invocation import Invocation, pass_invocation
from tinkex.cli.options import Command
from tinkex.cli.tables import table
from tinkex.cli.text import iso, size

if TYPE_CHECKING:
    from tinkex.types import BillingUsageEvent

# What the server lists at once.
_LONGEST = 14
_HEADERS = ("Kind", "Base Model", "Count", "Cost (USD)")
# What a spreadsheet takes for a formula (OWASP, CSV injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@click.command("usage", cls=Command)
@click.option(
    "--days",
    type=click.IntRange(1, _LONGEST),
    default=7,
    show_default=True,
    metavar="N",
    help="Number of days to include, at most 14.",
)
@click.option("--session", metavar="SESSION_ID", help="Limit to this session.")
@click.option("--csv", "as_csv", is_flag=True, help="Write CSV, one line per hour.")
@pass_invocation
def command(invocation: Invocation, days: int, session: str | None, as_csv: bool) -> Any:
    """Show token usage by type and model, and storage.

    Costs are the server's own estimates; where it gives none, there is none here.
    """
    if as_csv and invocation.as_json:
        raise click.UsageError("give one of --csv and --json")
    until = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    since = until - timedelta(days=days)
    with invocation.rest() as rest:
        events = rest.get_billing_usage(since, until).data
        stored = rest.get_checkpoint_storage_usage().data
    if session is not None:
        events = [event for event in events if event.session_id == session]
    result = {
        "since": iso(since),
        "until": iso(until),
        "usage": _totals(events),
        "storage": [_stored(one) for one in stored],
    }
    if as_csv:
        for row in _csv_rows(events):
            invocation.say(row)
        return result
    return invocation.show(result, lambda: _lines(result))


def _totals(events: "Sequence[BillingUsageEvent]") -> list[dict[str, Any]]:
    """Add up the hours of each kind and model."""
    sums: dict[tuple[str, str | None], dict[str, Any]] = {}
    for event in events:
        key = (_kind(event), event.base_model)
        total = sums.setdefault(
            key,
            {"kind": key[0], "base_model": key[1], "count": 0, "estimated_cost_usd": None},
        )
        total["count"] += _count(event)
        if event.estimated_cost_usd is not None:
            total["estimated_cost_usd"] = (
                total["estimated_cost_usd"] or 0.0
            ) + event.estimated_cost_usd
    return [sums[key] for key in sorted(sums, key=str)]


def _kind(event: "BillingUsageEvent") -> str:
    """Return the usage by kind; cached prompts have a separate price."""
    cached = getattr(event.event_info, "cached", False)
    return f"{event.event_info.type_}{' (cached)' if cached else ''}"


def _count(event: "BillingUsageEvent") -> int | float:
    """Return the count of an event: tokens, checkpoints or gigabyte hours."""
    said = event.event_info.to_dict()
    names = ("token_count", "count", "gigabyte_hours")
    return cast("int | float", next((said[name] for name in names if name in said), 0))


def _stored(one: Any) -> dict[str, Any]:
    return {
        "project_id": one.project_id,
        "user_name": one.user_name,
        "checkpoint_count": one.checkpoint_count,
        "size_bytes": one.size_bytes,
        "estimated_monthly_cost_usd": one.estimated_monthly_cost_usd,
    }


def _lines(result: dict[str, Any]) -> Iterator[str]:
    yield f"Usage from {result['since']} to {result['until']}"
    yield from table(
        _HEADERS,
        [
            (one["kind"], one["base_model"], one["count"], _cost(one["estimated_cost_usd"]))
            for one in result["usage"]
        ],
    )
    yield ""
    yield "Checkpoints"
    yield from table(
        ("Project", "User", "Count", "Size", "Per month (USD)"),
        [
            (
                one["project_id"] or "none",
                one["user_name"],
                one["checkpoint_count"],
                size(one["size_bytes"]),
                _cost(one["estimated_monthly_cost_usd"]),
            )
            for one in result["storage"]
        ],
    )


def _cost(amount: float | None) -> str:
    return "N/A" if amount is None else f"{amount:.4f}"


def _csv_rows(events: "Sequence[BillingUsageEvent]") -> Iterator[str]:
    yield "hour,kind,base_model,session_id,project_id,count,estimated_cost_usd"
    for event in events:
        yield ",".join(
            csv_cell(value)
            for value in (
                iso(event.bucket_start),
                _kind(event),
                event.base_model,
                event.session_id,
                event.project_id,
                _count(event),
                event.estimated_cost_usd,
            )
        )


def csv_cell(value: Any) -> str:
    """Return a value as a cell of CSV that no spreadsheet takes for a formula.

    >>> csv_cell("=1+1"), csv_cell("a,b"), csv_cell(-1)
    ("'=1+1", '"a,b"', '-1')
    """
    text = "" if value is None else str(value)
    if not isinstance(value, int | float) and text.startswith(_FORMULA):
        text = f"'{text}"
    if any(character in text for character in ',"\r\n'):
        text = '"' + text.replace('"', '""') + '"'
    return text
