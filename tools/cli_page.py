"""Write docs/cli.md: every command with its options, and a recorded session of each.

python tools/cli_page.py            writes the page; the sessions are recorded on a local server
python tools/cli_page.py --check    status 1 if commands, options or what was recorded have changed;
                                    nothing is run, so the outputs themselves are not compared
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click
from cli_sessions import recorded, typed

from tinkex.cli import failures
from tinkex.cli.group import tinkex
from tinkex.cli.options import Command, CommonOption

PAGE = Path(__file__).resolve().parents[1] / "docs" / "cli.md"
_ESCAPED_LESS, _ESCAPED_BAR = r"\<", r"\|"
TOP = """# The command line

`tinkex` trains, samples and looks after what lies on a server, without a line of Python. Install it with
`pip install 'tinkex[cli]'`, and with `[cli,local]` to try everything below offline and free:

    export TINKER_BASE_URL=local

or `--base-url local` after any command. For the hosted service set `TINKER_API_KEY`; the other settings
stand in [configuration.md](configuration.md). Made by `tools/cli_page.py` from the commands: do not edit.

## What all commands have in common

- **Data goes to stdout, everything else to stderr**: progress, notes, questions, errors. Progress is drawn only
  if stderr is a terminal (`--no-progress` turns it off), colour only on terminals (`NO_COLOR` turns it off).
- **Tables** line up on a terminal; where one would be wider than the terminal, each row becomes a block, so
  that nothing is cut off; `run list` keeps one line per run and drops columns instead. In a pipe cells are
  separated by tabs. Times are relative ("3 hours ago").
- **JSON** (`--format json`, `--json`) has a stable schema: keys are added, never renamed or taken away. Times are
  ISO 8601 in UTC.
- **Strings of the server** cannot steer your terminal: control characters are left out of tables and
  escaped in JSON.
- **Lists** take `--limit` (0 for all, over as many pages as that takes) and `--offset`.
- **Errors** are a paragraph that says what to do. `--debug` adds log lines and tracebacks; `TINKER_LOG=info` adds
  log lines alone.
- **In a program**, `tinkex.cli.run(["run", "list"])` returns what the JSON says and raises the SDK's errors.

{options}

### Exit codes

| code | meaning |
|---|---|
{codes}

`tinkex doctor` has additional ones, one for each layer.

## Commands

The sessions below were recorded on the local server (`TINKER_BASE_URL=local`) on a terminal of 110 columns; ids,
times, durations and folders are replaced.
"""


def commands(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    """Yield every command below one, with how it is called, in the order of the overview."""
    if not isinstance(command, click.Group):
        return
    ctx = click.Context(command, info_name=path)
    for name in command.list_commands(ctx):
        below = command.get_command(ctx, name)
        assert below is not None
        yield f"{path} {name}", below
        yield from commands(below, f"{path} {name}")


def option_lines(command: click.Command, common: bool) -> Iterator[str]:
    """Yield a line for each option, the common ones or the command's own."""
    ctx = click.Context(command)
    for parameter in command.get_params(ctx):
        if isinstance(parameter, click.Argument) or "--help" in parameter.opts:
            continue
        record = parameter.get_help_record(ctx)
        if record is not None and isinstance(parameter, CommonOption) == common:
            names, text = record
            yield f"- `{names}` — {' '.join(text.split()).replace('<', _ESCAPED_LESS)}"


def entry(path: str, command: click.Command, session: str) -> Iterator[str]:
    """Yield the lines about one command."""
    yield f"{'#' * (path.count(' ') + 2)} {path}\n"
    ctx = click.Context(command, info_name=path)
    yield "\n\n".join(
        " ".join(part.split()) for part in (command.help or "").replace("\b\n", "").split("\n\n")
    )
    yield f"\n`{path} {' '.join(command.collect_usage_pieces(ctx))}`\n"
    options = list(option_lines(command, common=False))
    if options:
        yield "\n".join(options) + "\n"
    if not isinstance(command, Command):
        yield "It has none of the common options.\n"
    if command.epilog:
        lines = command.epilog.replace("\b\n", "").strip().splitlines()
        yield "\n".join(f"    {line}" for line in lines) + "\n"
    if session:
        yield f"```console\n{session.rstrip()}\n```\n"


def page(sessions: dict[str, str]) -> str:
    """Return the whole page, with what was recorded of each command."""
    options = "\n".join(option_lines(next(c for _, c in commands(tinkex, "tinkex")), common=True))
    codes = "\n".join(
        f"| {code} | {text.replace('|', _ESCAPED_BAR)} |"
        for code, text in failures.EXIT_CODES.items()
    )
    lines = [TOP.format(options=options, codes=codes)]
    for path, command in commands(tinkex, "tinkex"):
        lines.extend(entry(path, command, sessions.get(path, "")))
    return "\n".join(lines).replace("\n\n\n", "\n\n").rstrip() + "\n"


def without_outputs(text: str) -> str:
    """Return a page in which of each session only what was typed is left."""
    kept, inside = [], False
    for line in text.splitlines():
        inside = line == "```console" or (inside and line != "```")
        if not inside or line.startswith(("$ ", "```")):
            kept.append(line)
    return "\n".join(kept)


def main() -> int:
    """Write the page, or compare what it says of the commands."""
    if "--check" in sys.argv:
        current = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
        if without_outputs(current) != without_outputs(page(typed())):
            print("docs/cli.md is not what the commands say: run python tools/cli_page.py")
            return 1
        return 0
    PAGE.write_text(page(recorded()), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
