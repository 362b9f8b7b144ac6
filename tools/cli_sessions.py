"""What is typed for docs/cli.md, and how it is recorded on a local server."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).resolve().parents[1]
COLUMNS = 110
# What stands for an id or a path that the server makes up.
RUN, SESSION, SAVED, TRAINED, ADAPTER = "$RUN", "$SESSION", "$SAVED", "$TRAINED", "$ADAPTER"
# What `tinkex train` learns from.
ORDERS = "".join(
    json.dumps({"messages": [{"role": "user", "content": q}, {"role": "assistant", "content": a}]})
    + "\n"
    for q, a in (
        ("Where is order 17?", "On its way."),
        ("Where is order 18?", "On its way."),
        ("Can I return it?", "Yes, within 30 days."),
        ("Can I exchange it?", "Yes, within 30 days."),
    )
)

_TRAINING = '--rank 8 --learning-rate 1e-2 --epochs 8 --sample "Where is order 19?"'

# In the order in which they are typed: what one makes, the next ones show.
SESSIONS: dict[str, list[str]] = {
    "tinkex version": ["tinkex version --json"],
    "tinkex doctor": ["tinkex doctor"],
    "tinkex auth login": ["tinkex auth login"],
    "tinkex auth status": ["tinkex auth status --base-url https://tinker.example.org"],
    "tinkex auth whoami": ["tinkex auth whoami"],
    "tinkex auth logout": ["tinkex auth logout"],
    "tinkex model list": ["tinkex model list", "tinkex model list nano --json"],
    "tinkex run": [
        'tinkex run --base-model tinkex/tiny-chat --prompt "The sky is" --max-tokens 12 --temperature 0',
        "tinkex run --base-model tinkex/nano --prompt Hello --max-tokens 3 --temperature 0 --json",
    ],
    "tinkex checkpoint": [
        "tinkex checkpoint --base-model tinkex/nano --rank 8 --seed 0 --name first --output saved.json"
    ],
    "tinkex run list": ["tinkex run list"],
    "tinkex run info": [f"tinkex run info {RUN}"],
    "tinkex checkpoint list": ["tinkex checkpoint list", "tinkex checkpoint list --limit 0 --json"],
    "tinkex checkpoint info": [f"tinkex checkpoint info {SAVED}"],
    "tinkex checkpoint publish": [f"tinkex checkpoint publish {SAVED}"],
    "tinkex checkpoint unpublish": [f"tinkex checkpoint unpublish {SAVED}"],
    "tinkex checkpoint set-ttl": [f"tinkex checkpoint set-ttl {SAVED} --ttl 604800"],
    "tinkex checkpoint download": [f"tinkex checkpoint download {SAVED} --output checkpoints"],
    "tinkex checkpoint inspect": [f"tinkex checkpoint inspect {SAVED} | head -12"],
    "tinkex checkpoint push-hf": [f"tinkex checkpoint push-hf {SAVED} --repo me/first"],
    "tinkex checkpoint prune": ["tinkex checkpoint prune --older-than 30d --keep-last 2 --dry-run"],
    "tinkex train": [
        "cat orders.jsonl",
        f"tinkex train orders.jsonl --base-model tinkex/tiny-chat {_TRAINING}",
    ],
    "tinkex chat": [
        f'echo "Where is order 21?" | tinkex chat --model-path {TRAINED} --temperature 0'
    ],
    "tinkex evaluate": [
        f"tinkex evaluate tinkex/tiny-chat {TRAINED} orders.jsonl --metric exact --max-tokens 16"
    ],
    "tinkex sample": [
        f"tinkex sample {TRAINED} orders.jsonl -o responses.jsonl --temperature 0 --max-tokens 16"
    ],
    "tinkex checkpoint merge": [
        "tinkex checkpoint download runs/orders --output adapters",
        f"tinkex checkpoint merge adapters/{ADAPTER} tiny-chat --output merged",
    ],
    "tinkex session list": ["tinkex session list --limit 2"],
    "tinkex session info": [f"tinkex session info {SESSION}"],
    "tinkex session export-trace": [f"tinkex session export-trace {SESSION} -o trace.json"],
    "tinkex session close": [f"tinkex session close {SESSION}"],
    "tinkex usage": ["tinkex usage"],
    "tinkex checkpoint delete": [f"tinkex checkpoint delete {SAVED}"],
    "tinkex config show": ["tinkex config show --changed"],
    "tinkex help": ["tinkex help session list | head -3"],
    "tinkex report": ["tinkex report | head -6"],
    "tinkex completion": ["tinkex completion bash | head -3"],
    "tinkex serve": ["tinkex serve"],
}
# What the placeholders become on the page: of the length of the real ones, so that columns line up.
_SHOWN = {
    RUN: f"session-{1:020d}:train:0",
    SESSION: f"session-{1:020d}",
    SAVED: f"tinker://session-{1:020d}:train:0/sampler_weights/first",
    TRAINED: f"tinker://session-{9:020d}:train:0/sampler_weights/final",
    ADAPTER: f"session-{9:020d}_train_0_sampler_weights_final",
}
# The input to a question.
ANSWERS = {"tinkex checkpoint delete": "y", "tinkex auth login": "tml-0123456789abcdef"}


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def typed() -> dict[str, str]:
    """Return for each command what is typed, as the page shows it."""
    shown = {path: "\n".join(f"$ {line}" for line in lines) for path, lines in SESSIONS.items()}
    return {path: _named(text, _SHOWN) for path, text in shown.items()}


def recorded() -> dict[str, str]:
    """Type everything, and return for each command what was typed and shown."""
    with tempfile.TemporaryDirectory(prefix="tinkex-page-") as folder, _environment(Path(folder)):
        shown: dict[str, str] = {}
        names: dict[str, str] = {}
        for path, lines in SESSIONS.items():
            parts = []
            for line in lines:
                out = _serve(Path(folder)) if path == "tinkex serve" else _typed(path, line, names)
                parts.append(f"$ {line}\n{out.rstrip()}")
                if path == "tinkex checkpoint merge" and ADAPTER not in names:
                    [names[ADAPTER]] = (one.name for one in Path(folder, "adapters").iterdir())
            if path == "tinkex checkpoint":
                names.update(_names(Path(folder)))
            if path == "tinkex train":
                found = re.search(r"tinker://\S+/sampler_weights/final", parts[-1])
                assert found is not None
                names[TRAINED] = found[0]
            shown[path] = "\n".join(parts)
    return {path: _masked(text, names, folder) for path, text in shown.items()}


@contextmanager
def _environment(folder: Path) -> Iterator[None]:
    """Set up the environment of a user with a local server and a stand-in of the Hub."""
    sys.path.insert(0, str(ROOT / "tests"))
    from support.hub_repositories import hub_repositories

    (folder / "home").mkdir()
    (folder / "orders.jsonl").write_text(ORDERS, encoding="utf-8")
    shutil.copytree(ROOT / "tinkex/local/models/tiny-chat", folder / "tiny-chat")
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("TINK", "HF_", "HUGGING")) and "proxy" not in name.lower()
    }
    before = Path.cwd()
    with hub_repositories() as hub:
        hub.users["hf_recording"] = "me"
        clean |= {
            "TINKER_BASE_URL": "local",
            "TINKEX_LOCAL_DIR": str(folder / "data"),
            "HOME": str(folder / "home"),
            "COLUMNS": str(COLUMNS),
            "NO_COLOR": "1",
            "HF_TOKEN": "hf_recording",
            "HF_ENDPOINT": hub.url,
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        }
        with mock.patch.dict(os.environ, clean, clear=True):
            os.chdir(folder)
            try:
                yield
            finally:
                os.chdir(before)


def _typed(path: str, line: str, names: dict[str, str]) -> str:
    """Run a line in this process, on a terminal, and return what it shows."""
    from tinkex.cli import main

    if line.startswith("cat "):
        return Path(line.removeprefix("cat ")).read_text(encoding="utf-8")
    command, _, filtering = line.partition(" | ")
    piped = ""
    if command.startswith("echo "):
        piped, command, filtering = shlex.split(command)[1], filtering, ""
    command = _named(command, names)
    answer = ANSWERS.get(path, "")
    terminal = _Terminal()
    with redirect_stdout(terminal), redirect_stderr(terminal):
        stdin = io.TextIOWrapper(io.BytesIO(f"{answer or piped}\n".encode()))
        with mock.patch("sys.stdin", stdin):
            try:
                main(["--no-progress", *shlex.split(command)[1:]])
            except SystemExit as end:
                if end.code:
                    raise RuntimeError(
                        f"{line} ended with {end.code}: {terminal.getvalue()}"
                    ) from end
    shown = terminal.getvalue()
    if answer:
        # What is typed is not among what the program writes.
        shown = shown.replace("[y/N]: ", f"[y/N]: {answer}\n")
        shown = f"API key: \n{shown}" if path == "tinkex auth login" else shown
    if filtering:
        shown = "\n".join(shown.splitlines()[: int(filtering.removeprefix("head -"))])
    return shown


def _named(text: str, names: dict[str, str]) -> str:
    for name, value in names.items():
        text = text.replace(name, value)
    return text


def _names(folder: Path) -> dict[str, str]:
    saved = json.loads((folder / "saved.json").read_text(encoding="utf-8"))
    run = str(saved["model_id"])
    return {RUN: run, SESSION: run.partition(":")[0], SAVED: str(saved["weights_path"])}


def _serve(folder: Path) -> str:
    """Run the server as a program until it has printed its address."""
    from support.greeting import greeting_of

    code = "from tinkex.cli import main; main()"
    with subprocess.Popen(
        [sys.executable, "-c", code, "serve", "--port", "0", "--data-dir", str(folder / "served")],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        shown = greeting_of(process)
        process.send_signal(signal.SIGINT)
        shown += "^C" + process.communicate(timeout=60)[0]
    shown = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:8420", shown)
    return shown.replace(str(folder / "served"), "~/.local/share/tinkex/local")


def _masked(text: str, names: dict[str, str], folder: str) -> str:
    """Put names of the same length in place of what differs from time to time."""
    text = _named(text, names)
    known = {names[SESSION]: 1, names[TRAINED].split("/")[2].partition(":")[0]: 9}
    others = iter((2, 3, 4, 5, 6, 7, 8))
    for found in dict.fromkeys(re.findall(r"session-[0-9a-f]{20}", text)):
        number = known.get(found) or next(others)
        text = text.replace(found, f"session-{number:020d}")
    text = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "2026-01-31T12:00:00Z", text)
    text = re.sub(r'"commit": "[0-9a-f]+"', '"commit": "0123abc"', text)
    text = re.sub(r" *\d+ ms  ", lambda found: f"{'… ms  ':>{len(found[0])}}", text)
    text = re.sub(r"\d+ tokens/s( +\d+:\d\d left)?", "… tokens/s", text)
    text = re.sub(r"127\.0\.0\.1:\d+ \(", "127.0.0.1:41234 (", text)
    text = re.sub(r"127\.0\.0\.1:\d+/#\S+", "127.0.0.1:41234/#…", text)
    text = re.sub(r"port \d+ is open", "port 41234 is open", text)
    text = re.sub(r"http://127\.0\.0\.1:\d+/(?=\S*commit)", "https://huggingface.co/", text)
    return text.replace(f"{folder}/home", "~").replace(f"{folder}/", "")
