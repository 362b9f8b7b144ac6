"""The examples about losses run as a user runs them, and print what they claim."""

from __future__ import annotations

import re
from pathlib import Path

from examples.test_examples import output_of, run


def test_structured_regularizers_prints_the_known_numbers(tmp_path: Path) -> None:
    """It needs no server, and its numbers are those of the reference."""
    done = run("structured_regularizers", tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert len(re.findall(r"^--- \d+\. ", done.stdout, re.MULTILINE)) == 16
    for line in (
        "loss 1.0800, perplexity 2.9447",
        "regularizer_total 0.2216, loss_total 1.3016",
        "base 0.3162, total 0.3195",
        "loss_total 1.1016, contribution 0.0216",
        "of sum(x²): 7.6681",
        "loss_total=1.1880 regularizer_total=0.1080",
        "duplicate names: ['dup']",
    ):
        assert line in done.stdout
    assert done.stdout.count("equal: True") == 2
    row = r"kl_forward +value +6\.0870 +x 0\.01 += +0\.0609 +grad norm 3\.7822"
    assert re.search(row, done.stdout)


def test_structured_regularizers_live_adds_up(tmp_path: Path) -> None:
    """The loss is the base loss plus all regularizers, each of which has its line."""
    out = output_of("structured_regularizers_live", tmp_path)
    metrics = {
        name: float(value)
        for name, value in re.findall(r"^  (\S+): (-?[\d.]+)$", out, re.MULTILINE)
    }
    total = metrics["base_loss:sum"] + metrics["regularizer_total:sum"]
    assert abs(metrics["loss:sum"] - total) < 1e-5
    assert len([name for name in metrics if name.startswith("regularizer/")]) == 10
    assert "Tokens: 11 targets" in out


def test_custom_loss_training_prints_its_metrics(tmp_path: Path) -> None:
    """The user's metric, the loss and the first output are shown."""
    out = output_of("custom_loss_training", tmp_path)
    assert "'custom_perplexity': " in out
    assert "'loss:sum': " in out
    assert "First output: {'logprobs': TensorData(float32" in out
    assert "Success" in out
