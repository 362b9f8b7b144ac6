"""Run the examples in order, and print a table of how long each took and how it ended.

    make examples                                   (or: python examples/run_all.py)
    python examples/run_all.py sampling_basic dpo   (those whose names contain one of the words)
    python examples/run_all.py --list

Without TINKER_API_KEY and TINKER_BASE_URL they share one embedded local server, whose data go when the
run ends; else they use the service that these name (the whole tasks, from demo on, use a hosted one only
if TINKER_BASE_URL names it). Files that they write are kept in examples-output.
An example may end well (ok), find that the server lacks what it shows (skipped), or fail. Exit code 1
if one failed, 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import ast
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tinkex import TinkexError

FOLDER = Path(__file__).resolve().parent

# Those that train come before those that look at what was trained.
ORDER = (
    "sampling_basic", "training_loop", "custom_loss_training", "forward_inference",
    "structured_regularizers", "structured_regularizers_live", "sessions_management",
    "checkpoints_management", "weights_inspection", "checkpoint_download", "async_client_creation",
    "cli_run_text", "cli_run_prompt_file", "metrics", "telemetry", "telemetry_reporter_demo",
    "retry_and_capture", "capabilities_and_logprobs", "file_upload_multipart", "adam_and_chunking",
    "llama3_tokenizer_override", "queue_reasons_and_sampling_throttling",
    "multimodal_resume_and_cleanup", "training_persistence", "checkpoint_multi_delete",
    "save_weights_and_sample", "queue_state_observer_demo", "recovery_simulated",
    "recovery_live_injected", "kimi_k2_sampling", "model_info_and_unload", "heartbeat_probe",
    "demo", "sft_jsonl", "rl_importance_sampling", "rl_tool_use", "dpo_preferences",
    "preferences_from_samples", "distillation", "prompt_distillation", "hyperparameter_sweep",
    "evaluate_checkpoint", "judge_evaluation",
)  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """How one example ended."""

    name: str
    seconds: float
    result: str

    @property
    def failed(self) -> bool:
        """Return whether it neither ended well nor was skipped."""
        return self.result not in ("ok", "skipped")


def find_examples() -> list[str]:
    """Return the names of all examples: the known ones in order, then any others."""
    # What they share has nothing to run.
    there = {
        path.stem
        for path in FOLDER.glob("*.py")
        if path != Path(__file__).resolve() and "\nif __name__ ==" in path.read_text("utf-8")
    }
    known = [name for name in ORDER if name in there]
    return known + sorted(there - set(known))


def summary(name: str) -> str:
    """Return the first line of an example's docstring."""
    text = ast.get_docstring(ast.parse((FOLDER / f"{name}.py").read_text("utf-8"))) or ""
    return text.partition("\n")[0]


def choose(words: Sequence[str]) -> list[str]:
    """Return the examples whose names contain one of the words; all of them without words."""
    names = find_examples()
    for word in words:
        if not any(word in name for name in names):
            sys.exit(f"error: no example is called like {word!r}; see run_all.py --list")
    return [name for name in names if not words or any(word in name for word in words)]


@contextmanager
def environment(output_dir: Path) -> Iterator[dict[str, str]]:
    """Yield the environment of the examples, with a local server if they are to use no other."""
    env = {"FORCE": "true", "TINKER_OUTPUT_DIR": str(output_dir / "checkpoints"), **os.environ}
    env["PYTHONUNBUFFERED"] = "1"
    if env.get("TINKER_API_KEY") or env.get("TINKER_BASE_URL"):
        print(f"Server: {env.get('TINKER_BASE_URL') or 'the hosted service, which bills this'}")
        yield env
        return
    try:
        from tinkex.local import LocalServer
    except ModuleNotFoundError as error:
        sys.exit(f"error: neither TINKER_API_KEY is set nor is there a local server: {error}")
    with LocalServer() as server:
        print(f"TINKER_API_KEY is not set: a local server is at {server.base_url}")
        yield {**env, "TINKER_BASE_URL": server.base_url}


def run(name: str, env: Mapping[str, str], output_dir: Path, quiet: bool, limit: float) -> Outcome:
    """Run one example, and show what it prints as it comes; if quiet, only when it failed."""
    print(f"\n== {name}  ({datetime.now().astimezone():%H:%M:%S})", flush=True)
    started = time.monotonic()
    lines: list[str] = []
    with subprocess.Popen(  # noqa: S603 - our own programs
        [sys.executable, str(FOLDER / f"{name}.py")],
        cwd=output_dir, env=dict(env), text=True, encoding="utf-8", errors="replace",
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as process:  # fmt: skip
        timer = threading.Timer(limit, process.kill)
        timer.start()
        try:
            for line in process.stdout or ():
                lines.append(line)
                if not quiet:
                    print(line, end="", flush=True)
        except BaseException:
            process.kill()
            raise
        finally:
            timer.cancel()
    seconds = time.monotonic() - started
    late = seconds >= limit
    outcome = Outcome(name, seconds, "too slow" if late else judge(process.returncode, lines))
    if quiet and outcome.failed:
        print("".join(lines), end="")
    print(f"-- {outcome.result} in {clock_time(outcome.seconds)}", flush=True)
    return outcome


def judge(code: int, lines: Sequence[str]) -> str:
    """Return the outcome of an example in a word."""
    if code != 0:
        return f"failed (exit code {code})"
    return "skipped" if any(line.startswith("Skipped: ") for line in lines) else "ok"


def clock_time(seconds: float) -> str:
    """Write a span as MM:SS, or HH:MM:SS from an hour on."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"


def show_table(outcomes: Sequence[Outcome]) -> None:
    """Print one line for each example, and the sum."""
    width = max((len(one.name) for one in outcomes), default=0)
    print(f"\n{'example':{width}}  seconds  result")
    for one in outcomes:
        print(f"{one.name:{width}}  {one.seconds:7.1f}  {one.result}")
    failed = sum(one.failed for one in outcomes)
    skipped = sum(one.result == "skipped" for one in outcomes)
    total = clock_time(sum(one.seconds for one in outcomes))
    good = len(outcomes) - failed - skipped
    print(f"\n{good} ok, {skipped} skipped, {failed} failed, in {total}")


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    first, _, more = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(
        description=first, epilog=more, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("words", nargs="*", help="parts of the names of the examples to run")
    parser.add_argument("--list", action="store_true", help="print the names, and run nothing")
    parser.add_argument("--quiet", action="store_true", help="show the output of failures alone")
    parser.add_argument("--fail-fast", action="store_true", help="stop after the first failure")
    parser.add_argument("--limit", type=float, default=600, help="seconds for each (600)")
    parser.add_argument("--output-dir", type=Path, default=Path("examples-output"))
    return parser.parse_args()


def main() -> int:
    """Run what was chosen."""
    arguments = parse_arguments()
    names = choose(arguments.words)
    if arguments.list:
        for name in names:
            print(f"{name:38} {summary(name)}")
        return 0
    for name in ORDER:
        if not arguments.words and name not in names:
            print(f"warning: {name}.py is missing", file=sys.stderr)
    output_dir = arguments.output_dir.resolve()
    output_dir.mkdir(parents=True, exist_ok=True)
    outcomes: list[Outcome] = []
    code = 0
    try:
        with environment(output_dir) as env:
            for name in names:
                outcomes.append(run(name, env, output_dir, arguments.quiet, arguments.limit))
                if outcomes[-1].failed:
                    code = 1
                    if arguments.fail_fast:
                        break
    except KeyboardInterrupt:
        code = 130
    show_table(outcomes)
    print(f"What they wrote is in {output_dir}")
    return code


if __name__ == "__main__":
    try:
        sys.exit(main())
    except TinkexError as error:
        sys.exit(f"error: {error}")
