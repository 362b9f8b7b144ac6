"""The examples of recovery run as a user runs them, and print what they claim."""

from __future__ import annotations

import re
from pathlib import Path

from examples.test_examples import output_of, run

SIMULATED = """\
1) Seeded checkpoint tinker://RUN/weights/0001
2) Simulated corruption on RUN
   tinkex.recovery.detected
   tinkex.recovery.started
   tinkex.recovery.checkpoint_selected
   tinkex.recovery.client_created
   tinkex.recovery.completed
3) Recovery succeeded from tinker://RUN/weights/0001 -> RUN-restored-1
4) Checkpoints processed: tinker://RUN/weights/0001, tinker://RUN/weights/0002
Final status:
  corrupted: False
  last_checkpoint: tinker://RUN/weights/0002
  completed: ['tinker://RUN/weights/0001', 'tinker://RUN/weights/0002']
  clients: ['RUN-restored-1']
  restored_with: weights and optimizer
"""


def test_recovery_simulated_prints_every_step(tmp_path: Path) -> None:
    """It needs no server, and prints the same in every run but for the run's id."""
    done = run("recovery_simulated", tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert re.sub(r"demo-run-[0-9a-f]{8}", "RUN", done.stdout) == SIMULATED


def test_recovery_live_injected_continues_in_a_new_client(tmp_path: Path) -> None:
    """The run that is called corrupted is restored from its checkpoint, and saves another."""
    out = output_of("recovery_live_injected", tmp_path)
    first = re.search(r"^Saved (tinker://\S+/weights/recovery-live-1-\d+)$", out, re.MULTILINE)[1]  # type: ignore[index]
    assert re.search(r"old client: <TrainingClient \S+:train:0 on tinkex/tiny-chat>", out)
    assert re.search(r"new client: <TrainingClient \S+:train:1 on tinkex/tiny-chat>", out)
    assert f"checkpoint: {first}\n" in out
    assert re.search(
        rf"Checkpoints: {first} and tinker://\S+:train:1/weights/recovery-live-2-\d+", out
    )
