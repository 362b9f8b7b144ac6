'''The `tinkex` command.

How it is put together:

- `group` is the root: it imports the module of a command when it is called, so that
  `tinkex --help` loads only click.
- `options` holds the options that every command takes, and the `Command` and `Group` classes that
  add them.
- `invocation` gives a command access to the server and to the terminal.
- `text` makes strings safe to show; `tables` lays out rows; `progress` draws on stderr;
  `questions` asks before something that cannot be undone; `failures` turns an error into a
  paragraph and an exit code.

To add a command, write a module::

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

and add it to `group.COMMANDS` with that first line. A command with subcommands uses
``cls=Group``, whose ``@command.command("name")`` makes each of them a `Command`. Raise
`click.UsageError` for invalid arguments (exit code 2) and `failures.Failed` for an operation that
failed (1); let every `TinkexError` pass, `failures` explains it. Return what
`Invocation.show` returns: it is what `run` gives to programs. Add the command to tests/cli, and let
`make generate` write docs/cli.md.
'''

from __future__ import annotations

import sys
from io import TextIOWrapper

TYPE_CHECKING = False
if TYPE_CHECKING:
    # Imported at once, these would delay the moment from which Ctrl-C is handled.
    from collections.abc import Sequence
    from typing import Any

INSTALL_HINT = "the tinkex command needs click: pip install 'tinkex[cli]'"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and end the program with its exit code; the `tinkex` script.

    Args:
        arguments: The command-line arguments; by default those of the process.
    """
    try:
        _main(arguments)
    except KeyboardInterrupt:
        # While modules load, or a second time while the first one is reported.
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
    _open_closed_streams()
    invocation = Invocation()
    try:
        _invoke(arguments, invocation)
        sys.stdout.flush()
    except BaseException as error:  # noqa: BLE001 - every way to fail has its exit code
        raise SystemExit(exit_code_of(error, debug=invocation.debug)) from None


def _open_closed_streams() -> None:
    """Replace streams that the shell has closed (`<&-`): reading ends at once, writing is lost."""
    import os

    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123 - until the end


def run(arguments: Sequence[str]) -> Any:
    """Run one command in this process and return its result, as in its JSON.

    >>> run(["checkpoint", "delete", "tinker://run-1:train:0/weights/a", "--yes"])["deleted"]
    1

    Raises:
        TinkexError: The operation failed, or an argument is invalid.
        click.ClickException: An option is invalid (`click.UsageError`), or part of the work failed
            (`tinkex.cli.failures.Failed`, whose `result` says which).
    """
    from tinkex.cli.invocation import Invocation

    return _invoke(arguments, Invocation())


def _invoke(arguments: Sequence[str] | None, invocation: Any) -> Any:
    from tinkex.cli.group import tinkex

    args = None if arguments is None else list(arguments)
    return tinkex.main(args, prog_name="tinkex", standalone_mode=False, obj=invocation)
