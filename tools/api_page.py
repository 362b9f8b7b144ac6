"""Write docs/api.md: every public name with its signature and its first line.

python tools/api_page.py            writes the page
python tools/api_page.py --check    status 1 if the page is not what the code says
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType
from typing import Any

import tinkex
import tinkex.checkpoints
import tinkex.cli
import tinkex.credentials
import tinkex.errors
import tinkex.local
import tinkex.losses
import tinkex.observability.events
import tinkex.observability.metrics
import tinkex.observability.telemetry
import tinkex.observability.training_log
import tinkex.recipes
import tinkex.recovery
import tinkex.regularizers
import tinkex.testing
import tinkex.tinker.installation
import tinkex.tokenizer
import tinkex.types

# The repr of an object without one of its own differs from run to run.
ADDRESS = re.compile(r"<(?:function )?[\w.<>]+(?: object)? at 0x[0-9a-f]+>")
PAGE = Path(__file__).resolve().parents[1] / "docs" / "api.md"
TOP = """# API index

Every public name, with its signature and what it does in a line. The site that `make docs` builds has the whole
docstrings, and so has `help(name)`. Made by `tools/api_page.py` from the code: do not edit.
"""
SECTIONS = [
    ("Clients", tinkex, ["ServiceClient", "TrainingClient", "SamplingClient", "RestClient"]),
    ("Keys: tinkex.credentials", tinkex.credentials, tinkex.credentials.__all__),
    ("Settings", tinkex, ["Config", "RetryConfig", "enable_logging"]),
    ("Futures", tinkex, ["Future", "wait", "as_completed"]),
    ("Text: tinkex.tokenizer", tinkex.tokenizer, tinkex.tokenizer.__all__),
    ("Types: tinkex.types", tinkex.types, tinkex.types.__all__),
    ("Losses: tinkex.losses", tinkex.losses, tinkex.losses.__all__),
    ("Regularizers: tinkex.regularizers", tinkex.regularizers, tinkex.regularizers.__all__),
    (
        "Retries and circuit breakers: tinkex.retry",
        tinkex.retry,
        tinkex.retry.__all__,
    ),
    ("Checkpoints: tinkex.checkpoints", tinkex.checkpoints, tinkex.checkpoints.__all__),
    ("Training methods: tinkex.recipes", tinkex.recipes, tinkex.recipes.__all__),
    ("Events: tinkex.events", tinkex.events, tinkex.events.__all__),
    ("Metrics: tinkex.metrics", tinkex.metrics, tinkex.metrics.__all__),
    ("Telemetry: tinkex.telemetry", tinkex.telemetry, tinkex.telemetry.__all__),
    ("The training log: tinkex.training_log", tinkex.training_log, tinkex.training_log.__all__),
    ("Recovery: tinkex.recovery", tinkex.recovery, tinkex.recovery.__all__),
    ("Forms with files: tinkex.multipart", tinkex.multipart, tinkex.multipart.__all__),
    ("Programs for the official package: tinkex.tinker", tinkex.tinker.installation, ["install"]),
    ("The command line: tinkex.cli", tinkex.cli, ["run", "main"]),
    ("The local server: tinkex.local", tinkex.local, tinkex.local.__all__),
    ("Faults: tinkex.testing", tinkex.testing, tinkex.testing.__all__),
]


def first_line(thing: Any) -> str:
    """Return the first line of a docstring."""
    return (inspect.getdoc(thing) or "").split("\n\n")[0].replace("\n", " ")


def signature(thing: Any) -> str:
    """Return the parameters as they are called, without self."""
    try:
        shown = inspect.signature(thing)
    except (TypeError, ValueError):
        return "()"
    parameters = [p for name, p in shown.parameters.items() if name not in ("self", "cls")]
    text = str(shown.replace(parameters=parameters)).replace("'", "").replace("tinkex.", "")
    # Python 3.13 names paths after the module that holds them.
    return ADDRESS.sub("...", text).replace("pathlib._local.", "pathlib.")


def members(cls: type) -> Iterator[tuple[str, Any]]:
    """Yield the public methods and properties that a class has from tinkex, each name once."""
    seen: set[str] = set()
    for home in (home for home in cls.__mro__ if home.__module__.partition(".")[0] == "tinkex"):
        for name, value in vars(home).items():
            if name.startswith("_") or name in seen:
                continue
            if isinstance(value, FunctionType | classmethod | staticmethod | property):
                seen.add(name)
                yield name, value


def entry(name: str, thing: Any) -> Iterator[str]:
    """Yield the lines about one name."""
    if not inspect.isclass(thing):
        routine = inspect.isroutine(thing)
        call = f"{name}{signature(thing)}" if routine else name
        yield f"- `{call}` — {first_line(thing) if routine else 'a union or literal type.'}"
        return
    yield f"### {name}\n"
    yield f"{first_line(thing)}\n"
    for member, value in members(thing):
        if isinstance(value, property):
            yield f"- `{member}` — {first_line(value.fget)}"
        else:
            function = value.__func__ if isinstance(value, classmethod | staticmethod) else value
            yield f"- `{member}{signature(function)}` — {first_line(function)}"
    yield ""


def page() -> str:
    """Return the whole page."""
    lines = [TOP]
    for title, module, names in SECTIONS:
        lines.append(f"## {title}\n")
        for name in names:
            lines.extend(entry(name, getattr(module, name)))
        lines.append("")
    lines.append("## Errors: tinkex.errors\n")
    tree = (tinkex.errors.__doc__ or "").split("The tree::\n\n")[1].split("\n\nEach message")[0]
    lines += ["```", inspect.cleandoc("\n" + tree), "```", ""]
    errors = [
        value for value in vars(tinkex.errors).values()
        if inspect.isclass(value) and issubclass(value, tinkex.TinkexError)
    ]  # fmt: skip
    lines += [f"- `{error.__name__}` — {first_line(error)}" for error in errors]
    return "\n".join(lines).replace("\n\n\n", "\n\n").rstrip() + "\n"


def main() -> int:
    """Write the page, or compare it."""
    text = page()
    if "--check" in sys.argv:
        current = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
        if current != text:
            print("docs/api.md is not what the code says: run python tools/api_page.py")
            return 1
        return 0
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
