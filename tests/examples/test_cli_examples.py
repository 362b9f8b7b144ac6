"""The examples of the command line run as a user runs them, and print what they claim."""

from __future__ import annotations

import json
import re
from pathlib import Path

from examples.test_examples import run


def test_cli_run_text_samples_and_gets_the_result_back(tmp_path: Path) -> None:
    """The command is shown as it is typed, its output follows, then what it returned."""
    done = run("cli_run_text", tmp_path, TINKER_NUM_SAMPLES="2", TINKER_MAX_TOKENS="5")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("TINKER_API_KEY is not set: using the embedded local server.")
    assert "Running: tinkex run --base-model tinkex/tiny-chat --base-url local" in done.stdout
    assert re.search(r"Sample 2:\n.*\nstop_reason=\w+ \| avg_logprob=-\d", done.stdout, re.DOTALL)
    assert re.search(r"^Returned 2: \d tokens, ended by ", done.stdout, re.MULTILINE)
    assert done.stderr == "Sampling complete (2 sequences)\n"


def test_cli_run_text_does_not_show_the_key(tmp_path: Path) -> None:
    """It stands in the arguments, and [REDACTED] stands in what is printed."""
    settings = {"TINKER_API_KEY": "tml-canary-key", "TINKER_BASE_URL": "local"}
    done = run("cli_run_text", tmp_path, TINKER_MAX_TOKENS="2", **settings)
    assert done.returncode == 0, done.stderr
    assert "--api-key '[REDACTED]'" in done.stdout
    assert "canary" not in done.stdout + done.stderr


def test_cli_run_prompt_file_reads_text_or_tokens(tmp_path: Path) -> None:
    """What was written is JSON; tokens that are given win over a prompt."""
    for settings in ({"TINKER_PROMPT": "Once"}, {"TINKER_PROMPT_TOKENS": "[5, 6, 7]"}):
        done = run("cli_run_prompt_file", tmp_path, TINKER_MAX_TOKENS="4", **settings)
        assert done.returncode == 0, done.stderr
        written = json.loads(done.stdout[done.stdout.index("{") :])
        assert written["type"] == "sample"
        assert 1 <= len(written["sequences"][0]["tokens"]) <= 4


def test_cli_run_text_says_what_is_wrong(tmp_path: Path) -> None:
    """A model that the server does not have is one line, and exit code 1."""
    done = run("cli_run_text", tmp_path, TINKER_BASE_MODEL="no/model")
    assert done.returncode == 1
    assert "no/model" in done.stderr
    assert "Traceback" not in done.stderr
