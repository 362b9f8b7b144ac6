"""Drive all of tinkex against other people's servers, and write the table: `make interop-servers`.

Arguments are names of servers, such as "tuft"; without one it is all of them. The outcomes are kept
beside the virtual environments, and those of all servers make the table in docs/many-gpus.md. The
servers are installed from the package index at the first run.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

import attrs
from calls import Row, drive
from servers import HERE, SERVERS, VENVS, Server, make_model

PAGE = HERE.parents[2] / "docs" / "many-gpus.md"
BEGIN, END = "<!-- made by make interop-servers -->\n", "<!-- end -->\n"
# Nothing of what the user has set for another server counts here.
FOREIGN = ("TINKER_", "TINKEX_")


def main(names: list[str]) -> int:
    chosen = [one for one in SERVERS if not names or any(n in one.name.lower() for n in names)]
    for name in [name for name in os.environ if name.startswith(FOREIGN)]:
        del os.environ[name]
    for server in SERVERS:
        print(f"installing {server.name} ...", flush=True)
        server.install()
    with tempfile.TemporaryDirectory(prefix="tinkex-interop-") as folder:
        model = Path(folder) / "tiny-qwen3"
        make_model(model)
        for kind in chosen:
            rows = tried(kind(Path(folder) / kind.venv().name, model))
            _kept(kind).write_text(json.dumps([attrs.asdict(row) for row in rows]), "utf-8")
    results = {
        kind.name: [Row(**row) for row in json.loads(_kept(kind).read_text("utf-8"))]
        for kind in SERVERS
        if _kept(kind).exists()
    }
    text = table(results)
    print(text)
    if len(results) == len(SERVERS):
        page = PAGE.read_text(encoding="utf-8")
        before, rest = page.split(BEGIN)
        PAGE.write_text(before + BEGIN + text + END + rest.split(END)[1], encoding="utf-8")
    failed = [
        f"{kind.name}: {row.area}: {row.call}: {row.reason}"
        for kind in chosen
        for row in results[kind.name]
        if row.outcome == "fails" and not row.is_servers_fault
    ]
    print("\n".join(failed) or "every call works, or its server says why not")
    return 1 if failed else 0


def _kept(kind: type[Server]) -> Path:
    return VENVS / f"{kind.venv().name}.json"


def tried(server: Server) -> list[Row]:
    """Run a server and make every call of the table."""
    print(f"\n{server.name}", flush=True)
    server.start()
    try:
        return drive(server)
    except BaseException:
        print(server.end_of_log())
        raise
    finally:
        server.stop()


def table(results: dict[str, list[Row]]) -> str:
    """Return the outcomes as a table of Markdown, with the reasons below it."""
    rows = {(row.area, row.call) for found in results.values() for row in found}
    order = [(row.area, row.call) for found in results.values() for row in found]
    reasons: dict[str, int] = {}
    lines = [
        f"| | call | {' | '.join(results)} |",
        f"|---|---|{'---|' * len(results)}",
    ]
    before = ""
    for area, call in sorted(rows, key=order.index):
        cells = []
        for found in results.values():
            row = next((one for one in found if (one.area, one.call) == (area, call)), None)
            cells.append(cell(row, reasons))
        lines.append(f"| {area if area != before else ''} | {call} | {' | '.join(cells)} |")
        before = area
    notes = [f"{number}. {reason}" for reason, number in reasons.items()]
    return "\n".join([*lines, "", *notes, ""])


def cell(row: Row | None, reasons: dict[str, int]) -> str:
    if row is None:
        return ""
    if not row.reason:
        return row.outcome
    number = reasons.setdefault(row.reason, len(reasons) + 1)
    return f"{row.outcome} ({number})"


if __name__ == "__main__":
    sys.exit(main([name.lower() for name in sys.argv[1:]]))
