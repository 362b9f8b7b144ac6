"""Listeners that log a run's numbers to wandb, TensorBoard or trackio."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from tinkex.errors import MissingDependencyError, ValidationError
from tinkex.recipes.loop import Metrics, StepReport
from tinkex.recipes.run import Listener

Log = Callable[[Metrics, int], object]


class MetricsLogger(Listener):
    """Send what each step reports to an experiment tracker; used as a ``with`` block.

    Args:
        log: Logs numbers under a step.
        close: Ends the tracker's run.
    """

    def __init__(self, log: Log, close: Callable[[], object]) -> None:
        self._log = log
        self._close = close

    def measured(self, measured: Metrics) -> None:
        """Log what was measured before the first step, as step 0."""
        self._log(measured, 0)

    def reported(self, report: StepReport) -> None:
        """Log a step."""
        known = {
            "loss": report.loss,
            "learning_rate": report.learning_rate,
            "grad_norm": report.grad_norm,
            "epoch": report.epoch,
            "tokens": report.tokens,
            **report.metrics,
            **report.measured,
        }
        self._log({name: value for name, value in known.items() if value is not None}, report.step)

    def close(self) -> None:
        """End the tracker's run, and send what is left."""
        self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def wandb_logger(folder: Path, config: Mapping[str, Any]) -> MetricsLogger:
    """Return a listener that logs to Weights & Biases; ``WANDB_MODE=offline`` keeps it here.

    A run that is resumed continues in the same run there, as far as wandb allows it.
    """
    try:
        import wandb
    except ImportError as error:
        raise MissingDependencyError("logging to wandb", "wandb") from error
    run = wandb.init(
        project="tinkex", name=folder.resolve().name, dir=str(folder), config=dict(config)
    )
    return MetricsLogger(lambda values, step: run.log(dict(values), step=step), run.finish)


def tensorboard_logger(folder: Path, config: Mapping[str, Any]) -> MetricsLogger:
    """Return a listener that writes TensorBoard's files into ``tensorboard/`` in the run's folder."""
    try:
        from tensorboardX import SummaryWriter
    except ImportError as error:
        raise MissingDependencyError("logging to TensorBoard", "tensorboard") from error
    writer = SummaryWriter(logdir=str(folder / "tensorboard"))
    writer.add_text("config", "\n".join(f"    {name}: {one}" for name, one in config.items()))

    def log(values: Metrics, step: int) -> None:
        for name, value in values.items():
            writer.add_scalar(name, value, step)
        writer.flush()

    return MetricsLogger(log, writer.close)


def trackio_logger(folder: Path, config: Mapping[str, Any]) -> MetricsLogger:
    """Return a listener that logs to trackio, which keeps everything on this machine."""
    try:
        import trackio
    except ImportError as error:
        raise MissingDependencyError("logging to trackio", "trackio") from error
    run = trackio.init(
        project="tinkex", name=folder.resolve().name, config=dict(config), embed=False
    )
    return MetricsLogger(lambda values, step: run.log(dict(values), step=step), trackio.finish)


LOGGERS: Mapping[str, Callable[[Path, Mapping[str, Any]], MetricsLogger]] = {
    "wandb": wandb_logger,
    "tensorboard": tensorboard_logger,
    "trackio": trackio_logger,
}


def logger(name: str, folder: Path, config: Mapping[str, Any]) -> MetricsLogger:
    """Return the listener of a tracker by its name: "wandb", "tensorboard" or "trackio".

    Raises:
        ValidationError: There is none of that name.
        MissingDependencyError: Its package is not installed.
    """
    if name not in LOGGERS:
        raise ValidationError(f"must be one of {', '.join(LOGGERS)}, not {name!r}", path="log_to")
    return LOGGERS[name](folder, config)
