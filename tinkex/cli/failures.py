"""Errors as the user sees them: one paragraph with what to do, and an exit code."""

import contextlib
import sys
from types import ModuleType
from typing import Any

import click

from tinkex.cli.text import fitted, for_terminal, is_terminal, styled

OK = 0
REMOTE = 1
USAGE = 2
CREDENTIALS = 3
INTERRUPTED = 130
BROKEN_PIPE = 141
TERMINATED = 143

EXIT_CODES = {
    OK: "success",
    REMOTE: "the operation failed: an error of the server, the network or a file",
    USAGE: "an option or argument is invalid; nothing was sent",
    CREDENTIALS: "there is no API key, or the server does not accept it",
    INTERRUPTED: "interrupted (Ctrl-C)",
    BROKEN_PIPE: "the reader of the output has exited (as in `tinkex run list | head -1`)",
    TERMINATED: "terminated (SIGTERM)",
}
"""Every exit code and its meaning; `tinkex doctor` has additional ones."""

# The advice of errors to programs, and its counterpart on the command line.
_HERE = (
    (" (or pass api_key=...)", " (or give --api-key)"),
    ("(or pass base_url='local')", "(or give --base-url local)"),
    ("pass allow_insecure=True (TINKEX_ALLOW_INSECURE=1)", "set TINKEX_ALLOW_INSECURE=1"),
    ("pass force=True", "give --force"),
    ("pass private=False", "give --public"),
    ("(from argument)", "(from the command line)"),
    ("list_checkpoints(run_id) lists those of one run", "--run-id lists those of one run"),
)
_DOCTOR = "`tinkex doctor` checks each layer between this machine and the server."


class Failed(click.ClickException):
    """An operation of which at least a part failed, after its result was shown.

    Attributes:
        result: What was done and what was not, as `Invocation.show` wrote it.
        code: The exit code.
    """

    def __init__(self, message: str, result: Any = None, code: int = REMOTE) -> None:
        super().__init__(message)
        self.result = result
        self.code = code


def exit_code_of(error: BaseException, *, debug: bool = False) -> int:
    """Write an error to stderr and return its exit code."""
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, BrokenPipeError):
        _silence_stdout()
        return BROKEN_PIPE
    _settle_stdout()
    if debug:
        _write_traceback(error)
    if isinstance(error, KeyboardInterrupt | click.Abort):
        return _interrupted(error)
    if isinstance(error, click.UsageError):
        return _usage(error)
    if isinstance(error, Failed):
        _write(error.format_message())
        return error.code
    if isinstance(error, click.ClickException):
        _write(error.format_message())
        return error.exit_code
    message, code = explained(error)
    if message is not None:
        _write(message)
        return code
    if not debug:
        _write_traceback(error)
    _write("this is a bug in tinkex; please report it with the lines above and `tinkex report`")
    return REMOTE


def explained(error: BaseException) -> tuple[str | None, int]:
    """Return a paragraph about an error with what to do, and its exit code; None for a bug."""
    # An error of tinkex can only be there when its module is: nothing is loaded for others.
    errors = sys.modules.get("tinkex.errors")
    if errors is not None and isinstance(error, errors.TinkexError):
        return _explained(error, errors)
    if isinstance(error, OSError):
        named = f"{error.filename}: " if error.filename else ""
        return f"{named}{error.strerror or error}", REMOTE
    if isinstance(error, RecursionError):
        return "an input is nested too deeply to be read", REMOTE
    if isinstance(error, UnicodeError):
        return f"an input is not valid UTF-8: {error}", REMOTE
    return None, REMOTE


def for_commands(message: str) -> str:
    """Return a message with the advice for the command line in place of that for programs."""
    for for_programs, here in _HERE:
        message = message.replace(for_programs, here)
    return message


def _explained(error: Any, errors: ModuleType) -> tuple[str, int]:
    message = for_commands(str(error))
    if isinstance(error, errors.MissingCredentialsError):
        return message, CREDENTIALS
    if isinstance(error, errors.AuthenticationError):
        return f"{message}. `tinkex config show` shows the source of the key.", CREDENTIALS
    if isinstance(error, errors.ConfigurationError):
        return f"{message}. `tinkex config show` lists every setting with its source.", USAGE
    if isinstance(error, errors.ValidationError):
        return message, USAGE
    if isinstance(error, errors.MissingDependencyError):
        return message, REMOTE
    if isinstance(error, errors.TransportError):
        return f"{message}. {_DOCTOR}", REMOTE
    if error.retryable and error.category == "server":
        return f"{message}. The fault is on the server: try again later.", REMOTE
    return message, REMOTE


def _interrupted(error: BaseException) -> int:
    # click raises the same class for Ctrl-C and for the end of the input.
    cause = error.__cause__ or error.__context__
    if isinstance(cause, EOFError):
        _write("the input ended before the prompt was answered")
        return REMOTE
    _write("interrupted", head="")
    return INTERRUPTED


def _usage(error: click.UsageError) -> int:
    message = error.format_message()
    if error.ctx is not None:
        message += f"\n\n{error.ctx.get_usage()}\nTry `{error.ctx.command_path} --help`."
    _write(message)
    return USAGE


def _write(message: str, head: str = "error: ") -> None:
    # stderr may be closed or on a full disk; the exit code still reports the failure.
    with contextlib.suppress(OSError, ValueError):
        text = for_terminal(message)
        if is_terminal(sys.stderr):
            text = fitted(text, head)
            head = styled(head, fg="red", bold=True) if head else head
        click.echo(head + text, err=True, color=True)


def _write_traceback(error: BaseException) -> None:
    import traceback

    with contextlib.suppress(OSError, ValueError):
        text = "".join(traceback.format_exception(error))
        click.echo(for_terminal(text), err=True, nl=False)


def _settle_stdout() -> None:
    """Flush stdout; discard the output if that fails, as on a full disk."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        _silence_stdout()


def _silence_stdout() -> None:
    """Prevent the interpreter's final flush from failing."""
    import os

    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
