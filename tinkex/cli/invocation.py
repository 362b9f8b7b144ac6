"""The context of a command: access to the server and to the terminal."""

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import click

from tinkex.cli.progress import ERASE, Step, drawn
from tinkex.cli.text import Styled, fitted, for_terminal, is_terminal, iso, to_json

if TYPE_CHECKING:
    from tinkex._core.queue_state import QueueStateChange
    from tinkex.config import Config
    from tinkex.rest import RestClient
    from tinkex.service import ServiceClient


class Invocation:
    """The common options of one invocation, with access to the server and the terminal.

    Attributes:
        settings: Settings of `Config` from the command line: base_url, api_key, timeout.
        as_json: Whether results are written as JSON.
        debug: Whether log lines and tracebacks are shown.
        no_progress: Whether nothing is drawn on stderr.
    """

    iso = staticmethod(iso)

    def __init__(self) -> None:
        self.settings: dict[str, Any] = {}
        self.as_json = False
        self.debug = False
        self.no_progress = False
        self._draws = False

    def remember(self, name: str, value: Any) -> None:
        """Store a common option from the command line."""
        if name in {"format", "json"}:
            self.as_json = value in ("json", True)
        elif name in {"debug", "no_progress"}:
            setattr(self, name, bool(value))
        elif name == "api_key":
            from tinkex._base.secret import Secret

            # As a plain string it would stand in the locals of every traceback.
            self.settings[name] = Secret(value.strip()) if value.strip() else None
        else:
            self.settings[name] = value

    def config(self) -> "Config":
        """Return all settings: the command line's, else the environment's, else the defaults."""
        from tinkex.config import Config

        return Config.resolve(**self.settings)

    @contextlib.contextmanager
    def service(self) -> "Iterator[ServiceClient]":
        """Open a `ServiceClient`, and close it when the block ends, however it ends."""
        config = self.config()
        if self.debug or config.log_level:
            from tinkex.observability.logging import enable_logging

            enable_logging("debug" if self.debug else config.log_level)
        from tinkex.service import ServiceClient

        with contextlib.ExitStack() as stack:
            if self.debug:
                from tinkex.observability.events import attach_logger, detach

                stack.callback(detach, attach_logger("debug"))
            yield stack.enter_context(
                ServiceClient(config=config, on_queue_state=self._tell_queue_state)
            )

    @contextlib.contextmanager
    def rest(self) -> "Iterator[RestClient]":
        """Open a `RestClient`; no session begins."""
        with self.service() as service:
            yield service.create_rest_client()

    def show(self, result: Any, lines: Callable[[], Iterable[str]]) -> Any:
        """Write a result to stdout, as JSON or as the lines that people read, and return it.

        Args:
            result: Dicts, lists, strings, numbers, None: what JSON has.
            lines: Makes the lines; called only if JSON is not wanted. Server strings in them need
                no care: on a terminal control characters are left out.
        """
        if self.as_json:
            click.echo(to_json(result))
        else:
            for line in lines():
                self.say(line)
        return result

    def say(self, line: str = "", end: str = "\n") -> None:
        """Write a line of data to stdout."""
        safe = isinstance(line, Styled) or not is_terminal(sys.stdout)
        click.echo(line if safe else for_terminal(line), nl=False)
        if end:
            click.echo(end, nl=False)

    def note(self, line: str) -> None:
        """Write a line about the progress to stderr; never data."""
        if self._draws:
            # In place of the progress line, which is redrawn below it.
            with contextlib.suppress(OSError, ValueError):
                sys.stderr.write(ERASE)
        text = for_terminal(line)
        click.echo(fitted(text) if is_terminal(sys.stderr) else text, err=True)

    @contextlib.contextmanager
    def progress(self, label: str, unit: str = "") -> Iterator[Step]:
        """Show progress during the block, if stderr is a terminal.

        Yields:
            A function to call with (done, total or None); ``unit="B"`` writes bytes as sizes. It
            takes a third argument: a remark that follows the numbers.
        """
        self._draws = not self.no_progress and is_terminal(sys.stderr)
        try:
            with drawn(label, unit, sys.stderr if self._draws else None) as step:
                yield step
        finally:
            self._draws = False

    def _tell_queue_state(self, change: "QueueStateChange") -> None:
        if is_terminal(sys.stderr) and not self.no_progress:
            reason = f": {change.reason}" if change.reason else ""
            self.note(f"the server's queue is {change.state}{reason}")


pass_invocation = click.make_pass_decorator(Invocation, ensure=True)
