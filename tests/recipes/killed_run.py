"""Train by one method and die without warning after a step: URL METHOD FOLDER STEP."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from support.methods import train_by

from tinkex import ServiceClient
from tinkex.recipes import Listener, StepReport

url, method, folder, last = sys.argv[1:]


class Killed(Listener):
    def reported(self, report: StepReport) -> None:
        if report.step == int(last):
            os.kill(os.getpid(), signal.SIGKILL)


with ServiceClient(base_url=url) as service:
    train_by(method, service, Path(folder), listener=Killed())
