"""Generate the client from the API description, or check that it is up to date.

    python codegen/generate.py            writes generated/tinkex_generated
    python codegen/generate.py --check    compares instead; status 1 and a list of files on drift

The output depends on nothing but the description, this folder and the pinned tools.
"""

from __future__ import annotations

import argparse
import contextlib
import filecmp
import hashlib
import importlib.metadata
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import protobuf
from description import Prepared, prepare, read_spec
from schemas import GenerationError

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parent
HEADER = "# Generated from openapi.yaml by codegen/generate.py. Do not edit.\n"
# The files of this folder that the output depends on.
PARTS = (
    "config.yaml",
    "description.py",
    "fields.py",
    "protobuf.py",
    "schemas.py",
    "runtime/*.py",
    "templates/*",
)
# Modules of runtime/ that are copied only into packages that use them; importers before imported.
ON_DEMAND = ("forms.py", "null.py", "query.py")

# A cycle between schemas or a name that a template forgot to import shows only on import.
IMPORT_ALL = """
import importlib, pkgutil, sys
package = importlib.import_module(sys.argv[1])
for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
    importlib.import_module(module.name)
"""


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


def generate(spec_path: Path, output: Path) -> None:
    """Write the package into `output`, which must not exist."""
    write(spec_path, output)
    tidy(output)


def write(spec_path: Path, output: Path, compiled: Path | None = None) -> None:
    """Write the package as the templates make it; `compiled` is a folder to keep the compiled ones in."""
    spec = read_spec(spec_path)
    try:
        _run_generator(prepare(spec), output, compiled)
    except RecursionError:
        raise GenerationError(
            f"{spec_path}: a schema contains itself, or is nested too deeply"
        ) from None
    _copy_runtime(output)
    if (numbers := protobuf.module(spec)) is not None:
        (output / "protobuf.py").write_text(HEADER + numbers, encoding="utf-8", newline="\n")
    (output / "py.typed").write_bytes(b"")
    embedded = json.dumps(spec, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    (output / "openapi.json").write_text(embedded + "\n", encoding="utf-8", newline="\n")
    origin = json.dumps(provenance(spec_path), indent=2) + "\n"
    (output / "provenance.json").write_text(origin, encoding="utf-8", newline="\n")


def tidy(folder: Path) -> None:
    """Drop needless imports from what the templates made, and format it."""
    from openapi_python_client.config import ConfigFile

    # The hooks call ruff by name: it must be the one beside this python.
    search = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    for hook in ConfigFile.load_from_path(FOLDER / "config.yaml").post_hooks or []:
        problem = f"{hook.split()[0]} failed"
        _run(shlex.split(hook), problem, cwd=folder, env={**os.environ, "PATH": search})


def check_import(package: Path) -> None:
    """Import all modules of a package, in a new process."""
    command = [sys.executable, "-B", "-c", IMPORT_ALL, package.name]
    _run(command, "the generated package does not import", cwd=package.parent)


def _copy_runtime(output: Path) -> None:
    made = "".join(path.read_text(encoding="utf-8") for path in output.rglob("*.py"))
    modules = {path.name: path for path in sorted((FOLDER / "runtime").glob("*.py"))}
    for name in [*(name for name in modules if name not in ON_DEMAND), *ON_DEMAND]:
        if name in ON_DEMAND and f".{modules[name].stem} import " not in made:
            continue
        shipped = HEADER + modules[name].read_text(encoding="utf-8")
        made += shipped
        (output / name).write_text(shipped, encoding="utf-8", newline="\n")


def provenance(spec_path: Path) -> dict[str, Any]:
    """Return the sources of the package, so that a copy can be traced: checksums and versions."""
    parts = [path for part in PARTS for path in sorted(FOLDER.glob(part)) if path.is_file()]
    return {
        "made_by": "codegen/generate.py",
        "description": {"file": spec_path.name, "sha256": _sha256(spec_path)},
        "tools": pinned_tools(),
        "parts": {path.relative_to(FOLDER).as_posix(): _sha256(path) for path in parts},
    }


def _sha256(path: Path) -> str:
    # Without git's conversion of line ends on some systems.
    return hashlib.sha256(path.read_bytes().replace(b"\r\n", b"\n")).hexdigest()


def _run_generator(prepared: Prepared, output: Path, compiled: Path | None) -> None:
    from fields import CLASS_NAMES, FUNCTIONS, Fields
    from jinja2 import FileSystemBytecodeCache
    from openapi_python_client import Project
    from openapi_python_client.config import ClassOverride, Config, ConfigFile, MetaType
    from openapi_python_client.parser import GeneratorData
    from openapi_python_client.parser.errors import GeneratorError

    options = ConfigFile.load_from_path(FOLDER / "config.yaml")
    options.post_hooks = []
    options.content_type_overrides = prepared.content_types
    options.class_overrides = {
        name: ClassOverride.model_validate({"class_name": f"{name}Model"}) for name in CLASS_NAMES
    }
    config = Config.from_sources(
        options, MetaType.NONE, Path("openapi.yaml"), "utf-8", overwrite=False, output_path=output
    )
    data = GeneratorData.from_dict(prepared.document, config=config)
    if isinstance(data, GeneratorError):
        raise _failure([data])
    found: list[GeneratorError] = [*data.errors]
    for collection in data.endpoint_collections_by_tag.values():
        found += collection.parse_errors
    if found:  # The generator would leave out what it only warns about.
        raise _failure(found)
    fields = Fields(data, prepared)
    project = Project(openapi=data, config=config, custom_template_path=FOLDER / "templates")
    if compiled is not None:
        project.env.bytecode_cache = FileSystemBytecodeCache(str(compiled))
    project.env.globals.update({**FUNCTIONS, **fields.names()})
    project.env.tests["laid_out"] = fields.is_laid_out
    with contextlib.redirect_stdout(io.StringIO()):
        found = [*project.build()]
    if found:
        raise _failure(found)


def _failure(errors: Sequence[Any]) -> GenerationError:
    lines = ["the generator failed"]
    for error in errors:
        line = " ".join(f"{error.header}: {error.detail or ''}".split())
        lines.append(re.sub(r"<[\w.]+ object at 0x\w+>", "...", line))
    return GenerationError("\n".join(lines))


def _run(command: Sequence[str], problem: str, **options: Any) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    if done.returncode != 0:
        raise GenerationError(f"{problem}\n{done.stdout}{done.stderr}".rstrip())


def replace(made: Path, output: Path) -> None:
    """Replace the folder `output` by `made`; it is missing only for a moment."""
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
            check_import(made)
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
