"""Lists of the server, as many entries as were asked for, over as many pages as that takes."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from tinkex.cli.invocation import Invocation

T = TypeVar("T")
Decorated = TypeVar("Decorated", bound=Callable[..., Any])
Page = tuple[list[T], int | None]


def list_options(command: Decorated) -> Decorated:
    """Add ``--limit`` and ``--offset``."""
    limit = click.option(
        "--limit",
        type=click.IntRange(min=0),
        default=20,
        show_default=True,
        metavar="N",
        help="Maximum number of entries; 0 for all.",
    )
    offset = click.option(
        "--offset",
        type=click.IntRange(min=0),
        default=0,
        show_default=True,
        metavar="N",
        help="Number of entries to skip.",
    )
    return limit(offset(command))


def scope_option(command: Decorated) -> Decorated:
    """Add ``--access-scope``."""
    return click.option(
        "--access-scope",
        type=click.Choice(["owned", "accessible"]),
        default="owned",
        show_default=True,
        help="Your own objects, or all that you can access.",
    )(command)


def collect(
    invocation: Invocation,
    label: str,
    fetch: Callable[[int, int], Page[T]],
    limit: int,
    offset: int,
    page_size: int,
) -> Page[T]:
    """Return entries from an offset on, and the total number if the server reports it.

    Args:
        invocation: Draws how far it is.
        label: What is fetched.
        fetch: Returns the page of a limit and an offset, and the total if there is one.
        limit: Most entries; 0 for all.
        offset: Entries to leave out first.
        page_size: Most entries that the server puts on one page.
    """
    found: list[T] = []
    total: int | None = None
    with invocation.progress(f"Fetching {label}") as step:
        while limit == 0 or len(found) < limit:
            wanted = page_size if limit == 0 else min(page_size, limit - len(found))
            if total is not None:
                wanted = min(wanted, total - offset - len(found))
            if wanted <= 0:
                break
            batch, reported = fetch(wanted, offset + len(found))
            total = reported if reported is not None else total
            found += batch
            step(len(found), None if total is None else max(total - offset, 0))
            # A page that is not full is the last one, whatever the total says.
            if len(batch) < wanted:
                break
    return found, total


def heading(title: str, shown: int, total: int | None) -> str:
    """Return a list's first line: its title, how many are shown and of how many.

    >>> heading("Training runs", 2, 7)
    'Training runs (2/7)'
    """
    return f"{title} ({shown}/{total})" if total is not None else f"{title} ({shown})"
