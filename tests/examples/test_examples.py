"""The examples run as a user runs them, and print what they claim."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from support.extent import ALL
from support.programs import run_program

from tinkex.local import LocalServer

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(
    name: str, home: Path, *arguments: str, **settings: str
) -> subprocess.CompletedProcess[str]:
    """Run an example in a process and a home folder of its own, without a key."""
    env = {
        name: value for name, value in os.environ.items() if not name.startswith(("TINK", "HF_"))
    }
    env |= {"HOME": str(home), "TINKEX_LOCAL_DIR": str(home / "data"), **settings}
    file = EXAMPLES / f"{name}.py"
    return run_program(file, *arguments, options=("-W", "error"), env=env, folder=home, afresh=ALL)


def output_of(name: str, home: Path, **settings: str) -> str:
    """Return what an example prints; it must end well and leave stderr empty."""
    done = run(name, home, **settings)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.startswith("TINKER_API_KEY is not set: using the embedded local server.")
    return done.stdout


def output_on(server: LocalServer, name: str, home: Path, *arguments: str, **settings: str) -> str:
    """Return what an example prints that uses a server which others use too."""
    done = run(name, home, *arguments, TINKER_BASE_URL=server.base_url, **settings)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_a_program_that_is_forked_is_like_one_of_its_own(tmp_path: Path) -> None:
    """With its own arguments, environment, folder and streams, it ends as it would alone."""
    file = tmp_path / "program.py"
    file.write_text(
        "import os, sys\n"
        "print(__name__, __file__, sys.argv, sys.path[0], os.getcwd(), sorted(os.environ))\n"
        "sys.exit('no')\n"
    )
    folder = tmp_path / "here"
    folder.mkdir()
    forked, alone = (
        run_program(
            file,
            "a",
            options=("-W", "error"),
            env={"LC_ALL": "C.UTF-8"},
            folder=folder,
            afresh=afresh,
        )
        for afresh in (False, True)
    )
    assert (forked.returncode, forked.stderr) == (1, "no\n")
    assert (forked.stdout, forked.stderr) == (alone.stdout, alone.stderr)


def test_sampling_basic_prints_each_sample(tmp_path: Path) -> None:
    """As many samples come back as were asked for, as text."""
    out = output_of("sampling_basic", tmp_path, TINKER_NUM_SAMPLES="2", TINKER_MAX_TOKENS="12")
    assert "Sampling 2 sequence(s) from tinkex/tiny-chat" in out
    assert "Received 2 sequence(s)" in out
    assert len(re.findall(r"^  Hello from Tinkex!\|", out, re.MULTILINE)) == 2


def test_training_loop_lowers_the_loss(tmp_path: Path) -> None:
    """Each step's loss is below the one before, and the weights are saved and sampled from."""
    out = output_of("training_loop", tmp_path, TINKER_STEPS="4", TINKER_SAMPLE_AFTER_TRAIN="1")
    losses = [float(value) for value in re.findall(r"  loss per token ([\d.]+);", out)]
    assert len(losses) == 4
    assert losses == sorted(losses, reverse=True)
    assert re.search(r"tinker://.+/sampler_weights/sampler-weights", out)
    assert "Sample: Hello from fine-tuned weights!|" in out


def test_save_weights_and_sample_samples_from_the_snapshot(tmp_path: Path) -> None:
    """The snapshot can be sampled from at once."""
    out = output_of("save_weights_and_sample", tmp_path, TINKER_MAX_TOKENS="8")
    assert "LoRA rank 8" in out
    assert "--- Sample 1 ---\nHello from Tinkex!|" in out


def test_save_weights_and_sample_keeps_a_checkpoint_when_asked(tmp_path: Path) -> None:
    """With a time to live the snapshot becomes a checkpoint with a path."""
    out = output_of("save_weights_and_sample", tmp_path, TINKER_SAVE_TTL_SECONDS="3600")
    assert re.search(r"Saved for 3600 s as tinker://.+/sampler_weights/snapshot-\d+", out)


def test_async_client_creation_makes_clients_side_by_side(tmp_path: Path) -> None:
    """Three clients are made, the last of them restored from a checkpoint of the second."""
    out = output_of("async_client_creation", tmp_path)
    assert re.search(r"✓ sampling client: <SamplingClient tinkex/tiny-chat>", out)
    assert re.search(r"✓ training client: <TrainingClient .+:train:0 on tinkex/tiny-chat>", out)
    assert re.search(r"Saved as tinker://.+/weights/async-demo-\d+", out)
    assert re.search(r"✓ restored client: <TrainingClient .+:train:1 on tinkex/tiny-chat>", out)


def test_async_client_creation_tells_which_path_failed(tmp_path: Path) -> None:
    """A checkpoint that is not there is a line of its own, and the exit code says so."""
    missing = "tinker://a:train:0/sampler_weights/x"
    done = run("async_client_creation", tmp_path, TINKER_CHECKPOINT_PATHS=missing)
    assert done.returncode == 1
    assert f"✗ {missing}:" in done.stdout
    assert "0 of 1 clients" in done.stdout


def test_checkpoint_download_brings_a_whole_adapter(tmp_path: Path) -> None:
    """Without a checkpoint one is made; its files arrive; a second run needs FORCE."""
    settings = {"TINKER_OUTPUT_DIR": str(tmp_path / "got")}
    out = output_of("checkpoint_download", tmp_path, **settings)
    assert "No checkpoint to download yet" in out
    folder = Path(re.search(r"^Complete: (.+)$", out, re.MULTILINE)[1])  # type: ignore[index]
    assert {file.name for file in folder.iterdir()} >= {
        "adapter_config.json",
        "adapter_model.safetensors",
        "checkpoint_complete",
    }
    again = run("checkpoint_download", tmp_path, **settings)
    assert again.returncode == 1
    assert "FORCE=true" in again.stderr
    assert (
        output_of("checkpoint_download", tmp_path, **settings, FORCE="true").count("Complete") == 1
    )


@pytest.mark.parametrize("name", ["sampling_basic", "training_loop"])
def test_a_wrong_key_is_one_clear_line(name: str, tmp_path: Path) -> None:
    """A key of another service is refused before anything is sent, without a traceback."""
    done = run(name, tmp_path, TINKER_API_KEY="sk-another-service")
    assert done.returncode == 1
    assert "tml-" in done.stderr
    assert "Traceback" not in done.stderr
    assert "sk-another-service" not in done.stderr + done.stdout
