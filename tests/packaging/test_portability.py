"""What keeps the package running on systems that are not Linux, as far as Linux can tell."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tinkex

PACKAGE = Path(tinkex.__file__).parent
ROOT = PACKAGE.parent
# Modules and functions of Python that Windows lacks; fcntl has a test of its own below.
POSIX_MODULES = ("grp", "pty", "pwd", "resource", "termios", "tty", "syslog", "readline")
POSIX_FUNCTIONS = (
    "chown", "fchmod", "fork", "getpgid", "getuid", "geteuid", "killpg", "mkfifo", "posix_spawn",
    "pread", "pwrite", "register_at_fork", "sendfile", "setsid",
)  # fmt: skip
IMPORT_ALL = f"""
import importlib, os, pkgutil, sys
for name in {POSIX_MODULES!r}:
    sys.modules[name] = None
for name in {POSIX_FUNCTIONS!r}:
    if hasattr(os, name):
        delattr(os, name)
import tinkex
for module in pkgutil.walk_packages(tinkex.__path__, "tinkex."):
    if not module.name.endswith(("__main__", "jax_backend", "torch_backend")):
        importlib.import_module(module.name)
with tinkex.ServiceClient(base_url="local") as service:
    training = service.create_lora_training_client("tinkex/nano", rank=2)
    datum = tinkex.losses.completion_datum([1, 2], [3, 4])
    gradients, update = training.train_step([datum], "cross_entropy")
    update.result()
    print(gradients.result().loss > 0)
"""


def test_the_package_trains_without_what_only_posix_has(tmp_path: Path) -> None:
    """Every module loads and a step is trained, without resource and its like."""
    command = [sys.executable, "-W", "error", "-c", IMPORT_ALL]
    env = {**os.environ, "TINKEX_LOCAL_DIR": str(tmp_path)}
    done = subprocess.run(
        command, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr


def sources(*words: str) -> list[tuple[Path, ast.Module]]:
    """Return the modules that have any of the words."""
    texts = {path: path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")}
    found = {path: text for path, text in texts.items() if any(word in text for word in words)}
    assert found
    return [(path, ast.parse(text)) for path, text in found.items()]


def test_where_there_is_no_fcntl_files_are_locked_otherwise() -> None:
    """Each import of it stands below a question for the system, inside a function."""
    found = 0
    for path, tree in sources("fcntl"):
        asked = [
            node
            for function in ast.walk(tree)
            if isinstance(function, ast.FunctionDef)
            for node in ast.walk(function)
            if isinstance(node, ast.If) and "sys.platform" in ast.unparse(node.test)
        ]
        allowed = {id(inner) for node in asked for inner in ast.walk(node)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Import) and node.names[0].name == "fcntl":
                found += 1
                assert id(node) in allowed, f"{path}:{node.lineno}"
    assert found


def test_no_text_is_read_or_written_in_the_encoding_of_the_machine() -> None:
    """What is written on one system is read on another: text names its encoding."""
    for path, tree in sources("read_text", "write_text"):
        for node in ast.walk(tree):
            name = (
                node.func.attr
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
                else ""
            )
            if isinstance(node, ast.Call) and name in {"read_text", "write_text"}:
                given = len(node.args) > (name == "write_text")
                named = any(one.arg == "encoding" for one in node.keywords)
                assert given or named, f"{path}:{node.lineno}"


def test_file_names_can_be_checked_out_anywhere() -> None:
    """No tracked name has a character that Windows refuses, or differs from another by case alone."""
    if not (ROOT / ".git").exists():
        pytest.skip("this is no checkout")
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    names = done.stdout.splitlines()
    assert names
    assert not [name for name in names if re.search(r'[<>:"\\|?*]|[ .](/|$)', name)]
    assert len({name.lower() for name in names}) == len(names)
