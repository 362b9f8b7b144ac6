"""Take the pictures of commands that docs/cli.md shows, on a terminal of 80 columns.

    python tools/terminal_pictures.py [FOLDER]

Types the commands into bash in tmux, with a home and a local server's data of their own, and writes what
the terminal shows as SVG. Needs tmux and the development tools.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

ROOT = Path(__file__).resolve().parents[1]
COLUMNS, LINES = 80, 120
PROMPT = "$ "
TRAIN = "tinkex train orders.jsonl --base-model tinkex/tiny-chat --epochs 2"
# In this order: what one makes, the next ones show.
COMMANDS = {
    "train": TRAIN,
    "run-list": "tinkex run list",
    "config": "tinkex config show --changed",
    "doctor": "tinkex doctor",
    "model-list": "tinkex model list",
    "mistake": "tinkex train orders.jsonl --lr 1e-3",
}


class Terminal:
    """A bash in a tmux of its own."""

    def __init__(self, folder: Path) -> None:
        self._tmux = ["tmux", "-S", str(folder / "socket"), "-f", os.devnull]
        environment = {
            "HOME": str(folder),
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
            "TERM": "xterm-256color",
            "LANG": "C.UTF-8",
            "PS1": PROMPT,
            "TINKER_BASE_URL": "local",
            "HISTFILE": os.devnull,
            # Whenever bash is ready.
            "PROMPT_COMMAND": f"{' '.join(self._tmux)} wait-for -S ready",
        }
        given = [f"{name}={value}" for name, value in environment.items()]
        size = ["-x", str(COLUMNS), "-y", str(LINES), "-c", str(folder)]
        self._call("new-session", "-d", *size, "env", "-i", *given, "bash", "--norc", "--noprofile")
        self._shown()

    def typed(self, command: str) -> str:
        """Type a command, wait for its end, and return what the terminal shows, with its colours."""
        for line in ("clear", command):
            self._call("send-keys", line, "Enter")
            shown = self._shown()
        return shown.removesuffix(PROMPT.strip()).rstrip()

    def _shown(self) -> str:
        """Wait for the next prompt, and return what is on the screen."""
        self._call("wait-for", "ready")
        while True:
            shown = self._call("capture-pane", "-e", "-p").rstrip()
            # What is typed before the prompt is there would be echoed twice.
            if shown.splitlines()[-1:] == [PROMPT.strip()]:
                return shown

    def close(self) -> None:
        """End the shell."""
        self._call("kill-server")

    def _call(self, *arguments: str) -> str:
        done = subprocess.run(
            [*self._tmux, *arguments], capture_output=True, text=True, timeout=300, check=True
        )
        return done.stdout


def draw(shown: str, file: Path) -> None:
    """Write a picture of what a terminal shows."""
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        console = Console(record=True, width=COLUMNS, file=nowhere, force_terminal=True)
        # The last line's descenders are cut off: it is an empty one.
        console.print(Text.from_ansi(f"{shown}\n "), soft_wrap=True)
        svg = console.export_svg(title="", theme=MONOKAI, unique_id=file.stem)
    # The fonts would be loaded from another host.
    file.write_text(re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL), encoding="utf-8")


def main() -> None:
    """Type each command and write its picture."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        shutil.copy(ROOT / "examples" / "data" / "orders.jsonl", home)
        terminal = Terminal(home)
        try:
            for name, command in COMMANDS.items():
                draw(terminal.typed(command), folder / f"terminal-{name}.svg")
        finally:
            terminal.close()


if __name__ == "__main__":
    main()
