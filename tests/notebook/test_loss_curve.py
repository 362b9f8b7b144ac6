"""The loss curve of a log as a picture, without a notebook."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import pytest

from tinkex.errors import TokenizerError
from tinkex.observability.loss_curve import curve
from tinkex.observability.training_log import TrainingLog
from tinkex.types import SampledSequence, SampleResponse
from tinkex.types.outputs import Decoder, decoded_by


def test_a_long_run_is_drawn_with_few_points() -> None:
    """A hundred thousand steps make no picture of megabytes, and the last step is in it."""
    page = curve([{"step": step, "loss": 1 / step} for step in range(1, 100_001)])
    assert len(page) < 10_000
    assert ">step 100000<" in page


def test_losses_that_are_no_number_are_gaps() -> None:
    """A diverged step interrupts the line."""
    losses = [3.0, 2.0, None, 2.5, 2.0]
    page = curve([{"step": step, "loss": loss} for step, loss in enumerate(losses)])
    assert len(re.findall("<polyline", page)) == 2
    assert "nan" not in page


def test_a_log_without_a_loss_says_so(tmp_path: Path) -> None:
    """A log that has just begun is shown, too."""
    with TrainingLog(tmp_path / "metrics.jsonl") as log:
        assert log._repr_html_() == "<p>no loss has been logged yet</p>"


def test_a_log_in_a_terminal_shows_its_path(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """IPython without a notebook gets the plain form."""
    with TrainingLog(tmp_path / "metrics.jsonl") as log:
        log._ipython_display_()
    assert capsys.readouterr().out == f"<TrainingLog {tmp_path / 'metrics.jsonl'}>\n"


def test_a_response_without_a_tokenizer_shows_its_tokens() -> None:
    """A tokenizer that is not to be had makes no cell fail."""

    def missing() -> None:
        raise TokenizerError("there is none")

    response = decoded_by(SampleResponse([SampledSequence([5, 6])]), Decoder(missing))
    assert "<th>token ids</th>" in response._repr_html_()
    assert "[5, 6]" in response._repr_html_()


def test_a_response_travels_without_its_client() -> None:
    """Its copy in another process is equal, and does not bring a connection along."""
    response = decoded_by(SampleResponse([SampledSequence([5, 6])]), Decoder(lambda: None))
    copy = pickle.loads(pickle.dumps(response))
    assert copy == response
    assert "[5, 6]" in copy._repr_html_()
