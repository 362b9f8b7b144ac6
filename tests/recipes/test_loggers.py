"""Experiment trackers get every number of a run; each real package is asked, where it is installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tinkex.errors import MissingDependencyError, ValidationError
from tinkex.recipes import StepReport
from tinkex.recipes.loggers import LOGGERS, MetricsLogger, logger

REPORTS = [
    StepReport(1, 0.5, 2.0, 1e-3, None, 10, {"reward": 0.25}),
    StepReport(2, 1.0, None, 5e-4, 0.7, 12, {}, {"held_out_loss": 1.5}),
]


def log_all(to: MetricsLogger) -> None:
    with to:
        to.measured({"held_out_loss": 3.0})
        for report in REPORTS:
            to.reported(report)


def test_a_step_is_logged_with_all_that_is_known() -> None:
    """What is not known is left out; what was measured before the first step is step 0."""
    seen: dict[int, Any] = {}
    closed: list[int] = []
    log_all(
        MetricsLogger(lambda values, step: seen.update({step: values}), lambda: closed.append(1))
    )
    assert seen == {
        0: {"held_out_loss": 3.0},
        1: {"loss": 2.0, "learning_rate": 1e-3, "epoch": 0.5, "tokens": 10, "reward": 0.25},
        2: {
            "learning_rate": 5e-4,
            "grad_norm": 0.7,
            "epoch": 1.0,
            "tokens": 12,
            "held_out_loss": 1.5,
        },
    }
    assert closed == [1]


@pytest.mark.parametrize(
    ("name", "module"),
    [("wandb", "wandb"), ("tensorboard", "tensorboardX"), ("trackio", "trackio")],
)
def test_a_tracker_that_is_not_installed_is_named(
    name: str, module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the line that installs it."""
    monkeypatch.setitem(__import__("sys").modules, module, None)
    with pytest.raises(MissingDependencyError, match=name):
        logger(name, tmp_path, {})
    with pytest.raises(ValidationError, match="must be one of wandb, tensorboard, trackio"):
        logger("none", tmp_path, {})


def test_tensorboard_has_files_to_read(tmp_path: Path) -> None:
    """In the run's folder."""
    pytest.importorskip("tensorboardX")
    log_all(LOGGERS["tensorboard"](tmp_path, {"rank": 4}))
    [file] = (tmp_path / "tensorboard").iterdir()
    content = file.read_bytes()
    assert all(name in content for name in (b"held_out_loss", b"reward", b"grad_norm"))


def test_wandb_works_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything stays in the run's folder."""
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    log_all(LOGGERS["wandb"](tmp_path, {"rank": 4}))
    assert list(tmp_path.glob("wandb/offline-run-*/*.wandb"))


def test_trackio_keeps_everything_on_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In its own folder."""
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    pytest.importorskip("trackio")
    log_all(LOGGERS["trackio"](tmp_path, {"rank": 4}))
    assert list((tmp_path / "trackio").glob("*.db"))
