"""Recovery after crashes of the process, the machine, the server, or a single run.

`resumable` wraps a training loop, which then resumes at the right step after a crash.
`RecoveryMonitor` and `RecoveryExecutor` watch runs that are trained in other ways, and restore those that
the server reports as corrupted or has lost.

>>> from tinkex.recovery import resumable
>>> with resumable("runs/mine", service, base_model="tinkex/nano", checkpoint_every=50) as run:
...     for step in run.steps(1000):
...         with step:
...             run.training.train_step(batch_of(step), "cross_entropy", adam)[0].result()
"""

from tinkex.recovery.begin import resumable
from tinkex.recovery.events import (
    CheckpointSelected,
    ClientCreated,
    RecoveryCompleted,
    RecoveryDetected,
    RecoveryEvent,
    RecoveryExhausted,
    RecoveryFailed,
    RecoveryPollFailed,
    RecoveryStarted,
)
from tinkex.recovery.executor import RecoveryExecutor
from tinkex.recovery.monitor import RecoveryMonitor
from tinkex.recovery.policy import Recovered, RecoveryPolicy
from tinkex.recovery.run import ResumableRun
from tinkex.recovery.runfile import RunCheckpoint, RunRecord, read_run
from tinkex.recovery.steps import Step

__all__ = [
    "CheckpointSelected",
    "ClientCreated",
    "Recovered",
    "RecoveryCompleted",
    "RecoveryDetected",
    "RecoveryEvent",
    "RecoveryExecutor",
    "RecoveryExhausted",
    "RecoveryFailed",
    "RecoveryMonitor",
    "RecoveryPolicy",
    "RecoveryPollFailed",
    "RecoveryStarted",
    "ResumableRun",
    "RunCheckpoint",
    "RunRecord",
    "Step",
    "read_run",
    "resumable",
]
