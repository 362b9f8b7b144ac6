"""`tinkex auth`: keep the API key where your shell's history does not."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tinkex.cli.failures import Failed
from tinkex.cli.invocation import Invocation, pass_invocation
from tinkex.cli.options import Group, OfflineCommand
from tinkex.cli.tables import facts
from tinkex.cli.text import is_terminal

if TYPE_CHECKING:
    from tinkex._base.secret import Secret
    from tinkex.config import Config
    from tinkex.credentials import CredentialsFile
    from tinkex.rest import RestClient

_VARIABLE = "TINKEX_CREDENTIALS_FILE"


@click.group("auth", cls=Group)
def command() -> None:
    """Store the API key in a file, and show which key is in use."""


@command.command("login")
@click.option("--name", default="default", show_default=True, help="Name of the key in the file.")
@click.option("--check/--no-check", default=True, help="Check that the server accepts the key.")
@pass_invocation
def login(invocation: Invocation, name: str, check: bool) -> Any:
    """Store an API key in the credentials file, which only you can read.

    The key is asked for without being shown; where the input is no terminal, it is read from there.
    """
    key = invocation.settings.get("api_key") or _asked_for()
    invocation.settings["api_key"] = key
    config = invocation.config()
    owner = None
    if check and not config.is_local:
        from tinkex.errors import NotFoundError

        with invocation.rest() as rest, invocation.progress("Asking the server"):
            try:
                owner = key_name(rest)
            except NotFoundError:
                invocation.note("the server has no route to try a key on; it is kept untried")
    file = _credentials_file()
    file.save(name, key)
    if os.environ.get("TINKER_API_KEY"):
        invocation.note("TINKER_API_KEY is set, and stands before the file: unset it")
    result = {
        "command": "auth",
        "action": "login",
        "name": name,
        "key": key.masked(),
        "key_name": owner,
        "file": str(file.path),
    }
    return invocation.show(result, lambda: [f"{key.masked()} is kept in {file.path}"])


@command.command("logout", cls=OfflineCommand)
@click.option("--name", default="default", show_default=True, help="Name of the key in the file.")
@pass_invocation
def logout(invocation: Invocation, name: str) -> Any:
    """Delete an API key that `auth login` stored; the server still accepts it."""
    file = _credentials_file()
    try:
        file.delete(name)
    except KeyError:
        kept = ", ".join(file.names()) or "none"
        raise Failed(f"no key {name!r} is kept in {file.path}; there are: {kept}") from None
    if not file.names():
        # An empty file would be taken for a place that ought to have a key.
        file.path.unlink()
    result = {"command": "auth", "action": "logout", "name": name, "file": str(file.path)}
    return invocation.show(result, lambda: [f"Forgot {name!r} in {file.path}"])


@command.command("status")
@pass_invocation
def status(invocation: Invocation) -> Any:
    """Show which key is in use and its source, without contacting the server.

    Exit code 3 says that there is none, and that the server needs one.
    """
    config = invocation.config()
    key, source = _in_use(config)
    file = _credentials_file()
    kept = file.names()
    result = {
        "base_url": config.base_url,
        "key": key,
        "source": source,
        "file": str(file.path),
        "kept": kept,
    }

    def lines() -> Iterator[str]:
        yield from facts(
            [
                ("Server", config.base_url),
                ("Key", key or "none, and a server on this machine needs none"),
                ("Source", source or "-"),
                ("Kept in the file", ", ".join(kept) or "none"),
            ]
        )

    return invocation.show(result, lines)


@command.command("whoami")
@pass_invocation
def whoami(invocation: Invocation) -> Any:
    """Show the name and owner of the key in use, as reported by the server."""
    with invocation.rest() as rest:
        found = rest.whoami()
    details = found.details
    result = {
        "key_id": found.key_id,
        "name": found.name,
        "note": found.note,
        "organization": details.org_details.name,
        "user": details.user_details.email,
    }
    labels = ("Key ID", "Name", "Note", "Organization", "User")
    return invocation.show(result, lambda: facts(list(zip(labels, result.values(), strict=True))))


def key_name(rest: "RestClient") -> str | None:
    """Return the name of the key in use; None if the server accepts it without naming it.

    Raises:
        AuthenticationError: The server does not take the key.
        NotFoundError: The server has no route to try it on.
    """
    from tinkex.errors import NotFoundError

    try:
        return rest.whoami().name
    except NotFoundError:
        rest.list_sessions(1)
        return None


def _asked_for() -> "Secret":
    from tinkex._base.secret import Secret

    if is_terminal(sys.stdin):
        return Secret(click.prompt("API key", hide_input=True, err=True).strip())
    key = Secret(sys.stdin.readline().strip())
    if not key:
        raise click.UsageError("no key came on the input: run it in a terminal, or pipe one line")
    return key


def _credentials_file() -> "CredentialsFile":
    from tinkex.config import CREDENTIALS_FILE
    from tinkex.credentials import CredentialsFile

    return CredentialsFile(os.environ.get(_VARIABLE) or Path.home() / CREDENTIALS_FILE)


def _in_use(config: "Config") -> tuple[str | None, str | None]:
    """Return the masked key and its source; a command is named but not run."""
    if config.api_key is not None:
        source = config.sources["api_key"].replace("argument", "command line")
        return config.api_key.masked(), source
    if config.credential_cmd is not None:
        return "what a command prints", config.sources["credential_cmd"]
    if config.credentials_file is not None:
        from tinkex.credentials import CredentialsFile

        file = CredentialsFile(config.credentials_file)
        return file.read().masked(), str(file.path)
    return None, None
