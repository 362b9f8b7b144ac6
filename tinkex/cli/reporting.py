"""Progress of a training run on the terminal and in its log."""

import contextlib
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tinkex.cli.interrupts import Interrupts
from tinkex.cli.invocation import Invocation
from tinkex.cli.text import is_terminal
from tinkex.observability.events import subscribe
from tinkex.observability.training_log import TrainingLog
from tinkex.recipes.folder import METRICS
from tinkex.recipes.loggers import MetricsLogger, logger
from tinkex.recipes.loop import Metrics, StepReport
from tinkex.recipes.prepare import Prepared
from tinkex.recipes.run import Listener, Sampled

if TYPE_CHECKING:
    from tinkex.recovery import RecoveryEvent, ResumableRun

# Lines about steps in a pipe, and those that remain above the progress line of a terminal.
_LINES = 20
_LINES_ABOVE = 10


class Reporter(Listener):
    """A listener that shows progress and logs the numbers of each step."""

    def __init__(
        self,
        invocation: Invocation,
        folder: Path,
        prepared: Prepared,
        interrupts: Interrupts,
        log_to: Sequence[str] = (),
    ) -> None:
        self._invocation = invocation
        self._folder = folder
        config = prepared.recipe.to_dict()
        # Not before the run has begun: one that is refused leaves nothing there.
        self._loggers: list[MetricsLogger] = []
        self._log_to = dict.fromkeys(log_to, config)
        self._total = prepared.steps
        self._interrupts = interrupts
        self._measured = ""
        self._begun = time.monotonic()
        self._steps = 0
        self._done = 0
        self._tokens = 0
        self._drawn = contextlib.ExitStack()
        self._log: TrainingLog | None = None

    def __enter__(self) -> Self:
        from tinkex.recovery import RecoveryCompleted, RecoveryStarted

        self._told = subscribe(self._recovered, RecoveryStarted, RecoveryCompleted)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._told.close()
        self._drawn.close()
        for one in self._loggers:
            one.close()
        if self._log is not None:
            self._log.close()

    def begun(self, run: "ResumableRun") -> None:
        """Report where the run continues; from here Ctrl-C finishes the current steps."""
        if run.resumed_from is not None:
            self._invocation.note(f"continuing after step {run.resumed_from} of {self._total}")
        self._done = run.resumed_from or 0
        self._loggers = [logger(name, self._folder, it) for name, it in self._log_to.items()]
        self._draw()
        self._begun = time.monotonic()
        self._interrupts.arm()

    def sampled(self, sample: Sampled) -> None:
        """Show the response of the untrained model; the result has both responses."""
        if sample.after is None:
            self._say(f"before training: {sample.prompt!r} -> {sample.before!r}")

    def sampled_at(self, step: int, samples: Sequence[tuple[str, str]]) -> None:
        """Show the response of the model at a checkpoint."""
        for prompt, text in samples:
            self._say(f"at step {step}: {prompt!r} -> {text!r}")

    def measured(self, measured: Metrics) -> None:
        """Show what was measured of the untrained model, and log it as step 0."""
        self._measured = _shown(measured)
        if self._measured and not self._invocation.no_progress:
            self._say(f"before training: {self._measured}")
        self._opened().step(0, **measured)
        for one in self._loggers:
            one.measured(measured)

    def reported(self, report: StepReport) -> None:
        """Draw and log a step."""
        self._steps += 1
        self._done = report.step
        self._tokens += report.tokens
        if report.measured:
            self._measured = _shown(report.measured)
        self._opened().step(
            report.step,
            loss=report.loss,
            grad_norm=report.grad_norm,
            learning_rate=report.learning_rate,
            epoch=report.epoch,
            tokens=report.tokens,
            **report.metrics,
            **report.measured,
        )
        for one in self._loggers:
            one.reported(report)
        remark = self._remark(report)
        with contextlib.suppress(OSError, ValueError):
            # If the reader is gone (a closed pipe, a terminal that hung up), training continues.
            self._show(report, remark)

    def _show(self, report: StepReport, remark: str) -> None:
        self._step(report.step, self._total, remark)
        if not self._invocation.no_progress:
            every = max(1, self._total // (_LINES_ABOVE if is_terminal(sys.stderr) else _LINES))
            if report.step % every == 0 or report.step in (1, self._total):
                self._invocation.note(f"step {report.step}/{self._total} {remark}")

    def _opened(self) -> TrainingLog:
        if self._log is None:
            # Not before: a run that is refused leaves no folder.
            self._log = TrainingLog(self._folder / METRICS)
        return self._log

    def _recovered(self, event: "RecoveryEvent") -> None:
        """Report that steps are repeated, and why."""
        from tinkex.recovery import RecoveryCompleted

        if isinstance(event, RecoveryCompleted):
            self._say(f"training continues from {event.checkpoint or 'the beginning'}")
        else:
            self._say("the model was lost; going back to the newest checkpoint")

    def _say(self, line: str) -> None:
        """Write a line above the progress line."""
        with contextlib.suppress(OSError, ValueError):
            self._drawn.close()
            self._invocation.note(line)
            self._draw()

    def _draw(self) -> None:
        self._step = self._drawn.enter_context(self._invocation.progress("Training"))
        self._step(self._done, self._total)

    def _remark(self, report: StepReport) -> str:
        # The mean since the start: results arrive in pairs, so single steps vary.
        seconds = max(time.monotonic() - self._begun, 1e-9)
        left = round((self._total - report.step) * seconds / self._steps)
        parts = [] if report.loss is None else [f"loss {report.loss:.4f}"]
        if report.loss is None and not report.metrics:
            parts = ["the server gives no loss"]
        parts += [_shown(report.metrics), self._measured]
        parts = [part for part in parts if part]
        parts.append(f"{self._tokens / seconds:,.0f} tokens/s")
        if left:
            parts.append(f"{left // 60}:{left % 60:02} left")
        return "  ".join(parts)


def _shown(metrics: Metrics) -> str:
    """Return the numbers that fit into a line: not those of each of several rewards."""
    return "  ".join(
        f"{shown(name)} {value:.4f}" for name, value in metrics.items() if "reward_" not in name
    )


def shown(name: str) -> str:
    """Return what people call a number.

    >>> shown("held_out_loss"), shown("reward_exact")
    ('validation loss', 'reward exact')
    """
    return name.replace("held_out_", "validation ").replace("_", " ")
