"""The workflows of the code host: sound, pinned, and no more than calls of make."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
pytestmark = pytest.mark.skipif(not GITHUB.exists(), reason="an sdist has no workflows")
# Each form of file, and the schema of it that the checker brings along.
SCHEMAS = {
    "workflows/*.yml": ["vendor.github-workflows", "custom.github-workflows-require-timeout"],
    "dependabot.yml": ["vendor.dependabot"],
    "ISSUE_TEMPLATE/[!c]*.yml": ["vendor.github-issue-forms"],
    "ISSUE_TEMPLATE/config.yml": ["vendor.github-issue-config"],
}
TARGETS = set(
    re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
)


def tool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    name, *rest = map(str, arguments)
    command = [str(Path(sys.executable).with_name(name)), *rest]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_the_workflows_have_no_known_weakness() -> None:
    """No injected text, no token that is left lying about, no right too many, no action by a tag."""
    done = tool("zizmor", "--offline", "--no-progress", "--strict-collection", GITHUB)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr.count("completed") > len(WORKFLOWS)


@pytest.mark.parametrize("pattern", SCHEMAS)
def test_each_file_is_what_the_code_host_reads(pattern: str) -> None:
    """A misspelled key would be passed over in silence."""
    files = sorted(GITHUB.glob(pattern))
    assert files
    for schema in SCHEMAS[pattern]:
        done = tool("check-jsonschema", "--no-cache", "--builtin-schema", schema, *files)
        assert done.returncode == 0, done.stdout + done.stderr


def steps(workflow: Path) -> list[dict[str, Any]]:
    jobs = yaml.safe_load(workflow.read_text(encoding="utf-8"))["jobs"].values()
    return [step for job in jobs for step in job["steps"]]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_only_calls_make(workflow: Path) -> None:
    """What it runs can be run here, too: each of its lines is one make, of targets that exist."""
    text = workflow.read_text(encoding="utf-8")
    of_the_matrix = set(re.findall(r"target: \[?([a-z-]+)", text))
    for step in steps(workflow):
        if "run" not in step:
            continue
        program, *words = step["run"].split()
        assert program == "make"
        named = {word for word in words if re.fullmatch("[a-z-]+", word)}
        assert named <= TARGETS
        assert named or "matrix.target" in step["run"]
    assert of_the_matrix <= TARGETS


def test_every_python_that_is_promised_is_in_the_matrix() -> None:
    """On all three systems, and no classifier without one."""
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    promised = re.findall(r"Programming Language :: Python :: (3\.\d+)", project)
    text = (GITHUB / "workflows" / "tests.yml").read_text(encoding="utf-8")
    matrix = yaml.safe_load(text)["jobs"]["matrix"]["strategy"]["matrix"]
    assert matrix["python"] == promised
    on_windows = [one["python"] for one in matrix["include"] if "windows" in one["os"]]
    assert on_windows == promised
