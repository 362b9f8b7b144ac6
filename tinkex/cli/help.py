"""`tinkex help`."""

import click

from tinkex.cli.invocation import Invocation, pass_invocation


@click.command("help")
@click.argument("names", nargs=-1, metavar="[COMMAND]...")
@pass_invocation
@click.pass_context
def command(ctx: click.Context, invocation: Invocation, names: tuple[str, ...]) -> None:
    """Show the help of a command, like --help after it."""
    root = ctx.find_root()
    here, found = root, root.command
    for name in names:
        if not isinstance(found, click.Group):
            raise click.UsageError(f"{here.command_path!r} has no commands", here)
        _, below, _ = found.resolve_command(here, [name])
        assert below is not None  # noqa: S101 - resolve_command raises otherwise
        here, found = click.Context(below, parent=here, info_name=name), below
    invocation.say(found.get_help(here))
