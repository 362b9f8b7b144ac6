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

HEAVY = {"torch", "transformers", "starlette", "uvicorn", "rich", "click", "safetensors"}
LOADED_LATE = {
    "numpy",
    "tokenizers",
    "orjson",
    "jsonschema_rs",
    "autograd",
    "opentelemetry",
    "matplotlib",
}


NETWORK = {"asyncio", "ssl", "pyqwest", "httpx"}


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


def test_imports_follow_the_arrows() -> None:
    """The contracts in pyproject.toml hold: rooms import the rooms below them, and there is no circle."""
    done = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_one_module_speaks_http_through_pyqwest(path: Path) -> None:
    """The HTTP library is used in one place, and Google's protobuf package nowhere."""
    module = name_of(path)
    for imported, node in imports(path):
        where = f"{module}:{node.lineno} imports {imported}"
        if is_below(imported, "pyqwest"):
            assert module == "tinkex._core.pyqwest_engine", where
        assert not is_below(imported, "google"), where
        assert not is_below(imported, "tinkex_generated.client"), where


def test_the_package_has_about_twenty_entries() -> None:
    """A newcomer sees few rooms; machinery goes into one of them."""
    entries = [path for path in PACKAGE.iterdir() if not path.name.startswith("__pycache__")]
    assert len(entries) <= 24, sorted(path.name for path in entries)


def test_the_embedded_server_is_imported_lazily_and_once() -> None:
    """One module opens the door to tinkex.local, inside of a function."""
    path = PACKAGE / "_core" / "embedded_server.py"
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
    """`import tinkex` leaves the network, numpy, orjson and everything optional for later."""
    assert not loaded_by("import tinkex") & (HEAVY | LOADED_LATE | NETWORK)


def test_the_service_client_loads_only_what_it_needs_at_once() -> None:
    """The network waits for the first client, numpy for the first array, orjson for the first request."""
    later = NETWORK | {"backoff", "email", "secrets"}
    assert not loaded_by("from tinkex import ServiceClient") & (HEAVY | LOADED_LATE | later)


def test_a_client_is_made_without_httpx() -> None:
    """Only injected transports, downloads and unchecked certificates need it."""
    made = (
        "from tinkex import ServiceClient, Config\nfrom tinkex._core.transport import Transport\n"
    )
    made += "Transport(Config(base_url='http://127.0.0.1:9')).close()"
    assert not loaded_by(made) & (HEAVY | {"httpx", "numpy", "tokenizers"})


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
        if isinstance(node, ast.ImportFrom) and node.module != "typing"
        for alias in node.names
    }
    modules = {name: f"{home}.{name}" for name, home in typed.items() if name in tinkex._MODULES}
    assert {name: home for name, home in typed.items() if name not in modules} == tinkex._HOMES
    assert modules.items() <= tinkex._MODULES.items()


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
            assert not is_sleep or name_of(path) == "tinkex._base.clock", f"line {node.lineno}"
