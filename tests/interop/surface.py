"""Compare the public surface of the official `tinker` package with `tinkex.tinker`, name by name.

    python tests/interop/surface.py PYTHON          # an interpreter that has the official package
    python tests/interop/surface.py --describe tinker > tests/interop/surface.json

Prints each difference that has no reason in `REASONS`, and fails if there is one. What was described last
is kept in ``surface.json``, so that the tests hold the surface without the official package, and the
table of docs/from-tinker.md is made of the reasons (`tools/tinker_page.py`).
"""

from __future__ import annotations

import argparse
import collections.abc
import dataclasses
import enum
import fnmatch
import importlib
import inspect
import json
import subprocess
import sys
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
KEPT = HERE / "surface.json"

# Inner modules that programs import from.
INNER: dict[str, tuple[str, ...]] = {
    "lib.experimental": ("ExperimentalWarning",),
    "lib.public_interfaces": ("AwaitableConcurrentFuture",),
    "lib.public_interfaces.rest_client": ("RestClient",),
    "lib.retry_handler": ("RetryConfig",),
    "types.tensor_data": ("TensorData",),
}
# Of other packages, but exported.
EXTERNAL = {"Timeout"}

_MADE = "clients are made by other clients, not by their constructors"
# Names whose difference has a reason; the table of docs/from-tinker.md is made of these.
REASONS: dict[str, str] = {
    "lib.retry_handler.RetryConfig.retryable_exceptions": "has no effect: what may be repeated is "
    "told from the request and the response",
    "ServiceClient.holder": "is the official client's own machinery",
    "*SamplingClient.__init__": _MADE,
    "TrainingClient.__init__": _MADE,
    "*SamplingClient*.create": _MADE,
    "*SamplingClient*.on_queue_state_change": "is called by the official client's own machinery; "
    "`tinkex.ServiceClient(on_queue_state=...)` calls a function of yours",
}

# Beside the official names.
OURS = {"install"}


def describe(package: str) -> dict[str, str]:
    """Return what each public name of a package is, by its path without the package's own name."""
    module = importlib.import_module(package)
    found: dict[str, str] = {}
    for name in sorted(module.__all__):
        found.update(_described(name, getattr(module, name), package))
    for inner, names in INNER.items():
        members = importlib.import_module(f"{package}.{inner}")
        for name in names:
            if name in module.__all__:
                found[f"{inner}.{name}"] = f"as {name}"
                assert getattr(members, name) is getattr(module, name)
            else:
                path = f"{inner}.{name}"
                found.update(_described(path, getattr(members, name), package))
    return found


def _described(path: str, value: Any, package: str) -> Iterator[tuple[str, str]]:
    if inspect.ismodule(value):
        yield path, "module"
        names = getattr(value, "__all__", None) or [n for n in dir(value) if n[0].isupper()]
        for name in sorted(names):
            yield from _described(f"{path}.{name}", getattr(value, name), package)
    elif path.rpartition(".")[2] in EXTERNAL:
        yield path, f"class {value.__name__}"
    elif inspect.isclass(value) and not isinstance(value, types.GenericAlias):
        if value.__module__.partition(".")[0] == package.partition(".")[0]:
            yield from _class(path, value, package)
        else:
            yield path, f"class {value.__name__}"
    elif inspect.isfunction(value):
        yield path, _signature(value)
    elif isinstance(value, str):
        yield path, repr(value)
    else:
        yield path, f"alias {rendered(value)}"


def _class(path: str, cls: type, package: str) -> Iterator[tuple[str, str]]:
    yield path, " ".join(_kind(cls, package))
    if issubclass(cls, enum.Enum):
        for member in cls:
            yield f"{path}.{member.name}", repr(member.value)
        return
    fields = list(_fields(cls))
    for index, (name, text) in enumerate(fields):
        yield f"{path}.{name}", f"field {index}: {text}"
    for name in sorted({*dir(cls)} - {name for name, _ in fields}):
        value = inspect.getattr_static(cls, name)
        owner = next((base for base in cls.__mro__ if name in vars(base)), object)
        is_ours = owner.__module__.partition(".")[0] == package.partition(".")[0]
        wanted = not name.startswith("_") or (name == "__init__" and not fields)
        if is_ours and wanted and not name.startswith("model_"):
            yield f"{path}.{name}", _member(getattr(cls, name), value)


def _kind(cls: type, package: str) -> Iterator[str]:
    bases = [
        base.__name__
        for base in cls.__mro__[1:]
        if base.__module__.startswith(package) or issubclass(base, BaseException)
    ]
    if issubclass(cls, BaseException):
        yield f"exception({', '.join(bases)})"
    elif dataclasses.is_dataclass(cls):
        options = cls.__dataclass_params__  # type: ignore[attr-defined]
        yield f"dataclass(frozen={options.frozen}, eq={options.eq}, order={options.order})"
    elif hasattr(cls, "model_fields"):
        yield f"record(frozen={cls.model_config.get('frozen')}, extra={cls.model_config.get('extra')})"
    elif issubclass(cls, enum.Enum):
        yield "enum(str)" if issubclass(cls, str) else "enum"
    else:
        yield "class"
    futures = {"APIFuture", "TrainingClient", "SamplingClient"} & {*bases}
    if futures:
        yield f"is a {', '.join(sorted(futures))}"


def _fields(cls: type) -> Iterator[tuple[str, str]]:
    if dataclasses.is_dataclass(cls):
        hints = _hints(cls)
        for field in dataclasses.fields(cls):
            default = ""
            if field.default is not dataclasses.MISSING:
                default = f" = {field.default!r}"
            elif field.default_factory is not dataclasses.MISSING:
                default = f" = {field.default_factory()!r}"
            shown = "" if field.repr else " (not shown)"
            yield field.name, f"{rendered(hints[field.name])}{default}{shown}"
    for name, field in getattr(cls, "model_fields", {}).items():
        default = (
            "" if field.is_required() else f" = {field.get_default(call_default_factory=True)!r}"
        )
        checks = "".join(f" {check!r}" for check in field.metadata if "Info" not in repr(check))
        yield name, f"{rendered(field.annotation)}{default}{checks}"


def _hints(cls: type) -> dict[str, Any]:
    # The official package moves its classes to its root, away from the names that they speak of.
    package = "tinker" if cls.__module__.partition(".")[0] == "tinker" else "tinkex.tinker"
    known = {
        **vars(typing),
        "np": importlib.import_module("numpy"),
        # It need not be installed.
        "torch": types.SimpleNamespace(fx=types.SimpleNamespace(GraphModule=_GraphModule)),
        "types": (records := importlib.import_module(f"{package}.types")),
    }
    for inner in ("topk_logprobs", "tensor_data", "datum"):
        known |= vars(importlib.import_module(f"{package}.types.{inner}"))
    for name in dir(records):
        known.setdefault(name, getattr(records, name))
    return typing.get_type_hints(cls, localns=known)


class _GraphModule:
    """Stands for torch's class."""


def _member(value: Any, static: Any) -> str:
    if isinstance(static, property):
        return "property"
    if isinstance(static, staticmethod):
        return f"static {_signature(value)}"
    if isinstance(static, classmethod):
        return f"class method {_signature(value)}"
    if callable(value):
        return _signature(value)
    return "property" if hasattr(static, "__get__") else f"attribute {value!r}"


def _signature(function: Any) -> str:
    """Return the parameters with their kinds and defaults, and whether the function is deprecated."""
    parts: list[str] = []
    has_star = False
    for parameter in inspect.signature(function).parameters.values():
        mark = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
        if parameter.kind is parameter.KEYWORD_ONLY and not has_star:
            parts.append("*")
        has_star = has_star or parameter.kind in (parameter.KEYWORD_ONLY, parameter.VAR_POSITIONAL)
        default = "" if parameter.default is parameter.empty else f"={parameter.default!r}"
        parts.append(f"{mark}{parameter.name}{default}")
    deprecated = " deprecated" if getattr(function, "__deprecated__", None) else ""
    return f"({', '.join(parts)}){deprecated}"


_NAMES = {"Dict": "dict", "List": "list", "NoneType": "None", "_GraphModule": "GraphModule"}


def rendered(annotation: Any) -> str:
    """Return an annotation with the last part of each name alone."""
    origin = typing.get_origin(annotation)
    if annotation is Ellipsis:
        return "..."
    if origin is typing.Annotated:
        return rendered(typing.get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        return " | ".join(sorted({rendered(part) for part in typing.get_args(annotation)}))
    if origin is typing.Literal:
        return f"Literal[{', '.join(sorted(map(repr, typing.get_args(annotation))))}]"
    if origin is collections.abc.Callable:
        return "Callable"
    if origin is not None:
        inner = ", ".join(map(rendered, typing.get_args(annotation)))
        name = getattr(origin, "__name__", str(origin))
        # An array says nothing of its contents in the official package.
        return name if name == "ndarray" else f"{_NAMES.get(name, name)}[{inner}]"
    name = getattr(annotation, "__name__", str(annotation))
    return _NAMES.get(name, name)


def differences(official: dict[str, str], ours: dict[str, str]) -> list[tuple[str, str]]:
    """Return each path whose description differs, with both descriptions."""
    missing = [
        (path, f"{text}, and is {ours.get(path, 'missing')}")
        for path, text in official.items()
        if ours.get(path) != text
    ]
    more = [(path, f"not there, and is {ours[path]}") for path in ours if path not in official]
    return missing + [(path, text) for path, text in more if path.partition(".")[0] not in OURS]


def table() -> str:
    """Return the reasons as a table of the docs."""
    patterns: dict[str, list[str]] = {}
    for pattern, why in REASONS.items():
        patterns.setdefault(why, []).append(f"`{pattern}`")
    lines = ["| name | why it differs |", "|---|---|"]
    return "\n".join(lines + [f"| {', '.join(names)} | {why} |" for why, names in patterns.items()])


def reason_of(path: str) -> str | None:
    """Return why a path differs, or None."""
    return next((why for pattern, why in REASONS.items() if fnmatch.fnmatch(path, pattern)), None)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--describe", metavar="PACKAGE", help="print what a package has, as JSON")
    parser.add_argument(
        "--install", action="store_true", help="install the newest official package"
    )
    parser.add_argument("python", nargs="?", help="an interpreter that has the official package")
    given = parser.parse_args(arguments)
    if given.describe:
        print(json.dumps(describe(given.describe), indent=0, sort_keys=True))
        return 0
    python = given.python
    if given.install:
        from run import NEWEST, python_with

        python = str(python_with(NEWEST))
    if python:
        command = [python, __file__, "--describe", "tinker"]
        official = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    else:
        official = json.loads(KEPT.read_text())
    found = differences(official, describe("tinkex.tinker"))
    unexplained = [(path, text) for path, text in found if reason_of(path) is None]
    for path, text in unexplained:
        print(f"{path}: is {text}")
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.path[:0] = [str(HERE.parents[1])]
    sys.exit(main(sys.argv[1:]))
