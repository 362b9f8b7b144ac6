"""Sample through the command line, from inside of a program.

    python examples/cli_run_text.py

Settings: TINKER_API_KEY, TINKER_BASE_URL, TINKER_BASE_MODEL, TINKER_PROMPT ("Hello from the CLI runner"),
TINKER_MAX_TOKENS (64), TINKER_TEMPERATURE (0.7), TINKER_NUM_SAMPLES (1).
"""

from __future__ import annotations

import os
import shlex
import sys

from connection import setting

from tinkex import TinkexError, cli

try:
    import click
except ModuleNotFoundError:
    sys.exit(f"error: {cli.INSTALL_HINT}")


def connection_arguments() -> list[str]:
    """Return the options that say which server and which model; the local one without a key."""
    key, url = os.environ.get("TINKER_API_KEY"), os.environ.get("TINKER_BASE_URL")
    if not key and not url:
        print("TINKER_API_KEY is not set: using the embedded local server.")
        url = "local"
    ours = url is not None and (url == "local" or "127.0.0.1" in url)
    model = setting(
        "TINKER_BASE_MODEL", "tinkex/tiny-chat" if ours else "meta-llama/Llama-3.1-8B", str
    )
    arguments = ["--base-model", model]
    arguments += ["--base-url", url] if url else []
    # Here it stays in this process. In a shell leave it in the environment.
    return [*arguments, "--api-key", key] if key else arguments


def masked(arguments: list[str]) -> str:
    """Return a command line as it is typed, without the key."""
    shown = list(arguments)
    if "--api-key" in shown:
        shown[shown.index("--api-key") + 1] = "[REDACTED]"
    return shlex.join(["tinkex", *shown])


def main() -> None:
    """Run `tinkex run`, and show what it returns to programs."""
    arguments = [
        "run",
        *connection_arguments(),
        "--prompt",
        setting("TINKER_PROMPT", "Hello from the CLI runner", str),
        "--max-tokens",
        str(setting("TINKER_MAX_TOKENS", 64, int)),
        "--temperature",
        str(setting("TINKER_TEMPERATURE", 0.7, float)),
        "--num-samples",
        str(setting("TINKER_NUM_SAMPLES", 1, int)),
    ]
    print(f"Running: {masked(arguments)}")
    response = cli.run(arguments)
    for number, sequence in enumerate(response["sequences"], 1):
        print(
            f"Returned {number}: {len(sequence['tokens'])} tokens, ended by {sequence['stop_reason']}"
        )


if __name__ == "__main__":
    try:
        main()
    except (TinkexError, click.ClickException) as error:
        sys.exit(f"error: {error}")
