"""The page at `/`: runs, loss curves, checkpoints, samplers, usage and errors, as plain HTML."""

import re
import time
from collections.abc import Iterable, Sequence
from functools import partial
from html import escape
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from tinkex.local.app_state import AppState
from tinkex.local.charts import curve, hourly_bars, short
from tinkex.local.page_style import STYLE
from tinkex.local.run_status import status_of
from tinkex.local.runs import RunRecord
from tinkex.local.usage import HOUR_S

_MOST = 30
_HOURS = 24
_KINDS = {"training": "trained", "sampling_prefill": "read", "sampling_sample": "sampled"}
_KIND_NAMES = {
    "weights": "training state",
    "sampler_weights": "for sampling",
    "external_weights": "export",
}
_AGES = ((86_400 * 1.5, 86_400, "days"), (5400, 3600, "hours"), (90, 60, "minutes"))
_MOST_OFTEN_S = 2

# One cell of a table: HTML, and whether it takes the room that is left.
Cell = tuple[str, bool]


async def show(site: AppState, request: Request) -> Response:
    """Answer with the page; nothing in it is loaded from elsewhere, and no script runs.

    `?refresh=SECONDS` lets the browser load it again and again.
    """
    wanted = request.query_params.get("refresh", "")
    refresh = max(_MOST_OFTEN_S, int(wanted)) if re.fullmatch(r"[0-9]{1,4}", wanted) else None
    # What signs the address stays in its links.
    signed = urlencode([pair for pair in request.query_params.items() if pair[0] != "refresh"])
    html = await site.pool.run(partial(render, site, refresh, signed))
    policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
    return HTMLResponse(
        html, headers={"content-security-policy": policy, "cache-control": "no-store"}
    )


def render(site: AppState, refresh: int | None = None, signed: str = "") -> str:
    """Return the page's HTML; `signed` is the part of its query that lets the browser in."""
    stop, often = (f"/?{signed}", f"?refresh=5&{signed}") if signed else ("/", "?refresh=5")
    reload = "" if refresh is None else f'<meta http-equiv="refresh" content="{refresh}">'
    switch = (
        f'<a href="{escape(often)}">refresh every 5 seconds</a>'
        if refresh is None
        else f'refreshes every {refresh} seconds · <a href="{escape(stop)}">stop</a>'
    )
    sections = (_runs, _hours, _checkpoints, _samplers, _errors)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">{reload}'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>tinkex local server</title><style>{STYLE}</style></head><body><main>"
        f"<header><h1>tinkex local server</h1><small>{_clock(site.now())} · {switch}</small></header>"
        f"<p>Base models: {escape(', '.join(site.bases.names))}</p>"
        + _tiles(site)
        + "".join(section(site) for section in sections)
        + "</main></body></html>"
    )


def _tiles(site: AppState) -> str:
    totals = site.usage.totals()
    tiles = [
        (f"{site.runs.page(1, 0)[1]:,}", "training runs"),
        (f"{len(list(site.models.all())):,}", "models in memory"),
        (f"{len(site.last_seen):,}", "open sessions"),
        (_bytes(sum(size for _, _, size in site.checkpoints.storage_by_project())), "in checkpoints"),
        (short(totals.get("training", 0)), "tokens trained"),
        (short(totals.get("sampling_sample", 0)), "tokens sampled"),
    ]  # fmt: skip
    cells = "".join(
        f'<div class="card"><b>{value}</b><small>{name}</small></div>' for value, name in tiles
    )
    return f'<div class="tiles">{cells}</div>'


def _runs(site: AppState) -> str:
    runs, total = site.runs.page(_MOST, 0)
    cards = "".join(_run(site, run) for run in runs)
    shown = f", the newest {len(runs)}" if total > len(runs) else ""
    return _section(
        f"Training runs ({total}{shown})", f'<div class="runs">{cards}</div>' if cards else ""
    )


def _run(site: AppState, run: RunRecord) -> str:
    losses = site.losses.of_run(run.run_id)
    found = status_of(site, run)
    name = found.display_name
    title = (
        f"<h3>{escape(name)}</h3>" if name else f"<h3><code>{_breakable(run.run_id)}</code></h3>"
    )
    under = f"<code>{_breakable(run.run_id)}</code>" if name else ""
    loss = f'<span class="loss"><small>loss</small> {losses[-1][1]:.4g}</span>' if losses else ""
    steps = f"{losses[-1][0]} step{'s' * (losses[-1][0] != 1)}" if losses else "no step yet"
    chips = [run.base_model, f"rank {run.lora_rank}", steps, _age(site.now() - run.created_at)]
    if run.project_id is not None:
        chips.append(run.project_id)
    chips += [f"{key}: {value}" for key, value in sorted(found.metadata.items())]
    state = " live" if found.status == "running" else ""
    marks = f'<span class="chip{state}">{found.status}</span>'
    marks += "".join(f'<span class="chip">{escape(chip)}</span>' for chip in chips)
    return (
        f'<article class="card"><div class="top">{title}{loss}</div>{under}'
        f'<div class="chips">{marks}</div>{curve(losses)}</article>'
    )


def _hours(site: AppState) -> str:
    newest = int(site.now() // HOUR_S)
    hours: dict[int, dict[str, int]] = {hour: {} for hour in range(newest - _HOURS + 1, newest + 1)}
    for row in site.usage.window(min(hours) * HOUR_S, (newest + 1) * HOUR_S):
        if row.kind in _KINDS:
            counts, kind = hours[row.hour], _KINDS[row.kind]
            counts[kind] = counts.get(kind, 0) + row.count
    chart = hourly_bars(
        [
            (time.strftime("%H:%M", time.localtime(hour * HOUR_S)), counts)
            for hour, counts in hours.items()
        ],
        list(_KINDS.values()),
    )
    key = "".join(
        f'<span><i class="key{place}"></i>{kind}</span>'
        for place, kind in enumerate(_KINDS.values())
    )
    return _section(
        "Tokens by the hour",
        chart
        and f'<div class="card"><div class="key">{key}</div><div class="scroll">{chart}</div></div>',
    )


def _checkpoints(site: AppState) -> str:
    records, total = site.checkpoints.page(_MOST, 0)
    rows = []
    for record in records:
        expires = record.expires_at
        left = "" if expires is None else f"in {_duration(expires - site.now())}"
        rows.append(
            (
                (f"<code>{_breakable(str(record.path))}</code>", True),
                (_KIND_NAMES[record.path.kind] + (", public" if record.public else ""), False),
                (_bytes(record.size_bytes), False),
                (_age(site.now() - record.created_at), False),
                (left, False),
            )
        )
    heads = ("path", "kind", "size", "saved", "expires")
    return _section(f"Checkpoints ({total})", _table(heads, rows))


def _samplers(site: AppState) -> str:
    found = site.database.rows("SELECT * FROM samplers ORDER BY created_at DESC LIMIT ?", (_MOST,))
    live = {sampler.sampler_id for sampler in site.samplers.all()}
    rows = [
        (
            (f"<code>{_breakable(row['model_path'] or row['base_model'])}</code>", True),
            (f"<code>{escape(row['sampler_id'])}</code>", False),
            ("open" if row["sampler_id"] in live else "ended", False),
            (_age(site.now() - row["created_at"]), False),
        )
        for row in found
    ]
    return _section("Samplers", _table(("samples from", "id", "state", "made"), rows))


def _errors(site: AppState) -> str:
    rows = []
    for when, text in reversed(site.errors):
        request_id, found, reason = text.partition(": ")
        rows.append(
            (
                (f'<span class="bad">{_breakable(reason if found else text)}</span>', True),
                (f"<code>{_breakable(request_id)}</code>" if found else "", False),
                (_age(site.now() - when), False),
            )
        )
    return _section("Recent errors", _table(("what", "request", "when"), rows))


def _section(title: str, content: str) -> str:
    return f"<h2>{escape(title)}</h2>" + (content or '<p class="card empty">None yet.</p>')


def _table(heads: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    body = "".join(
        "<tr>"
        + "".join(
            f'<td data-head="{head}"{" class=wide" * wide}>{html}</td>'
            for head, (html, wide) in zip(heads, row, strict=True)
        )
        + "</tr>"
        for row in rows
    )
    if not body:
        return ""
    head = "".join(f"<th>{one}</th>" for one in heads)
    return f'<div class="card"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _breakable(text: str) -> str:
    """Return text that may be broken after the marks that part its words."""
    return "".join(
        escape(part) + ("<wbr>" if part[-1] in "/:-_.," else "")
        for part in re.findall(r"[^/:\-_.,]*[/:\-_.,]|[^/:\-_.,]+", text)
    )


def _bytes(size: int) -> str:
    for limit, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if size >= limit:
            return f"{size / limit:.3g} {unit}"
    return f"{size} bytes"


def _age(seconds: float) -> str:
    return f"{_duration(seconds)} ago" if seconds >= 1 else "now"


def _duration(seconds: float) -> str:
    for least, unit, name in _AGES:
        if seconds >= least:
            return f"{seconds / unit:.0f} {name}"
    return f"{max(0, round(seconds))} s"


def _clock(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
