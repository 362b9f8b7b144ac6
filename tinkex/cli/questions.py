"""Questions to the user before something that cannot be undone."""

import sys

import click

from tinkex.cli.failures import Failed

_ANSWERS = {"y": True, "yes": True, "n": False, "no": False, "": False}


def agrees(question: str, otherwise: str) -> bool:
    """Ask on stderr, so that stdout stays data, until the answer is yes or no; Enter is no.

    Args:
        question: What is to be done, with a question mark.
        otherwise: What to do where no terminal can answer, such as the option that does not ask.

    Raises:
        Failed: The input ended. No answer is no agreement, and a script must not take it for success.
    """
    while True:
        click.echo(f"{question} [y/N]: ", err=True, nl=False)
        # Not by input(), which click asks with: it drops a Ctrl-C that comes while it writes the question.
        line = sys.stdin.readline()
        if not line:
            click.echo(err=True)
            raise Failed(f"the input ended before the question was answered. {otherwise}")
        answer = _ANSWERS.get(line.strip().lower())
        if answer is not None:
            return answer
        click.echo("Please answer y or n.", err=True)
