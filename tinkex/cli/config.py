"""`tinkex config show`."""

import os
from collections.abc import Iterator
from typing import Any

import click

from tinkex.cli.failures import for_commands
from tinkex.cli.invocation import Invocation, pass_invocation
from tinkex.cli.options import Group
from tinkex.cli.tables import table

_HEADERS = ("Setting", "Value", "Source", "Variable")


@click.group("config", cls=Group)
def command() -> None:
    """Show the settings in use."""


@command.command("show")
@click.option("--changed", is_flag=True, help="Show only settings that differ from the default.")
@pass_invocation
def show(invocation: Invocation, changed: bool) -> Any:
    """Show every setting with its source; secrets are masked.

    Invalid settings are listed as problems; all others are shown anyway.
    """
    result = described(invocation.settings)
    if changed:
        kept = [row for row in result["settings"] if row["source"] != "default"]
        result = {**result, "settings": kept}

    def lines() -> Iterator[str]:
        rows = [tuple(row.values()) for row in result["settings"]]
        if rows:
            yield from table(_HEADERS, [(*row[:3], row[3] or "-") for row in rows])
        else:
            yield "every setting has its default"

    invocation.show(result, lines)
    for problem in result["problems"]:
        invocation.note(f"problem: {for_commands(problem)}")
    return result


Row = tuple[str, str, str, str | None]


def described(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return every setting with its source, secrets masked, and the problems found.

    Args:
        arguments: Settings from the command line, by name.
    """
    rows, problems = _settings(arguments)
    return {
        "settings": [
            {"setting": name, "value": value, "source": source, "variable": variable}
            for name, value, source, variable in rows
        ],
        "problems": problems,
    }


def _settings(arguments: dict[str, Any]) -> tuple[list[Row], list[str]]:
    """Return each setting with its value, source and variable, and the problems found."""
    from tinkex.config import Config
    from tinkex.config.settings import SETTINGS
    from tinkex.errors import ConfigurationError

    try:
        return _rows(Config.resolve(**arguments)), []
    except ConfigurationError as error:
        problems = [str(error)]
    # One by one, so that an invalid one does not hide the others.
    values, sources, wrong = {}, {}, []
    for name, setting in SETTINGS.items():
        try:
            found, value, source = setting.look_up(name, arguments.get(name), os.environ)
        except ConfigurationError as error:
            wrong.append(str(error))
            sources[name] = f"environment {setting.env}" if setting.env else "argument"
            continue
        sources[name] = source
        if found:
            values[name] = value
    shown = {row[0]: row for row in _rows(Config.unchecked(**values, sources=sources))}
    unusable = {name for name in sources if name not in values and sources[name] != "default"}
    # The part before an @ is usually a password.
    unusable |= {"base_url"} if "@" in str(values.get("base_url", "")) else set()
    for name in unusable:
        shown[name] = (name, "not usable", *shown[name][2:])
    return list(shown.values()), wrong or problems


def _rows(config: Any) -> list[Row]:
    from tinkex.config.settings import SETTINGS

    return [
        (name, value, "command line" if source == "argument" else source, SETTINGS[name].env)
        for name, value, source in config.describe()
    ]
