"""The shape of the package: which part may import which, how heavy it is, what is forbidden."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import tinkex

PACKAGE = Path(tinkex.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
ROOT = PACKAGE.parent

LONGEST_MODULE = 400
# Modules that hold one idea and are longer, each with its reason.
LONGER: dict[str, str] = {
    "tinkex.finetune.rendering": "how a template writes a conversation, and in which words",
}

HEAVY = {"torch", "transformers", "starlette", "uvicorn", "rich", "click", "safetensors"}
LOADED_LATE = {
    "numpy",
    "tokenizers",
    "orjson",
    "simdjson",
    "jsonschema_rs",
    "autograd",
    "opentelemetry",
    "matplotlib",
}


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def is_below(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def imports(path: Path) -> Iterator[tuple[str, ast.stmt]]:
    """Yield every imported module of a file, wherever the import stands."""
    package = name_of(path) if path.name == "__init__.py" else name_of(path).rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parts, *([base] if base else [])])
            yield base, node
            yield from ((f"{base}.{alias.name}", node) for alias in node.names)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_follow_the_arrows(path: Path) -> None:
    """Nobody but the command line knows the local server, which knows no client."""
    module = name_of(path)
    # The one door to the embedded server, opened when base_url="local" asks for it.
    may_use_local = any(is_below(module, f"tinkex.{part}") for part in ("local", "cli", "service"))
    server_side = is_below(module, "tinkex.local")
    engine = is_below(module, "tinkex.local.engine")
    low = is_below(module, "tinkex.transport") or is_below(module, "tinkex.wire")
    for imported, node in imports(path):
        where = f"{module}:{node.lineno} imports {imported}"
        assert may_use_local or not is_below(imported, "tinkex.local"), where
        if server_side:
            own = is_below(imported, "tinkex.local") or imported in {
                "tinkex",
                "tinkex._version",
                "tinkex._version.__version__",
                "tinkex._version.SDK_VERSION",
                "tinkex.__version__",
            }
            # Faults are data that the server plays and users' tests describe; how numbers lie in
            # a binary message is the same for whoever reads and writes it.
            own = own or is_below(imported, "tinkex.testing.faults")
            own = own or is_below(imported, "tinkex.protobuf")
            assert own or not is_below(imported, "tinkex"), where
        assert not (engine and is_below(imported, "tinkex_generated")), where
        if low:
            clients = ("service", "training", "sampling", "rest", "session", "futures", "cli")
            assert not any(is_below(imported, f"tinkex.{name}") for name in clients), where
        if not is_below(module, "tinkex.cli"):
            assert not is_below(imported, "tinkex.cli"), where
        if is_below(module, "tinkex.protobuf"):
            own = is_below(imported, "tinkex.protobuf") or is_below(imported, "tinkex.later")
            assert own or not is_below(imported, "tinkex"), where
        assert not is_below(imported, "google"), where
        assert not is_below(imported, "tinkex_generated.client"), where


def test_the_embedded_server_is_imported_lazily_and_once() -> None:
    """service.py alone opens the door to tinkex.local, inside of a function."""
    path = PACKAGE / "service.py"
    found = {node.lineno: node for name, node in imports(path) if is_below(name, "tinkex.local")}
    assert len(found) == 1
    assert all(node.col_offset > 0 for node in found.values())


def test_generated_code_is_imported_by_the_package_alone() -> None:
    """Users' code, examples and tools see the hand-written names only."""
    for folder in ("examples", "tools", "bench"):
        for path in (ROOT / folder).rglob("*.py"):
            for imported, node in imports(path):
                assert not is_below(imported, "tinkex_generated"), f"{path}:{node.lineno}"


def loaded_by(statement: str) -> set[str]:
    """Return the top-level modules that a statement loads in a fresh interpreter."""
    code = f"{statement}\nimport sys; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_importing_the_package_loads_nothing_heavy() -> None:
    """`import tinkex` leaves numpy, tokenizers, orjson and everything optional for later."""
    assert not loaded_by("import tinkex") & (HEAVY | LOADED_LATE)


def test_the_service_client_loads_only_what_it_needs_at_once() -> None:
    """numpy waits for the first array, orjson for the first request, httpx for a proxy."""
    later = {"httpx", "backoff", "asyncio", "ssl", "email"}
    assert not loaded_by("from tinkex import ServiceClient") & (HEAVY | LOADED_LATE | later)


def test_the_command_line_starts_without_the_client() -> None:
    """`tinkex --version` loads no numpy, no server and no HTTP client."""
    assert not loaded_by("import tinkex.cli") & (
        {"numpy", "httpx", "tokenizers", "starlette", "uvicorn", "torch"}
    )


def test_every_public_name_is_there_and_listed() -> None:
    """All names of __all__ resolve, dir() shows them, and an unknown name is an AttributeError."""
    assert sorted(set(tinkex.__all__)) == sorted(tinkex.__all__)
    for name in tinkex.__all__:
        assert getattr(tinkex, name) is not None
        assert name in dir(tinkex)
    for name in tinkex.types.__all__:
        assert getattr(tinkex.types, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = tinkex.no_such_name


def test_the_lazy_names_are_the_typed_ones() -> None:
    """What type checkers see of the package and what it loads lazily are the same names."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    typed = {
        alias.asname: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    modules = {name for name, home in typed.items() if home == "tinkex"}
    lazy = {name: home for name, home in typed.items() if name not in modules}
    assert lazy == tinkex._HOMES
    assert modules <= tinkex._MODULES


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_no_module_is_too_long(path: Path) -> None:
    """A module of more than 400 lines has a second idea in it."""
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= LONGEST_MODULE or name_of(path) in LONGER, f"{lines} lines"


def called(node: ast.Call) -> str:
    return ast.unparse(node.func)


FORBIDDEN = {"eval", "exec", "pickle.load", "pickle.loads", "torch.load", "marshal.loads"}


@pytest.mark.holds("S12")
@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_nothing_runs_what_it_reads(path: Path) -> None:
    """No eval, exec or unpickling anywhere, and no sleep but the clock's."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = {alias.name for alias in node.names}
            assert not names & {"pickle", "marshal", "shelve", "dill"}, node.lineno
            from_time = isinstance(node, ast.ImportFrom) and node.module == "time"
            assert not (from_time and "sleep" in names), node.lineno
        if isinstance(node, ast.Call):
            assert called(node) not in FORBIDDEN, f"line {node.lineno}: {called(node)}"
            is_sleep = called(node) == "time.sleep"
            assert not is_sleep or name_of(path) == "tinkex.clock", f"line {node.lineno}"
