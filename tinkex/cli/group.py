"""The top of the command line: a group whose commands are imported when they are used."""

from collections.abc import Mapping
from importlib import import_module

import click

# Name: (module, one line for the overview). The line stands here too, because `tinkex --help`
# would otherwise import every command with all that it needs.
COMMANDS: Mapping[str, tuple[str, str]] = {
    "serve": ("tinkex.cli.serve", "Run the local server."),
    "version": ("tinkex.cli.version", "Show the versions of tinkex and Python."),
}


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports one when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands."""
        del ctx
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command, or None if there is no such command."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(COMMANDS[cmd_name][0]).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the overview of the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][1]) for name in self.list_commands(ctx)])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
def tinkex() -> None:
    """Fine-tune and sample language models through the Tinker API."""
