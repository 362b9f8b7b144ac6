"""Take four changes of the API through generation, mypy and a call, in a temporary folder.

python tools/regenerate_check.py                  checks, and lists what tinkex itself would have to follow
python tools/regenerate_check.py --without-tinkex leaves that list out, which takes most of the time

The changes are a new field, a new endpoint, a renamed value of an enumeration and a removed field.
Status 1 if the generated package is not what they ask for, or if mypy does not name each line of a
program of before that the changes break.
"""

from __future__ import annotations

import argparse
import copy
import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[1]

# What stands on the lines marked "broken" is gone after the changes.
BEFORE = '''"""A program of before the changes."""

from tinkex_generated.models import AccessScope, Checkpoint


def scope() -> AccessScope:
    return "accessible"  # broken


def size(checkpoint: Checkpoint) -> int | None:
    return checkpoint.size_bytes  # broken


def path(checkpoint: Checkpoint) -> str:
    return checkpoint.tinker_path
'''

AFTER = '''"""A program that uses what is new."""

import sys

from tinkex_generated.api.checkpoints import list_labels
from tinkex_generated.api.sessions import list_sessions
from tinkex_generated.client import Client
from tinkex_generated.models import Checkpoint

with Client(base_url=sys.argv[1], token="tml-key") as client:
    found: list[Checkpoint] = list_labels.sync(client=client, label=["a,b", "c"])
    print([checkpoint.label for checkpoint in found])
    print(list_sessions.sync(client=client, access_scope="readable").sessions)
'''

CHECKPOINT = {
    "checkpoint_id": "weights/1",
    "checkpoint_type": "training",
    "time": "2026-01-02T03:04:05Z",
    "tinker_path": "tinker://run/weights/1",
}


class CheckError(Exception):
    """A step failed or returned an unexpected result."""


def changed(spec: dict[str, Any]) -> dict[str, Any]:
    """Return the description with the four changes."""
    spec = copy.deepcopy(spec)
    schemas = spec["components"]["schemas"]
    checkpoint = schemas["Checkpoint"]["properties"]
    checkpoint["label"] = {"type": ["string", "null"], "description": "What the caller calls it."}
    del checkpoint["size_bytes"]
    for example in schemas["Checkpoint"]["examples"]:
        example.pop("size_bytes", None)
    scopes = schemas["AccessScope"]["enum"]
    scopes[scopes.index("accessible")] = "readable"
    reference = {"$ref": "#/components/schemas/Checkpoint"}
    spec["paths"]["/api/v1/checkpoints/labels"] = {
        "get": {
            "operationId": "list_labels",
            "tags": ["checkpoints"],
            "summary": "Find checkpoints by their labels.",
            "security": spec["paths"]["/api/v1/checkpoints"]["get"].get("security", []),
            "parameters": [
                {
                    "name": "label",
                    "in": "query",
                    "schema": {"type": "array", "items": {"type": "string"}},
                }
            ],
            "responses": {
                "200": {
                    "description": "The checkpoints.",
                    "content": {
                        "application/json": {"schema": {"type": "array", "items": reference}}
                    },
                }
            },
        }
    }
    return spec


def check(folder: Path, *, with_tinkex: bool) -> None:
    """Go through all steps in a folder; raises CheckError."""
    spec = changed(YAML(typ="safe").load(ROOT / "openapi.yaml"))
    (folder / "openapi.json").write_text(json.dumps(spec), encoding="utf-8")
    print("1. generate from the changed description")
    package = folder / "generated" / "tinkex_generated"
    package.parent.mkdir()
    described = ("--spec", folder / "openapi.json", "--output", package)
    command: list[str | Path] = [ROOT / "codegen" / "generate.py", *described]
    print("  ", run(command, folder).strip())
    print("2. let mypy read the package, a program of before and one of after")
    for name, program in (("before.py", BEFORE), ("after.py", AFTER)):
        (folder / name).write_text(program, encoding="utf-8")
    compare_with_mypy(folder, with_tinkex=with_tinkex)
    print("3. call the new endpoint, and an old one with the renamed value")
    call(folder)


def run(command: Sequence[str | Path], folder: Path, *, statuses: Sequence[int] = (0,)) -> str:
    """Run a Python command in the folder, where the changed package is the one that is imported."""
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder / "generated")},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in statuses:
        raise CheckError(f"{command[0]} ended with {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def compare_with_mypy(folder: Path, *, with_tinkex: bool) -> None:
    """Raise unless mypy names the broken lines, and no other outside tinkex."""
    shutil.copy(ROOT / "pyproject.toml", folder)
    read = ["before.py", "after.py", "generated/tinkex_generated"]
    if with_tinkex:
        shutil.copytree(ROOT / "tinkex", folder / "tinkex")
        read.append("tinkex")
    cache = f"--cache-dir={ROOT / '.mypy_cache' / 'regenerate'}"
    found = run(["-m", "mypy", "--no-error-summary", cache, *read], folder, statuses=(0, 1))
    lines = [line for line in found.splitlines() if re.match(r"\S+:\d+: error", line)]
    own = [line for line in lines if line.startswith("tinkex/")]
    named = {line.split(": ")[0] for line in lines if line not in own}
    broken = {
        f"before.py:{number}"
        for number, line in enumerate(BEFORE.splitlines(), start=1)
        if line.endswith("# broken")
    }
    if named != broken:
        raise CheckError(f"mypy should report {sorted(broken)}, but printed\n{found}")
    print("\n".join(f"   {line}" for line in lines))
    if with_tinkex:
        print(f"   so {len(own)} lines of tinkex would have to follow")


def call(folder: Path) -> None:
    """Run the program of after against a server on the loopback."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            response: Any = {"sessions": ["s"]}
            if "labels" in self.path:
                response = [{**CHECKPOINT, "label": "c"}, CHECKPOINT]
            content = json.dumps(response).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            printed = run(["after.py", f"http://127.0.0.1:{server.server_address[1]}"], folder)
        finally:
            server.shutdown()
            thread.join()
    if (
        printed != "['c', None]\n['s']\n"
        or asked[0] != "/api/v1/checkpoints/labels?label=a%2Cb&label=c"
    ):
        raise CheckError(f"the call printed {printed!r}, the server was asked for {asked}")
    if "access_scope=readable" not in asked[1]:
        raise CheckError(f"the renamed value is not in {asked[1]}")
    print("\n".join(f"   GET {path}" for path in asked))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description="Take four changes of the API through the generator."
    )
    parser.add_argument(
        "--without-tinkex", action="store_true", help="read the generated package only"
    )
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        try:
            check(Path(folder), with_tinkex=not options.without_tinkex)
        except CheckError as error:
            print(f"regenerate-check: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
