"""Hold the training log to its file, its pictures, and what a crash or a second run may do to them."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from tinkex import training_log
from tinkex.errors import MissingDependencyError, TinkexError, ValidationError
from tinkex.observability.training_log import TrainingLog, read


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs" / "mine" / "metrics.jsonl"


def losses(path: Path) -> list[tuple[int, float]]:
    return [(record["step"], record["loss"]) for record in read(path)]


def test_each_step_is_a_line_of_json(path: Path) -> None:
    """Folders are made, numbers keep their kind, numpy's scalars too, and the time is noted."""
    with TrainingLog(path) as log:
        log.step(
            np.int64(1), loss=np.float32(2.5), grad_norm=1, learning_rate=1e-4,
            note="x", done=False, score=None,
        )  # fmt: skip
        written = json.loads(path.read_text())
    assert written.pop("time") > 1.7e9
    assert written == {
        "step": 1, "loss": 2.5, "grad_norm": 1, "learning_rate": 1e-4,
        "note": "x", "done": False, "score": None,
    }  # fmt: skip
    assert read(path)[0]["loss"] == 2.5


def test_what_is_not_finite_is_null(path: Path) -> None:
    """A loss that exploded leaves a line that any reader of JSON takes."""
    with TrainingLog(path) as log:
        log.step(1, loss=math.nan, grad_norm=math.inf)
    record = json.loads(path.read_text(), parse_constant=pytest.fail)
    assert (record["loss"], record["grad_norm"]) == (None, None)


@pytest.mark.parametrize(
    ("arguments", "where"),
    [
        ({"step": -1}, "step"),
        ({"step": 1.5}, "step"),
        ({"step": True}, "step"),
        ({"step": 1, "loss": np.zeros(2)}, "loss"),
        ({"step": 1, "metrics": {"a": 1}}, "metrics"),
    ],
)
def test_what_cannot_be_logged_is_refused_by_name(path: Path, arguments: dict, where: str) -> None:
    """Nothing is written then."""
    with TrainingLog(path) as log, pytest.raises(ValidationError, match=where):
        log.step(**arguments)
    assert path.read_text() == ""


def test_a_run_that_continues_replaces_what_it_does_again(path: Path) -> None:
    """Steps after the checkpoint that it went on from are those of the second run."""
    with TrainingLog(path) as log:
        for step in (1, 2, 3, 4):
            log.step(step, loss=float(step))
    with TrainingLog(path) as log:
        log.step(3, loss=30.0)
    assert losses(path) == [(1, 1.0), (2, 2.0), (3, 30.0)]
    assert all("resumed" not in record for record in read(path))


def test_a_step_may_be_told_in_pieces(path: Path) -> None:
    """An evaluation adds to the line of its step, also when it comes late."""
    with TrainingLog(path) as log:
        log.step(1, loss=1.0)
        log.step(2, loss=2.0)
        log.step(1, eval_loss=1.5)
    first, second = read(path)
    assert (first["loss"], first["eval_loss"], second["loss"]) == (1.0, 1.5, 2.0)


def test_a_line_that_a_crash_cut_short_is_dropped(path: Path) -> None:
    """Reading leaves it out, opening again removes it, and the next line stands alone."""
    with TrainingLog(path) as log:
        log.step(1, loss=1.0)
    with path.open("a") as file:
        file.write('{"step": 2, "lo')
    assert losses(path) == [(1, 1.0)]
    with TrainingLog(path) as log:
        log.step(2, loss=2.0)
    assert losses(path) == [(1, 1.0), (2, 2.0)]


def test_a_whole_last_line_without_its_end_is_kept(path: Path) -> None:
    """An editor that takes away the last line break takes no step away."""
    with TrainingLog(path) as log:
        log.step(1, loss=1.0)
    path.write_bytes(path.read_bytes().rstrip())
    with TrainingLog(path) as log:
        log.step(2, loss=2.0)
    assert losses(path) == [(1, 1.0), (2, 2.0)]


def test_a_program_that_is_killed_loses_no_step(path: Path) -> None:
    """Each line is with the system when `step` returns."""
    code = (
        "import os, sys; from tinkex.observability.training_log import TrainingLog\n"
        "log = TrainingLog(sys.argv[1]); log.step(1, loss=1.0); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert losses(path) == [(1, 1.0)]


def test_threads_do_not_mix_their_lines(path: Path) -> None:
    """All lines of many writers are whole."""
    with TrainingLog(path) as log:

        def write(first: int) -> None:
            for step in range(first, first + 50):
                log.step(step, loss=1.0, note="x" * 500)

        threads = [threading.Thread(target=write, args=(100 * n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(read(path)) == 200


def test_a_line_that_is_no_record_is_named(path: Path) -> None:
    """Another file by mistake is an error with its line, and so is one that is not there."""
    path.parent.mkdir(parents=True)
    path.write_text('{"step": 1}\nhello\n{"step": 2}\n')
    with pytest.raises(ValidationError, match="line 2"):
        read(path)
    with pytest.raises(ValidationError, match="there is no training log"):
        read(path.with_name("other.jsonl"))


def test_a_closed_log_says_so(path: Path) -> None:
    """Closing twice is fine; writing afterwards is not lost silently."""
    log = TrainingLog(path)
    log.close()
    log.close()
    with pytest.raises(TinkexError, match="was closed"):
        log.step(1, loss=1.0)


def shape(png: Path) -> tuple[int, int]:
    """Return width and height out of a PNG's header."""
    header = png.read_bytes()[:24]
    assert header[:8] == b"\x89PNG\r\n\x1a\n"
    return int.from_bytes(header[16:20]), int.from_bytes(header[20:24])


def test_the_picture_has_a_panel_for_each_curve(path: Path) -> None:
    """What was not logged takes no room; a gap and a single point are drawn as well."""
    with TrainingLog(path) as log:
        log.step(1, loss=2.0)
        one = log.plot(path.with_name("one.png"))
        for step in range(2, 100):
            log.step(step, loss=math.nan if step == 50 else 2.0 / step, learning_rate=1e-4)
            log.step(step, grad_norm=1.0 + step)
        log.step(100, loss=math.nan)
        three = log.plot(path.with_name("three.png"))
    assert shape(one)[0] == shape(three)[0]
    assert shape(three)[1] > 2 * shape(one)[1]
    assert sorted(found.name for found in path.parent.iterdir()) == [
        "metrics.jsonl", "one.png", "three.png",
    ]  # fmt: skip


def test_the_curves_of_the_picture_are_the_numbers_of_the_log(path: Path, monkeypatch) -> None:
    """Each panel shows the steps and the values that were logged."""
    from matplotlib.figure import Figure

    drawn: list[Figure] = []
    save = Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda self, *a, **k: (drawn.append(self), save(self, *a, **k))
    )
    with TrainingLog(path) as log:
        for step in (1, 2, 3):
            log.step(step, loss=4.0 - step, grad_norm=0.5, learning_rate=1e-3)
        log.plot(path.with_name("training.png"))
    axes = drawn[0].axes
    assert [axis.get_ylabel() for axis in axes] == ["loss", "gradient norm", "learning rate"]
    assert axes[0].lines[0].get_xydata().tolist() == [[1, 3.0], [2, 2.0], [3, 1.0]]
    assert axes[-1].get_xlabel() == "step"


def test_a_log_without_anything_to_draw_says_so(path: Path) -> None:
    """No empty picture is made."""
    with TrainingLog(path) as log:
        log.step(1, loss=math.nan, tokens=5)
        with pytest.raises(ValidationError, match="no loss, grad_norm or learning_rate"):
            log.plot(path.with_name("training.png"))
    assert not path.with_name("training.png").exists()


def test_without_matplotlib_the_error_names_the_command(path: Path, monkeypatch) -> None:
    """The log itself needs nothing but the core."""
    with TrainingLog(path) as log:
        log.step(1, loss=1.0)
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'tinkex\[plot\]'"):
        training_log.plot(path, path.with_name("training.png"))
