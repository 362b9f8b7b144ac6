"""The top of the command line: a group whose commands are imported when they are used."""

from collections.abc import Mapping
from importlib import import_module

import click

from tinkex.cli.invocation import Invocation, pass_invocation
from tinkex.cli.options import Group
from tinkex.cli.text import wants_color

# Name: (module, one line for the overview). The line stands here too, because `tinkex --help`
# would otherwise import every command with all that it needs; a test holds it to the docstring.
COMMANDS: Mapping[str, tuple[str, str]] = {
    "checkpoint": (
        "tinkex.cli.checkpoint",
        "Save weights to sample from; `checkpoint list` and others manage them.",
    ),
    "run": (
        "tinkex.cli.runs",
        "Sample from a model; `run list` and `run info` show training runs.",
    ),
    "completion": (
        "tinkex.cli.completion",
        "Print a script that lets your shell complete tinkex.",
    ),
    "config": ("tinkex.cli.config", "Show the settings in use."),
    "help": ("tinkex.cli.help", "Show the help of a command, like --help after it."),
    "doctor": (
        "tinkex.cli.doctor",
        "Check every layer between this machine and a sample.",
    ),
    "model": ("tinkex.cli.model", "List the models of the server."),
    "report": (
        "tinkex.cli.report",
        "Collect what a maintainer needs to help you, without secrets.",
    ),
    "session": ("tinkex.cli.session", "List sessions, close them, and export their traces."),
    "auth": ("tinkex.cli.auth", "Store the API key in a file, and show which key is in use."),
    "chat": ("tinkex.cli.chat", "Chat with a model."),
    "evaluate": ("tinkex.cli.evaluate", "Score models on the prompts of a file."),
    "sample": ("tinkex.cli.sample", "Sample a response to every prompt of a file."),
    "train": ("tinkex.cli.train", "Fine-tune a model on the examples of a file or a data set."),
    "serve": ("tinkex.cli.serve", "Run the local server until Ctrl-C."),
    "usage": (
        "tinkex.cli.usage",
        "Show token usage by type and model, and storage.",
    ),
    "version": ("tinkex.cli.version", "Show the version of tinkex."),
}


class LazyGroup(Group):
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


_EPILOG = """\b
Exit codes:
  0 success, 1 operation failed, 2 usage error, 3 no valid key, 130 Ctrl-C
"""


@click.group(cls=LazyGroup, invoke_without_command=True, epilog=_EPILOG)
@click.option(
    "-V",
    "--version",
    is_flag=True,
    help="Show the version of tinkex, like `tinkex version`.",
)
@pass_invocation
@click.pass_context
def tinkex(ctx: click.Context, invocation: Invocation, version: bool) -> None:
    """Fine-tune and sample language models through the Tinker API.

    Everything works with the hosted service (TINKER_API_KEY) and with --base-url local, offline and
    free of charge. Common options may come before or after the command's name.
    """
    if not wants_color():
        ctx.color = False
    if version:
        from tinkex.cli.version import show_version

        show_version(invocation)
        ctx.exit()
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
