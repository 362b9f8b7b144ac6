"""The options that every command takes, and the commands that have them."""

from collections.abc import Callable, Sequence
from typing import Any

import click

from tinkex.cli.invocation import Invocation

HELP_NAMES = {"help_option_names": ["-h", "--help"]}
_HEADING = "Common options"


class CommonOption(click.Option):
    """An option whose value goes to the invocation, not to the command's function."""

    def __init__(self, *names: str, **settings: Any) -> None:
        super().__init__(names, expose_value=False, callback=_remember, **settings)


def _remember(ctx: click.Context, option: click.Parameter, value: Any) -> None:
    """Keep a value that was given; the one that stands last on the line wins."""
    invocation = ctx.ensure_object(Invocation)
    given = ctx.get_parameter_source(option.name or "")
    if given is click.core.ParameterSource.COMMANDLINE and option.name is not None:
        invocation.remember(option.name, value)


def connection_options() -> list[click.Parameter]:
    """Return the options that say which server is meant."""
    return [
        CommonOption(
            "--base-url",
            metavar="URL",
            help="Server to talk to, or 'local' for the embedded one.  [env: TINKER_BASE_URL]",
        ),
        CommonOption(
            "--api-key",
            metavar="KEY",
            help="Credential. Better in the environment, where your shell keeps no history of it."
            "  [env: TINKER_API_KEY]",
        ),
        CommonOption(
            "--timeout",
            type=click.FloatRange(min=0, min_open=True),
            metavar="SECONDS",
            help="Seconds that one HTTP attempt may take.  [env: TINKEX_TIMEOUT]",
        ),
    ]


def output_options() -> list[click.Parameter]:
    """Return the options that say how a result is written."""
    return [
        CommonOption(
            "-f",
            "--format",
            type=click.Choice(["table", "json"]),
            help="How the result is written.  [default: table]",
        ),
        CommonOption("--json", is_flag=True, help="Short for --format json."),
    ]


def conduct_options() -> list[click.Parameter]:
    """Return the options about what is said besides the result."""
    return [
        CommonOption("--no-progress", is_flag=True, help="Draw no progress on stderr."),
        CommonOption("--debug", is_flag=True, help="Log what is done; show tracebacks of errors."),
    ]


class SectionOption(click.Option):
    """An option that is listed under a heading of its own."""

    def __init__(self, *names: Any, section: str, **settings: Any) -> None:
        super().__init__(*names, **settings)
        self.section = section


class _WithCommonOptions(click.Command):
    """Lists the common options under a heading of their own."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the command's own options first, under the headings that they name."""
        sections: dict[str, list[tuple[str, str]]] = {"Options": []}
        common: list[tuple[str, str]] = []
        for parameter in self.get_params(ctx):
            if isinstance(parameter, click.Argument):
                continue
            record = parameter.get_help_record(ctx)
            if record is not None:
                shared = isinstance(parameter, CommonOption) or "--help" in parameter.opts
                own = sections.setdefault(getattr(parameter, "section", "Options"), [])
                (common if shared else own).append(record)
        for heading, records in (*sections.items(), (_HEADING, common)):
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)


class Command(_WithCommonOptions):
    """A command that talks to a server and writes a result."""

    common: Sequence[Callable[[], list[click.Parameter]]] = (
        connection_options,
        output_options,
        conduct_options,
    )

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.params.extend(option for make in self.common for option in make())
        self.context_settings = {**HELP_NAMES, **self.context_settings}


class OfflineCommand(Command):
    """A command that writes a result and needs no server."""

    common = (output_options, conduct_options)


class Group(Command, click.Group):
    """A command with commands below it, all of which have the common options."""

    command_class = Command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is meant, or say which one was perhaps meant."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from difflib import get_close_matches

            near = get_close_matches(args[0], self.list_commands(ctx), 3)
            if not near or "Did you mean" in error.message:
                raise
            said = f"{error.message} Did you mean {' or '.join(near)}?"
            raise click.UsageError(said, ctx) from None

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, then the commands."""
        super().format_options(ctx, formatter)
        self.format_commands(ctx, formatter)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the first line of each command's help, whole; click would cut it short."""
        rows = []
        for name in self.list_commands(ctx):
            command = self.get_command(ctx, name)
            if command is not None and not command.hidden:
                rows.append((name, " ".join((command.help or "").split("\n\n")[0].split())))
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)
