"""Build what is published into dist/: `make dist`, or `make dist TAG=v1.2.3` for a release.

With a tag it holds that the tag, the package and the changelog name one version. The wheel is made from the sdist,
so that both are made from the same files.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DIST = ROOT / "dist"


def differing(tag: str, root: Path = ROOT) -> list[str]:
    """Return what does not name the version of a tag."""
    version = tag.removeprefix("v")
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    code = (root / "tinkex" / "_base" / "version.py").read_text(encoding="utf-8")
    changes = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## \[?([^\s\]]+)", changes, re.MULTILINE)
    return [
        name
        for name, names_it in {
            "the tag (it is no v and three numbers)": re.fullmatch(r"v\d+\.\d+\.\d+\S*", tag),
            "pyproject.toml": project["version"] == version,
            "tinkex/_base/version.py": f'__version__ = "{version}"' in code,
            "the newest heading of CHANGELOG.md": headings[:1] == [version],
        }.items()
        if not names_it
    ]


def build(target: str, source: Path, folder: Path) -> None:
    """Build a wheel or an sdist of a folder into another one."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(folder)]
    subprocess.run(command, cwd=source, check=True)


def main() -> int:
    """Build both; return 1 if the tag fits something else."""
    tag = next(iter(sys.argv[1:]), "")
    if tag and (wrong := differing(tag)):
        print(f"error: {tag} is not the version of {', '.join(wrong)}", file=sys.stderr)
        return 1
    shutil.rmtree(DIST, ignore_errors=True)
    build("sdist", ROOT, DIST)
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(next(DIST.glob("*.tar.gz"))) as archive:
            archive.extractall(folder, filter="data")
        build("wheel", next(Path(folder).iterdir()), DIST)
    print(*sorted(file.name for file in DIST.iterdir()), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
