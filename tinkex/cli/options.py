"""The options that every command takes, and the commands that have them."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import click

from tinkex.cli.invocation import Invocation

HELP_NAMES = {"help_option_names": ["-h", "--help"]}
_HEADING = "Common options"
# Stands for a hyphen while lines are wrapped.
_HYPHEN = "\x1f"


class CommonOption(click.Option):
    """An option whose value goes to the invocation, not to the command's function."""

    def __init__(self, *names: str, **settings: Any) -> None:
        super().__init__(names, expose_value=False, callback=_remember, **settings)


def _remember(ctx: click.Context, option: click.Parameter, value: Any) -> None:
    """Store a value from the command line; the last one takes precedence."""
    _check_text(ctx, option, value)
    invocation = ctx.ensure_object(Invocation)
    given = ctx.get_parameter_source(option.name or "")
    if given is click.core.ParameterSource.COMMANDLINE and option.name is not None:
        invocation.remember(option.name, value)


def connection_options() -> list[click.Parameter]:
    """Return the options that select the server."""
    return [
        CommonOption(
            "--base-url",
            metavar="URL",
            help="URL of the server, or 'local' for the embedded one.  [env: TINKER_BASE_URL]",
        ),
        CommonOption(
            "--api-key",
            metavar="KEY",
            help="API key. Prefer the variable, which your shell does not store in its history."
            "  [env: TINKER_API_KEY]",
        ),
        CommonOption(
            "--timeout",
            type=click.FloatRange(min=0, min_open=True),
            metavar="SECONDS",
            help="Time limit per HTTP attempt, in seconds.  [env: TINKEX_TIMEOUT]",
        ),
    ]


def output_options() -> list[click.Parameter]:
    """Return the options for the format of the result."""
    return [
        CommonOption(
            "-f",
            "--format",
            type=click.Choice(["table", "json"]),
            help="Format of the result.  [default: table]",
        ),
        CommonOption("--json", is_flag=True, help="Short for --format json."),
    ]


def conduct_options() -> list[click.Parameter]:
    """Return the options for output besides the result."""
    return [
        CommonOption("--no-progress", is_flag=True, help="Show no progress on stderr."),
        CommonOption("--debug", is_flag=True, help="Show log lines, and tracebacks of errors."),
    ]


class Formatter(click.HelpFormatter):
    """A formatter of help that breaks no word at its hyphens, as click does."""

    def write_dl(
        self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2
    ) -> None:
        """Write a list of terms and definitions."""
        whole = [(term, text.replace("-", _HYPHEN)) for term, text in rows]
        super().write_dl(whole, col_max, col_spacing)

    def write_text(self, text: str) -> None:
        """Write a paragraph."""
        # click's method, which has no encoding as that of a path has.
        write = super().write_text
        write(text.replace("-", _HYPHEN))

    def getvalue(self) -> str:
        """Return the text."""
        return super().getvalue().replace(_HYPHEN, "-")


class _Context(click.Context):
    formatter_class = Formatter


class SectionOption(click.Option):
    """An option that is listed under a heading of its own."""

    def __init__(self, *names: Any, section: str, **settings: Any) -> None:
        super().__init__(*names, **settings)
        self.section = section


def _check_text(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:
    """Refuse bytes that are not UTF-8, which Python passes on as surrogates."""
    for text in value if isinstance(value, tuple) else (value,):
        if isinstance(text, str) and not isinstance(parameter.type, click.Path):
            try:
                text.encode()
            except UnicodeEncodeError:
                raise click.BadParameter("is not valid UTF-8", ctx, parameter) from None


def _suggestions(name: str, options: Sequence[str]) -> list[str]:
    """Return the options closest to one that does not exist.

    >>> _suggestions("--lr", ["--help", "--rank", "--learning-rate"])
    ['--learning-rate']
    """
    from difflib import get_close_matches

    letters = name.lstrip("-").replace("_", "-")
    abbreviated = [
        option
        for option in options
        if letters == "".join(word[0] for word in option.lstrip("-").split("-"))
        or option.lstrip("-").startswith(letters)
        or letters in option.lstrip("-").split("-")
    ]
    return abbreviated or get_close_matches(f"--{letters}", options, 3, 0.7)


class _WithCommonOptions(click.Command):
    """A command that explains its options and lists the common ones separately."""

    context_class = _Context

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse, suggest options for those that do not exist, and check that texts are UTF-8."""
        try:
            rest = super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            known = [name for one in self.get_params(ctx) for name in one.opts]
            near = _suggestions(error.option_name, known)
            if not near:
                raise
            hint = f"{error.message} Did you mean {' or '.join(near)}?"
            raise click.UsageError(hint, ctx) from None
        for parameter in self.get_params(ctx):
            _check_text(ctx, parameter, ctx.params.get(parameter.name or ""))
        return rest

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an error about a field names the option that sets it."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            path, message = getattr(error, "path", None), getattr(error, "message", None)
            if isinstance(path, str) and str(message).startswith(f"{path}: "):
                for parameter in self.get_params(ctx):
                    if parameter.name == path and isinstance(parameter, click.Option):
                        error.message = parameter.opts[-1] + str(message)[len(path) :]  # type: ignore[attr-defined]
            raise

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
        """Find a command; if there is none, suggest similar ones."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from difflib import get_close_matches

            near = get_close_matches(args[0], self.list_commands(ctx), 3)
            if not near or "Did you mean" in error.message:
                raise
            message = f"{error.message} Did you mean {' or '.join(near)}?"
            raise click.UsageError(message, ctx) from None

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
