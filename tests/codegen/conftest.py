"""The toy API of fixtures/spec.yaml, generated once, and a server to talk to."""

from __future__ import annotations

import http.server
import importlib
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs
import httpx
import pytest

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = Path(__file__).parent / "fixtures"
SPEC = FIXTURES / "spec.yaml"
SPECS = FIXTURES / "specs"
PUBLIC = FIXTURES / "public"


def run_generate(*arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run codegen/generate.py as `make generate` does."""
    command = [sys.executable, str(ROOT / "codegen" / "generate.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


@pytest.fixture(scope="session")
def generate_command() -> Callable[..., subprocess.CompletedProcess[str]]:
    """The generator's command line."""
    return run_generate


@pytest.fixture(scope="session")
def generator() -> Iterator[ModuleType]:
    """The module codegen/generate.py."""
    sys.path.insert(0, str(ROOT / "codegen"))
    yield importlib.import_module("generate")
    sys.path.remove(str(ROOT / "codegen"))


@pytest.fixture(scope="session")
def toy_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the generated toy package."""
    folder = tmp_path_factory.mktemp("toy") / "toy_generated"
    done = run_generate("--spec", SPEC, "--output", folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def toy(toy_folder: Path) -> Iterator[Callable[[str], Any]]:
    """Import a module of the toy package by its name below the package."""
    sys.path.insert(0, str(toy_folder.parent))

    def load(name: str = "") -> Any:
        return importlib.import_module(f"toy_generated.{name}" if name else "toy_generated")

    yield load
    sys.path.remove(str(toy_folder.parent))


@pytest.fixture(scope="session")
def models(toy: Callable[[str], Any]) -> Any:
    """The models of the toy package."""
    return toy("models")


@attrs.define
class Described:
    """The packages made from the descriptions of a folder of fixtures, by the files' names."""

    folder: Path
    refusals: dict[str, str] = attrs.field(factory=dict)

    def package(self, name: str) -> Callable[..., Any]:
        """Return what imports a module of a package by its name below that."""
        assert name not in self.refusals, self.refusals.get(name)

        def load(module: str = "") -> Any:
            return importlib.import_module(f"described_{name}{'.' if module else ''}{module}")

        return load


@pytest.fixture(scope="session")
def described(
    generator: ModuleType, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Described]:
    """All descriptions of fixtures/specs and fixtures/public, generated in this process."""
    made = Described(tmp_path_factory.mktemp("described"))
    compiled = tmp_path_factory.mktemp("compiled")
    for path in sorted([*SPECS.glob("*.yaml"), *PUBLIC.glob("*.yaml")]):
        try:
            generator.write(path, made.folder / f"described_{path.stem}", compiled)
        except generator.GenerationError as error:
            made.refusals[path.stem] = str(error)
    generator.tidy(made.folder)
    sys.path.insert(0, str(made.folder))
    yield made
    sys.path.remove(str(made.folder))


@attrs.define
class Server:
    """A loopback server that gives one prepared answer and keeps what it was asked."""

    base_url: str = ""
    status: int = 200
    headers: dict[str, str] = attrs.field(factory=dict)
    body: bytes = b"{}"
    asked: list[tuple[str, str, dict[str, str], bytes]] = attrs.field(factory=list)

    def reached(self) -> dict[str, Any]:
        """Return what a client is made with; to load certificates takes longer than a test."""
        return {"base_url": self.base_url, "transport": httpx.HTTPTransport(verify=False)}


@pytest.fixture
def server() -> Iterator[Server]:
    """A server on a loopback port."""
    state = Server()

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self) -> None:
            length = int(self.headers.get("content-length", 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            state.asked.append((self.command, self.path, headers, self.rfile.read(length)))
            self.send_response(state.status)
            for name, value in state.headers.items():
                self.send_header(name, value)
            if state.status != 204:
                self.send_header("content-length", str(len(state.body)))
            self.end_headers()
            if state.status != 204 and self.command != "HEAD":
                self.wfile.write(state.body)

        do_GET = do_POST = do_DELETE = do_PATCH = do_HEAD = answer

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        state.base_url = f"http://127.0.0.1:{httpd.server_address[1]}/prefix"
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield state
        httpd.shutdown()
        thread.join()
