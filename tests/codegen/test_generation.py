"""The generation itself: deterministic, checked for drift, loud when something is missing."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SPEC = Path(__file__).parent / "fixtures" / "spec.yaml"
TEMPLATES = ROOT / "codegen" / "templates"

# The upstream templates that ours replace, as they are in the pinned generator. When this fails
# after an upgrade, read what changed there, change ours accordingly, then record the new sums.
UPSTREAM = {
    "api_init.py.jinja": "f3b0290732b219be73b204cc3a44170eab0b64299a485a093306c6cc20d064cc",
    "client.py.jinja": "4eac65762f21014a7fbf59e730f1be6d28c9c85ddc1c40b458b6ff5f67a64c9e",
    "endpoint_init.py.jinja": "c1837a037fdbbd85b5dc1d49f58bd80a672fe4496cfaaf84d3b91927027b56da",
    "endpoint_module.py.jinja": "c1b2628053eb4875ba59566baa5ae907666f9cbfafa308d93f970a4404b7cd52",
    "errors.py.jinja": "b6ba7ea79aa7d7f24b47119985d1ed20268d3da0ab70309ee138088a106b6af9",
    "literal_enum.py.jinja": "04f2eb9334dd543ab7fa91a1fe3a73e7d5f2cf50e09d864429ddb58e506c8b68",
    "model.py.jinja": "fd1c79680d51c06cfbb89809ad123750ba9add98b688036c04cabbf1f8ba40a0",
    "models_init.py.jinja": "4f64a3d6e1b15a561be5573c1b7702eb928c0e4fa6b67107d20e57a74c44d51a",
    "package_init.py.jinja": "ac15907e32dc39bd9b83ea6f2002fb87514f2182b97f88231b5a9c47321f6210",
    "types.py.jinja": "93df9d75883a4eafac77dd21bc6907f3ef612e3f7841e08656618dcf6c4ce494",
}


UNSUPPORTED = """
openapi: 3.1.0
info: {title: t, version: '1'}
paths:
  /a:
    get:
      operationId: a
      tags: [x]
      responses:
        '200': {description: d, content: {application/xml: {schema: {type: object}}}}
"""


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_output_is_the_same_on_every_run_and_from_anywhere(
    generate_command: Callable[..., Any], toy_folder: Path, tmp_path: Path
) -> None:
    """Hash seeds, the working directory, the locale and foreign ruff settings leave no trace."""
    elsewhere = tmp_path / "work"
    elsewhere.mkdir()
    (elsewhere / ".gitignore").write_text("*\n")
    (elsewhere / "ruff.toml").write_text("line-length = 40\n")
    again = elsewhere / "toy_generated"
    done = generate_command(
        "--spec",
        os.path.relpath(SPEC, elsewhere),
        "--output",
        "toy_generated",
        cwd=elsewhere,
        env={**os.environ, "PYTHONHASHSEED": "12345", "LC_ALL": "C", "PATH": "/usr/bin:/bin"},
    )
    assert done.returncode == 0, done.stderr
    assert contents(again) == contents(toy_folder)


def test_check_reports_drift(
    generate_command: Callable[..., Any], toy_folder: Path, tmp_path: Path
) -> None:
    """--check compares without git, prints each file that differs, and changes nothing."""
    kept = tmp_path / "toy_generated"
    shutil.copytree(toy_folder, kept, ignore=shutil.ignore_patterns("__pycache__"))
    with (kept / "errors.py").open("ab") as file:
        file.write(b"# edited by hand\n")
    (kept / "models" / "run.py").unlink()
    (kept / "models" / "old.py").write_bytes(b"")
    before = contents(kept)
    done = generate_command("--check", "--spec", SPEC, "--output", kept)
    assert done.returncode == 1
    assert done.stdout.splitlines()[1:] == [
        "    differs  errors.py",
        "    stale    models/old.py",
        "    missing  models/run.py",
    ]
    assert contents(kept) == before


def test_no_differences_means_up_to_date(generator: ModuleType, toy_folder: Path) -> None:
    """Compiled files beside the sources do not count."""
    assert generator.differences(toy_folder, toy_folder) == []


def test_writing_removes_what_was_there(generator: ModuleType, tmp_path: Path) -> None:
    """Files of operations that are gone do not stay behind, nor do temporary folders."""
    made, output = tmp_path / "made", tmp_path / "output"
    for folder, name in ((made, "new.py"), (output, "old.py")):
        folder.mkdir()
        (folder / name).write_bytes(b"")
    generator.replace(made, output)
    assert sorted(contents(tmp_path)) == ["made/new.py", "output/new.py"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["made", "output"]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (None, "no API description at"),
        ("a: [", "is not YAML"),
        ("openapi: 3.1.0", "has no paths"),
        (
            UNSUPPORTED,
            "paths./a.get.responses.200.content.application/xml: describes more than a string",
        ),
    ],
)
def test_a_bad_description_leaves_the_output_alone(
    generate_command: Callable[..., Any], tmp_path: Path, spec: str | None, message: str
) -> None:
    """Whatever the generator would only warn about and leave out is an error."""
    path, output = tmp_path / "spec.yaml", tmp_path / "kept"
    if spec is not None:
        path.write_text(spec)
    output.mkdir()
    (output / "file.py").write_bytes(b"")
    done = generate_command("--spec", path, "--output", output)
    assert done.returncode == 2
    assert message in done.stderr
    assert sorted(contents(output)) == ["file.py"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("ruff==0.0.1", "ruff 0.0.1 is needed"),
        ("openapi-python-client==99", "openapi-python-client 99 is needed"),
        ("no-such-tool==1", "none is installed"),
    ],
)
def test_other_tools_than_the_pinned_are_refused(
    generator: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    line: str,
    message: str,
) -> None:
    """Another version writes other bytes, so nothing is written with it."""
    (tmp_path / "requirements.txt").write_text(f"# a comment\n{line}\n")
    monkeypatch.setattr(generator, "FOLDER", tmp_path)
    with pytest.raises(generator.GenerationError, match=message):
        generator.check_tools()


def test_upstream_templates_are_those_that_ours_replace() -> None:
    """An upgrade of the generator has to look at every template that is replaced here."""
    spec = importlib.util.find_spec("openapi_python_client")
    assert spec is not None
    assert spec.origin is not None
    folder = Path(spec.origin).parent / "templates"
    replaced = {path.name for path in TEMPLATES.glob("*.py.jinja")}
    found = {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in sorted(replaced)
    }
    assert found == UPSTREAM


def test_the_package_is_marked_and_holds_the_description(toy_folder: Path, toy: Any) -> None:
    """Type checkers see the types, every module forbids edits, and the server finds the spec."""
    assert (toy_folder / "py.typed").read_bytes() == b""
    embedded = (toy_folder / "openapi.json").read_bytes()
    assert toy("types").loads(embedded)["info"]["title"] == "Toy API"
    assert b'"x-tinkex-wire-path":"/api/v1/train"' in embedded
    for path in toy_folder.rglob("*.py"):
        assert path.read_text(encoding="utf-8").startswith("# Generated from openapi.yaml")


def test_the_output_holds_neither_async_twins_nor_sentinels(toy_folder: Path) -> None:
    """What the stock templates would bring is gone."""
    for name, content in contents(toy_folder).items():
        for word in (b"async", b"Unset", b"UNSET", b"HTTPStatus"):
            assert word not in content, name


def test_an_endpoint_imports_only_what_it_needs(toy_folder: Path) -> None:
    """Neither other models nor httpx, orjson or numpy load with an endpoint module."""
    script = (
        "import sys; import toy_generated.api.training.train as t; from toy_generated.models import Run;"
        "print(*sorted(n for n in sys.modules if n.startswith('toy_generated.models.')"
        " or n in ('httpx', 'orjson', 'numpy')))"
    )
    done = subprocess.run(
        [sys.executable, "-B", "-c", script],
        cwd=toy_folder.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    names = "datum encoded_text_chunk image_chunk image_chunk_format model_input optimizer_config"
    names += " checkpoint owner pointer_chunk pointer_chunk_format promise run tensor_data"
    names += " tensor_dtype train_request train_request_loss"
    assert done.stdout.split() == sorted(f"toy_generated.models.{name}" for name in names.split())
