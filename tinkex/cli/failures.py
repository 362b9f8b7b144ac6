"""What an error looks like to the user: one paragraph with what to do, and an exit code."""

import contextlib
import sys
from types import ModuleType
from typing import Any

import click

from tinkex.cli.text import for_terminal, is_terminal, wants_color

OK = 0
REMOTE = 1
USAGE = 2
CREDENTIALS = 3
INTERRUPTED = 130
BROKEN_PIPE = 141
TERMINATED = 143

EXIT_CODES = {
    OK: "success",
    REMOTE: "the work failed: the server, the network or a file refused",
    USAGE: "an option or argument cannot be right; nothing was sent",
    CREDENTIALS: "there is no API key, or the server does not accept it",
    INTERRUPTED: "interrupted (Ctrl-C)",
    BROKEN_PIPE: "whoever read the output has gone (as in `tinkex run list | head -1`)",
    TERMINATED: "terminated (SIGTERM)",
}
"""Every exit code and what it says; `tinkex doctor` has more of its own."""

# What errors advise to programs, and how the same is done here.
_HERE = (
    (" (or pass api_key=...)", " (or give --api-key)"),
    ("(or pass base_url='local')", "(or give --base-url local)"),
    ("pass allow_insecure=True (TINKEX_ALLOW_INSECURE=1)", "set TINKEX_ALLOW_INSECURE=1"),
    ("pass force=True", "give --force"),
    ("pass private=False", "give --public"),
    ("(from argument)", "(from the command line)"),
    ("list_checkpoints(run_id) lists those of one run", "--run-id lists those of one run"),
)
_DOCTOR = "`tinkex doctor` looks at each layer between here and the server."


class Failed(click.ClickException):
    """Report work that failed, or part of it, after its result was shown.

    Attributes:
        result: What was done and what was not, as `Invocation.show` wrote it.
        code: The exit code.
    """

    def __init__(self, message: str, result: Any = None, code: int = REMOTE) -> None:
        super().__init__(message)
        self.result = result
        self.code = code


def exit_code_of(error: BaseException, *, debug: bool = False) -> int:
    """Write what went wrong to stderr, and return the exit code that says the same."""
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
        _say(error.format_message())
        return error.code
    if isinstance(error, click.ClickException):
        _say(error.format_message())
        return error.exit_code
    message, code = explained(error)
    if message is not None:
        _say(message)
        return code
    if not debug:
        _write_traceback(error)
    _say("this is a bug in tinkex; please report it with the lines above and `tinkex report`")
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
    return None, REMOTE


def _explained(error: Any, errors: ModuleType) -> tuple[str, int]:
    said = str(error)
    for to_programs, here in _HERE:
        said = said.replace(to_programs, here)
    if isinstance(error, errors.MissingCredentialsError):
        return said, CREDENTIALS
    if isinstance(error, errors.AuthenticationError):
        return f"{said}. `tinkex config show` tells where the key came from.", CREDENTIALS
    if isinstance(error, errors.ConfigurationError):
        return f"{said}. `tinkex config show` lists every setting and where it came from.", USAGE
    if isinstance(error, errors.ValidationError):
        return said, USAGE
    if isinstance(error, errors.MissingDependencyError):
        return said, REMOTE
    if isinstance(error, errors.TransportError):
        return f"{said}. {_DOCTOR}", REMOTE
    if error.retryable and error.category == "server":
        return f"{said}. The trouble is on the server's side: try again later.", REMOTE
    return said, REMOTE


def _interrupted(error: BaseException) -> int:
    # click wraps Ctrl-C and an end of input in the same class.
    cause = error.__cause__ or error.__context__
    if isinstance(cause, EOFError):
        _say("the input ended before the question was answered")
        return REMOTE
    _say("interrupted", head="")
    return INTERRUPTED


def _usage(error: click.UsageError) -> int:
    message = error.format_message()
    if error.ctx is not None:
        message += f"\n\n{error.ctx.get_usage()}\nTry `{error.ctx.command_path} --help`."
    _say(message)
    return USAGE


def _say(message: str, head: str = "error: ") -> None:
    # stderr may be closed, or a disk that is full: the exit code still says it.
    with contextlib.suppress(OSError, ValueError):
        said = for_terminal(message)
        if is_terminal(sys.stderr):
            said = fitted(said, head)
            head = click.style(head, fg="red", bold=True) if wants_color() and head else head
        click.echo(head + said, err=True, color=True)


def fitted(text: str, head: str = "") -> str:
    """Break a text between words where a line of the terminal ends; a path or URL stays whole.

    Args:
        text: Some lines.
        head: What stands before the first of them.
    """
    import shutil
    import textwrap

    width = shutil.get_terminal_size().columns
    paragraphs = (head + text).split("\n")
    wrapped = [
        textwrap.fill(one, width, break_long_words=False, break_on_hyphens=False)
        for one in paragraphs
    ]
    return "\n".join(wrapped)[len(head) :]


def _write_traceback(error: BaseException) -> None:
    import traceback

    with contextlib.suppress(OSError, ValueError):
        text = "".join(traceback.format_exception(error))
        click.echo(for_terminal(text), err=True, nl=False)


def _settle_stdout() -> None:
    """Write what is left of the output; where that cannot be (a full disk), let it go."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        _silence_stdout()


def _silence_stdout() -> None:
    """Keep the interpreter's own last flush from failing, too."""
    import os

    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
