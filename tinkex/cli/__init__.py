"""The `tinkex` command."""

import sys

INSTALL_HINT = "the tinkex command needs click: pip install 'tinkex[cli]'"


def main() -> None:
    """Run the command line; the entry point of the `tinkex` script."""
    try:
        import click  # noqa: F401 - only to say what is missing
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        sys.stderr.write(f"tinkex: {INSTALL_HINT}\n")
        raise SystemExit(1) from None
    from tinkex.cli.group import tinkex

    tinkex(prog_name="tinkex")
