'''The `tinkex` command.

How it is put together:

- `group` is the top: it knows every command by name and imports its module when it is called, so
  that `tinkex --help` loads click and nothing else.
- `options` holds the options that every command takes, and the `Command` and `Group` classes that
  add them.
- `invocation` is what a command gets: the way to the server, and the way to the user.
- `text` makes strings fit to be seen; `tables` lays out rows; `progress` draws on stderr;
  `questions` asks before something that cannot be undone; `failures` turns an error into a
  paragraph and an exit code.

To add a command, write a module of its own::

    """`tinkex fortune`: what it is for."""

    import click

    from tinkex.cli.invocation import Invocation, pass_invocation
    from tinkex.cli.options import Command


    @click.command("fortune", cls=Command)
    @click.option("--model", help="Model to ask.")
    @pass_invocation
    def command(invocation: Invocation, model: str | None) -> object:
        """Tell your fortune.

        The first line stands in the overview too.
        """
        with invocation.service() as service, invocation.progress("Asking") as step:
            ...  # import what is heavy in here, not at the top of the module
            step(1, 3)
        result = {"fortune": "...", "at": invocation.iso(moment)}
        return invocation.show(result, lambda: ["a line", "another"])

and name it in `group.COMMANDS` with that first line. A command with commands below it uses
``cls=Group``, whose ``@command.command("name")`` makes each of them a `Command`. Raise
`click.UsageError` for arguments that cannot be right (exit code 2), `failures.Failed` for work that
did not succeed (1); let every `TinkexError` pass, it is explained by `failures`. Return what
`Invocation.show` returns: it is what `run` gives to programs. Add the command to tests/cli, and let
`make generate` write docs/cli.md.
'''

import sys
from collections.abc import Sequence
from io import TextIOWrapper
from typing import Any

INSTALL_HINT = "the tinkex command needs click: pip install 'tinkex[cli]'"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and end the program with its exit code; the `tinkex` script.

    Args:
        arguments: What stands after the program's name; those of the process if not given.
    """
    try:
        _main(arguments)
    except KeyboardInterrupt:
        # While modules load, or a second time while the first is being told of.
        raise SystemExit(130) from None


def _main(arguments: Sequence[str] | None) -> None:
    try:
        import click  # noqa: F401 - only to say what is missing
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        sys.stderr.write(f"tinkex: {INSTALL_HINT}\n")
        raise SystemExit(1) from None
    from tinkex.cli.failures import exit_code_of
    from tinkex.cli.invocation import Invocation

    if isinstance(sys.stdout, TextIOWrapper):
        # What a terminal of another encoding cannot show is written as an escape.
        sys.stdout.reconfigure(errors="backslashreplace")
    invocation = Invocation()
    try:
        _invoke(arguments, invocation)
        sys.stdout.flush()
    except BaseException as error:  # noqa: BLE001 - every way to fail has its exit code
        raise SystemExit(exit_code_of(error, debug=invocation.debug)) from None


def run(arguments: Sequence[str]) -> Any:
    """Run one command inside of this program and return its result, as its JSON has it.

    >>> run(["checkpoint", "delete", "tinker://run-1:train:0/weights/a", "--yes"])["deleted"]
    1

    Raises:
        TinkexError: The work failed, or an argument cannot be right.
        click.ClickException: An option is wrong (`click.UsageError`), or part of the work failed
            (`tinkex.cli.failures.Failed`, whose `result` says which).
    """
    from tinkex.cli.invocation import Invocation

    return _invoke(arguments, Invocation())


def _invoke(arguments: Sequence[str] | None, invocation: Any) -> Any:
    from tinkex.cli.group import tinkex

    args = None if arguments is None else list(arguments)
    return tinkex.main(args, prog_name="tinkex", standalone_mode=False, obj=invocation)
