"""`tinkex completion`: let the shell complete commands and options."""

from typing import Any

import click

from tinkex.cli.options import HELP_NAMES

_EPILOG = """\b
bash  eval "$(tinkex completion bash)"        in ~/.bashrc
zsh   eval "$(tinkex completion zsh)"         in ~/.zshrc
fish  tinkex completion fish > ~/.config/fish/completions/tinkex.fish
"""


@click.command("completion", epilog=_EPILOG, context_settings=HELP_NAMES)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> Any:
    """Print a script that lets your shell complete tinkex."""
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"this version of click knows no completion for {shell}")
    script = kind(ctx.find_root().command, {}, "tinkex", "_TINKEX_COMPLETE").source()
    click.echo(script)
    return script
