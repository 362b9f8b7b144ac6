"""Make the generated client from the API description, or check that it is up to date.

    python codegen/generate.py            writes generated/tinkex_generated
    python codegen/generate.py --check    compares instead; status 1 and a list of files on drift

The output depends on nothing but the description, this folder and the pinned tools.
"""

from __future__ import annotations

import argparse
import filecmp
import hashlib
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parent
HEADER = "# Generated from openapi.yaml by codegen/generate.py. Do not edit.\n"
METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")

# A cycle between schemas or a name that a template forgot to import shows only on import.
IMPORT_ALL = """
import importlib, pkgutil, sys
package = importlib.import_module(sys.argv[1])
for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
    importlib.import_module(module.name)
"""


class GenerationError(Exception):
    """The client cannot be generated; the message says what to do."""


def pinned_tools() -> dict[str, str]:
    """Return the versions that codegen/requirements.txt pins."""
    lines = (FOLDER / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if "==" in line and not line.startswith("#"))


def check_tools() -> None:
    """Refuse tools of another version than codegen/requirements.txt pins."""
    for name, pinned in pinned_tools().items():
        try:
            installed = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            installed = "none"
        if installed != pinned:
            raise GenerationError(
                f"{name} {pinned} is needed, {installed} is installed in {sys.prefix}: "
                "pip install -r codegen/requirements.txt"
            )
    if not _ruff().exists():
        raise GenerationError(f"no ruff beside {sys.executable}: run this with the venv's python")


def _ruff() -> Path:
    return Path(sys.executable).parent / ("ruff.exe" if os.name == "nt" else "ruff")


def read_spec(path: Path) -> dict[str, Any]:
    """Read the API description."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    if not path.exists():
        raise GenerationError(f"no API description at {path}")
    try:
        spec = YAML(typ="safe").load(path)
    except YAMLError as error:
        raise GenerationError(f"{path} is not YAML: {error}") from error
    if not isinstance(spec, dict) or "paths" not in spec:
        raise GenerationError(f"{path} is no OpenAPI description: it has no paths")
    return spec


def keep_descriptions(node: Any) -> Any:
    """Move what the generator would drop to where it does not.

    It drops what stands beside a `$ref` to a schema (a description, a default), which OpenAPI 3.1
    allows; beside an `anyOf` of one it stays. It also drops the description of a parameter, and
    keeps that of the parameter's schema.
    """
    if isinstance(node, list):
        return [keep_descriptions(item) for item in node]
    if not isinstance(node, dict):
        return node
    if "in" in node and "description" in node and isinstance(node.get("schema"), dict):
        node = {**node, "schema": {"description": node["description"], **node["schema"]}}
    reference = node.get("$ref")
    node = {key: keep_descriptions(item) for key, item in node.items()}
    if len(node) > 1 and str(reference).startswith("#/components/schemas/"):
        node["anyOf"] = [{"$ref": node.pop("$ref")}]
    return node


def separate_wire_paths(spec: dict[str, Any]) -> dict[str, Any]:
    """Give each operation with an `x-tinkex-wire-path` that path, with its id behind a "#".

    OpenAPI allows one operation per path and method. One that differs only in its media type is
    therefore described under another path, and names the real one. The templates drop the "#".
    """
    paths: dict[str, Any] = {}
    for path, item in spec["paths"].items():
        shared = {key: value for key, value in item.items() if key not in METHODS}
        for method in METHODS:
            operation = item.get(method)
            if operation is None:
                continue
            wire_path = operation.get("x-tinkex-wire-path", item.get("x-tinkex-wire-path"))
            key = path if wire_path is None else f"{wire_path}#{operation['operationId']}"
            paths.setdefault(key, dict(shared))[method] = operation
    return {**spec, "paths": paths}


def generate(spec_path: Path, output: Path) -> None:
    """Write the package into `output`, which must not exist."""
    spec = read_spec(spec_path)
    with tempfile.TemporaryDirectory() as scratch:
        generator_input = Path(scratch) / "openapi.json"
        generator_input.write_text(
            json.dumps(keep_descriptions(separate_wire_paths(spec))), encoding="utf-8"
        )
        _run_generator(generator_input, output)
    for module in sorted((FOLDER / "runtime").glob("*.py")):
        shipped = HEADER + module.read_text(encoding="utf-8")
        (output / module.name).write_text(shipped, encoding="utf-8", newline="\n")
    (output / "py.typed").write_bytes(b"")
    embedded = json.dumps(spec, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    (output / "openapi.json").write_text(embedded + "\n", encoding="utf-8", newline="\n")
    origin = json.dumps(provenance(spec_path), indent=2) + "\n"
    (output / "provenance.json").write_text(origin, encoding="utf-8", newline="\n")
    _run(
        [sys.executable, "-B", "-c", IMPORT_ALL, output.name],
        "the generated package does not import",
        cwd=output.parent,
    )


def provenance(spec_path: Path) -> dict[str, Any]:
    """Return what the package is made from, so that a copy of it can be traced: checksums and versions."""
    parts = [FOLDER / "config.yaml", *sorted((FOLDER / "runtime").glob("*.py"))]
    parts += sorted(path for path in (FOLDER / "templates").rglob("*") if path.is_file())
    return {
        "made_by": "codegen/generate.py",
        "description": {"file": spec_path.name, "sha256": _sha256(spec_path)},
        "tools": pinned_tools(),
        "parts": {path.relative_to(FOLDER).as_posix(): _sha256(path) for path in parts},
    }


def _sha256(path: Path) -> str:
    # Without what git makes of line ends on some systems.
    return hashlib.sha256(path.read_bytes().replace(b"\r\n", b"\n")).hexdigest()


def _run_generator(spec: Path, output: Path) -> None:
    command = [sys.executable, "-m", "openapi_python_client", "generate"]
    command += ["--path", str(spec), "--config", str(FOLDER / "config.yaml")]
    command += ["--custom-template-path", str(FOLDER / "templates")]
    command += ["--meta", "none", "--output-path", str(output), "--fail-on-warning"]
    # The hooks call ruff by name: it must be the one beside this python.
    search = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    _run(command, "the generator failed", env={**os.environ, "PATH": search})


def _run(command: Sequence[str], problem: str, **options: Any) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    if done.returncode != 0:
        raise GenerationError(f"{problem}\n{done.stdout}{done.stderr}".rstrip())


def replace(made: Path, output: Path) -> None:
    """Put the folder `made` in the place of `output`, which is away for no more than a moment."""
    fresh, old = (output.with_name(f".{output.name}.{name}") for name in ("new", "old"))
    for leftover in (fresh, old):
        shutil.rmtree(leftover, ignore_errors=True)
    shutil.copytree(made, fresh)
    if output.exists():
        output.rename(old)
    fresh.rename(output)
    shutil.rmtree(old, ignore_errors=True)


def differences(made: Path, kept: Path) -> list[str]:
    """List the files that one folder has and the other lacks or has with other bytes."""
    made_files, kept_files = _files(made), _files(kept)
    found = [f"missing  {name}" for name in made_files - kept_files]
    found += [f"stale    {name}" for name in kept_files - made_files]
    for name in made_files & kept_files:
        if not filecmp.cmp(made / name, kept / name, shallow=False):
            found.append(f"differs  {name}")
    return sorted(found, key=lambda line: line.split()[1])


def _files(folder: Path) -> set[str]:
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Generate the low-level client from openapi.yaml.")
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    parser.add_argument("--spec", type=Path, default=ROOT / "openapi.yaml")
    parser.add_argument(
        "--output", type=Path, default=ROOT / "generated" / "tinkex_generated", metavar="FOLDER"
    )
    options = parser.parse_args(arguments)
    output = options.output.resolve()
    try:
        check_tools()
        with tempfile.TemporaryDirectory() as scratch:
            made = Path(scratch) / output.name
            generate(options.spec.resolve(), made)
            if options.check:
                return _report(differences(made, output), output)
            replace(made, output)
    except GenerationError as error:
        print(f"codegen: {error}", file=sys.stderr)
        return 2
    print(f"codegen: wrote {len(_files(output))} files to {output}")
    return 0


def _report(found: list[str], output: Path) -> int:
    if not found:
        print(f"codegen: {output} is up to date")
        return 0
    print(f"codegen: {output} is not what the description gives; run `make generate`:")
    print("\n".join(f"    {line}" for line in found))
    return 1


if __name__ == "__main__":
    sys.exit(main())
