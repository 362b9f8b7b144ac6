"""The runner runs what it is told to, and its table and exit code say how it went."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from examples.test_examples import EXAMPLES
from support.interrupts import interrupt

from tinkex.local import LocalServer

GOOD = '"""Be fine."""\nif __name__ == "__main__":\n    print("all is well")\n'
BAD = '"""Fail."""\nimport sys\nif __name__ == "__main__":\n    sys.exit("error: it is broken")\n'
SKIP = '"""Skip."""\nif __name__ == "__main__":\n    print("Skipped: nothing here.")\n'
WRITE = (
    '"""Write what it was given."""\nimport os, pathlib\nif __name__ == "__main__":\n'
    '    pathlib.Path("seen.txt").write_text(os.environ["TINKER_BASE_URL"])\n'
)
SHARED = '"""Hold what others import."""\n'
LONG = (
    '"""Wait for ever."""\nimport threading\nif __name__ == "__main__":\n'
    "    print('waiting', flush=True)\n"
    "    threading.Event().wait()\n"
)


def run_all(
    runner: Path, home: Path, *arguments: str, **settings: str
) -> subprocess.CompletedProcess[str]:
    """Run the runner without a key."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("TINK")}
    return subprocess.run(
        [sys.executable, "-W", "error", str(runner), *arguments],
        env={**env, "HOME": str(home), **settings}, cwd=home, capture_output=True, text=True,
        timeout=120,
    )  # fmt: skip


def runner_over(folder: Path, **programs: str) -> Path:
    """Put the runner into a folder with other programs."""
    shutil.copy(EXAMPLES / "run_all.py", folder)
    for name, text in programs.items():
        (folder / f"{name}.py").write_text(text)
    return folder / "run_all.py"


def table(out: str) -> dict[str, str]:
    """Return the result of each example."""
    rows = re.findall(r"^(\w+) +[\d.]+  (.+)$", out, re.MULTILINE)
    return dict(rows)


def test_real_examples_share_a_server_that_the_runner_starts(tmp_path: Path) -> None:
    """Two examples run, one of them with the data of the other, and a model that is not there skips."""
    done = run_all(
        EXAMPLES / "run_all.py", tmp_path, "training_persistence", "sessions_management", "kimi"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert table(done.stdout) == {
        "sessions_management": "ok",
        "training_persistence": "ok",
        "kimi_k2_sampling": "skipped",
    }
    assert "a local server is at http://127.0.0.1:" in done.stdout
    assert "2 ok, 1 skipped, 0 failed" in done.stdout


def test_a_failure_is_in_the_table_and_in_the_exit_code(tmp_path: Path) -> None:
    """The others still run; modules without a program are left alone."""
    runner = runner_over(tmp_path, good=GOOD, bad=BAD, skip=SKIP, shared=SHARED)
    done = run_all(runner, tmp_path, TINKER_BASE_URL="http://127.0.0.1:9")
    assert done.returncode == 1
    assert table(done.stdout) == {"bad": "failed (exit code 1)", "good": "ok", "skip": "skipped"}
    assert "all is well" in done.stdout
    assert "warning: sampling_basic.py is missing" in done.stderr


def test_fail_fast_and_quiet(tmp_path: Path) -> None:
    """The first failure ends the run, and only its output is shown."""
    runner = runner_over(tmp_path, a_good=GOOD, b_bad=BAD, c_good=GOOD)
    done = run_all(runner, tmp_path, "--quiet", "--fail-fast", TINKER_BASE_URL="http://127.0.0.1:9")
    assert table(done.stdout) == {"a_good": "ok", "b_bad": "failed (exit code 1)"}
    assert "error: it is broken" in done.stdout
    assert "all is well" not in done.stdout


def test_an_example_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    """The limit is for each; nobody waits for ever."""
    runner = runner_over(tmp_path, long=LONG)
    done = run_all(runner, tmp_path, "--limit", "0.3", TINKER_BASE_URL="http://127.0.0.1:9")
    assert done.returncode == 1
    assert table(done.stdout) == {"long": "too slow"}


def test_ctrl_c_ends_the_example_and_shows_the_table(tmp_path: Path) -> None:
    """What ended before is in the table, and the exit code is that of an interrupt."""
    runner = runner_over(tmp_path, a_good=GOOD, b_long=LONG)
    with subprocess.Popen(
        [sys.executable, str(runner)],
        env={**os.environ, "TINKER_BASE_URL": "http://127.0.0.1:9"}, cwd=tmp_path,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        for line in process.stdout:
            # Not before the example runs: one that is just being started would outlive the interrupted runner.
            if line == "waiting\n":
                interrupt(process)
                break
        rest = process.stdout.read()
    assert process.returncode == 130
    assert table(rest) == {"a_good": "ok"}


def test_a_server_of_yours_is_used_and_files_land_in_one_folder(
    tmp_path: Path, shared_server: LocalServer
) -> None:
    """TINKER_BASE_URL reaches the examples, which write where the runner says."""
    runner = runner_over(tmp_path, write=WRITE)
    done = run_all(runner, tmp_path, "--output-dir", "kept", TINKER_BASE_URL=shared_server.base_url)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "kept" / "seen.txt").read_text() == shared_server.base_url


def test_with_a_key_the_examples_use_it_and_show_it_nowhere(tmp_path: Path) -> None:
    """A server that asks for a key lets them in; a wrong key fails without being shown either."""
    with LocalServer(api_key="tml-right-key-000") as server:
        settings = {"TINKER_BASE_URL": server.base_url, "TINKER_API_KEY": "tml-right-key-000"}
        done = run_all(EXAMPLES / "run_all.py", tmp_path, "sampling_basic", "cli_run_t", **settings)
        settings["TINKER_API_KEY"] = "tml-wrong-key-111"
        wrong = run_all(EXAMPLES / "run_all.py", tmp_path, "sampling_basic", **settings)
    assert table(done.stdout) == {"sampling_basic": "ok", "cli_run_text": "ok"}
    assert "tml-right-key-000" not in done.stdout + done.stderr
    assert table(wrong.stdout) == {"sampling_basic": "failed (exit code 1)"}
    assert "TINKER_API_KEY" in wrong.stdout
    assert "tml-wrong-key-111" not in wrong.stdout + wrong.stderr


def test_a_word_that_fits_nothing_is_named(tmp_path: Path) -> None:
    """Nothing is run."""
    done = run_all(EXAMPLES / "run_all.py", tmp_path, "no_such_example")
    assert done.returncode == 1
    assert "'no_such_example'" in done.stderr
    assert "==" not in done.stdout
