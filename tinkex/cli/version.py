"""`tinkex version`."""

import platform

import click

from tinkex._version import __version__


@click.command("version")
def command() -> None:
    """Show the versions of tinkex and Python."""
    click.echo(f"tinkex {__version__}")
    click.echo(f"{platform.python_implementation()} {platform.python_version()}")
