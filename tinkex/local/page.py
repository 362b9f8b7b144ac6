"""The page at `/`: runs, loss curves, checkpoints, samplers and recent errors, as plain HTML."""

import time
from collections.abc import Iterable, Sequence
from functools import partial
from html import escape

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from tinkex.local.site import Site

_MOST = 30
_STYLE = """
:root{color-scheme:light dark;--ink:#1c2430;--dim:#5a6575;--line:#d5dae1;--back:#fff;--curve:#0067b0}
@media(prefers-color-scheme:dark){:root{--ink:#e4e8ee;--dim:#9aa5b5;--line:#39424f;--back:#14181e;--curve:#5fb4f5}}
body{margin:0 auto;max-width:70rem;padding:1rem;background:var(--back);color:var(--ink);
font:15px/1.45 system-ui,sans-serif}
h1{font-size:1.4rem;margin:.2rem 0}h2{font-size:1.1rem;margin:1.6rem 0 .4rem}p,small{color:var(--dim)}
table{border-collapse:collapse;width:100%}td,th{padding:.25rem .6rem .25rem 0;text-align:left;
border-bottom:1px solid var(--line);vertical-align:top;overflow-wrap:anywhere}th{color:var(--dim);font-weight:500}
.runs{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(20rem,100%),1fr));gap:.8rem}
article{border:1px solid var(--line);border-radius:.4rem;padding:.6rem;overflow-wrap:anywhere}
svg{width:100%;height:auto}polyline{fill:none;stroke:var(--curve);stroke-width:2}
text{fill:var(--dim);font-size:11px}.axis{stroke:var(--line);fill:none}
"""


async def show(site: Site, request: Request) -> Response:
    """Answer with the page; nothing in it is loaded from elsewhere, and no script runs."""
    del request
    html = await site.pool.run(partial(render, site))
    policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
    return HTMLResponse(
        html, headers={"content-security-policy": policy, "cache-control": "no-store"}
    )


def render(site: Site) -> str:
    """Return the page's HTML."""
    runs, total = site.runs.page(_MOST, 0)
    articles = []
    for run in runs:
        losses = site.losses.of_run(run.run_id)
        said = f"{losses[-1][1]:.4g} after {losses[-1][0]} steps" if losses else "no step yet"
        articles.append(
            f"<article><strong>{escape(run.run_id)}</strong><br>"
            f"<small>{escape(run.base_model)} · rank {run.lora_rank} · {_when(run.created_at)}"
            f" · loss {escape(said)}</small>{curve(losses)}</article>"
        )
    checkpoints = [
        (f"tinker://{row['run_id']}/{row['kind']}/{row['name']}", f"{row['size_bytes']:,} bytes",
         _when(row["created_at"]))
        for row in site.database.rows(
            "SELECT * FROM checkpoints ORDER BY created_at DESC LIMIT ?", (_MOST,)
        )
    ]  # fmt: skip
    samplers = [
        (row["sampler_id"], row["model_path"] or row["base_model"], _when(row["created_at"]))
        for row in site.database.rows(
            "SELECT * FROM samplers ORDER BY created_at DESC LIMIT ?", (_MOST,)
        )
    ]
    errors = [(_when(when), text) for when, text in reversed(site.errors)]
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>tinkex local server</title><style>{_STYLE}</style><main>"
        f"<h1>tinkex local server</h1><p>Models: {escape(', '.join(site.bases.names))}</p>"
        f"<h2>Training runs ({total})</h2>"
        + (f'<div class="runs">{"".join(articles)}</div>' if articles else "<p>None yet.</p>")
        + _table("Checkpoints", ("path", "size", "saved"), checkpoints)
        + _table("Samplers", ("id", "samples from", "made"), samplers)
        + _table("Recent errors", ("when", "what"), errors)
        + "</main></html>"
    )


def curve(losses: Sequence[tuple[int, float]], width: int = 320, height: int = 130) -> str:
    """Return the loss by step as inline SVG; nothing for fewer than two steps."""
    if len(losses) < 2:
        return ""
    values = [value for _, value in losses]
    low, high = min(values), max(values)
    first, last = losses[0][0], losses[-1][0]
    points = " ".join(
        f"{40 + (step - first) / (last - first) * (width - 50):.1f},"
        f"{10 + (high - value) / ((high - low) or 1.0) * (height - 35):.1f}"
        for step, value in losses
    )
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="loss per token by step">'
        f'<path class="axis" d="M40 10V{height - 25}H{width - 10}"/><polyline points="{points}"/>'
        f'<text x="36" y="14" text-anchor="end">{high:.3g}</text>'
        f'<text x="36" y="{height - 25}" text-anchor="end">{low:.3g}</text>'
        f'<text x="40" y="{height - 8}">step {first}</text>'
        f'<text x="{width - 10}" y="{height - 8}" text-anchor="end">{last}</text></svg>'
    )


def _table(title: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows
    )
    if not body:
        return f"<h2>{title}</h2><p>None.</p>"
    head = "".join(f"<th>{one}</th>" for one in heads)
    return f"<h2>{title}</h2><table><tr>{head}</tr>{body}</table>"


def _when(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
