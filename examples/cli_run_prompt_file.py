"""Sample from a prompt in a file through the command line, and read the JSON that it writes.

    python examples/cli_run_prompt_file.py

Settings: TINKER_API_KEY, TINKER_BASE_URL, TINKER_BASE_MODEL, TINKER_PROMPT_TOKENS (token ids as JSON, such
as [1, 2, 3]), else TINKER_PROMPT ("Hello from a prompt file"), TINKER_MAX_TOKENS (32).
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from cli_run_text import connection_arguments
from connection import setting

from tinkex import TinkexError, cli

try:
    import click
except ModuleNotFoundError:
    sys.exit(f"error: {cli.INSTALL_HINT}")


def main() -> None:
    """Write the prompt, run `tinkex run --prompt-file --output`, and print what came out."""
    tokens = os.environ.get("TINKER_PROMPT_TOKENS")
    prompt = tokens or setting("TINKER_PROMPT", "Hello from a prompt file", str)
    with tempfile.TemporaryDirectory(prefix="tinkex-example-") as folder:
        file, output = Path(folder, "prompt.txt"), Path(folder, "samples.json")
        file.write_text(prompt, encoding="utf-8")
        arguments = ["run", *connection_arguments(), "--prompt-file", str(file)]
        arguments += ["--max-tokens", str(setting("TINKER_MAX_TOKENS", 32, int))]
        cli.run([*arguments, "--json", "--output", str(output)])
        print(f"Written to {output}:")
        print(output.read_text(encoding="utf-8"))


if __name__ == "__main__":
    try:
        main()
    except (TinkexError, click.ClickException) as error:
        sys.exit(f"error: {error}")
