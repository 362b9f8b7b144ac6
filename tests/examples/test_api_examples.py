"""The examples about single parts of the API run as a user runs them, and print what they claim."""

from __future__ import annotations

import http.server
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from examples.test_examples import output_of, output_on, run

from tinkex.local import LocalServer


def test_adam_and_chunking_cuts_and_steps(shared_server: LocalServer, tmp_path: Path) -> None:
    """1,025 data are two requests; those sent have an output each; the norm of the step is told."""
    out = output_on(shared_server, "adam_and_chunking", tmp_path, TINKER_RUN_COUNT="32")
    assert "Sizes of the chunks: [1024, 1]" in out
    assert "Outputs: 32," in out
    assert "weight decay 0.01, norm clipped at 1.0" in out
    assert re.search(r"'unclipped_grad_l2:mean': \d", out)


def test_adam_and_chunking_refuses_a_count_of_zero(
    shared_server: LocalServer, tmp_path: Path
) -> None:
    """A setting that leaves nothing to do is named."""
    settings = {"TINKER_BASE_URL": shared_server.base_url, "TINKER_RUN_COUNT": "0"}
    done = run("adam_and_chunking", tmp_path, **settings)
    assert (done.returncode, "TINKER_RUN_COUNT" in done.stderr) == (1, True)


def test_forward_inference_shows_an_array(shared_server: LocalServer, tmp_path: Path) -> None:
    """One log probability for each target, and the loss is minus their sum."""
    out = output_on(shared_server, "forward_inference", tmp_path)
    count = int(re.search(r"(\d+) targets", out)[1])  # type: ignore[index]
    assert f"Log probabilities: float32 [{count}]" in out
    loss = float(re.search(r"'loss:sum': ([\d.]+)", out)[1])  # type: ignore[index]
    mean = float(re.search(r"mean (-[\d.]+),", out)[1])  # type: ignore[index]
    assert loss == pytest.approx(-mean * count, rel=1e-4)


def test_heartbeat_probe_finds_the_route_alive(shared_server: LocalServer, tmp_path: Path) -> None:
    """The route of today answers, and the one that never was does not."""
    out = output_on(shared_server, "heartbeat_probe", tmp_path)
    assert "POST /api/v1/session_heartbeat: 200, ok" in out
    assert "POST /api/v1/heartbeat: 404, ok" in out


@pytest.fixture
def agreeable_server() -> Iterator[str]:
    """A server that says yes to everything, as a misled proxy might."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            body = b'{"session_id": "s"}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_heartbeat_probe_tells_a_wrong_answer(agreeable_server: str, tmp_path: Path) -> None:
    """A route that should not be there is reported, with exit code 1."""
    done = run("heartbeat_probe", tmp_path, TINKER_BASE_URL=agreeable_server)
    assert "POST /api/v1/heartbeat: 200, NOT as expected (expected 404)" in done.stdout
    assert done.returncode == 1


def test_capabilities_and_logprobs_scores_each_token(
    shared_server: LocalServer, tmp_path: Path
) -> None:
    """Models, health, and one line for each token, the first of them without a number."""
    out = output_on(shared_server, "capabilities_and_logprobs", tmp_path, TINKER_PROMPT="Hi you")
    assert "Names: tinkex/tiny-chat, tinkex/nano" in out
    assert "Health: ok" in out
    scores = out[out.index("Log probabilities") :].splitlines()[1:]
    assert scores[0].split()[0] == "None"
    assert all(float(line.split()[0]) <= 0 for line in scores[1:])
    assert "".join(line.split("  ")[-1].strip("'") for line in scores) == "Hi you"


def test_sessions_management_looks_into_the_newest(tmp_path: Path) -> None:
    """On an empty server it begins a session, and finds its run and its sampler there."""
    out = output_of("sessions_management", tmp_path)
    assert "No session yet" in out
    session = re.search(r"^Session (\S+)$", out, re.MULTILINE)[1]  # type: ignore[index]
    assert f"Training runs: 1\n  • {session}:train:0" in out
    assert "Samplers: 1\n  • sampler-" in out


def test_model_info_and_unload_does_it_by_hand(shared_server: LocalServer, tmp_path: Path) -> None:
    """The model is polled for, described and unloaded."""
    out = output_on(shared_server, "model_info_and_unload", tmp_path)
    assert "poll #1" in out
    assert re.search(r"model_id +\S+:train:0\n", out)
    assert re.search(r"lora_rank +32\n", out)
    assert out.endswith("Unloaded.\n")


def test_multimodal_resume_and_cleanup_runs_whole(tmp_path: Path) -> None:
    """The embedded server's model samples with an image, is trained, and is restored."""
    out = output_of("multimodal_resume_and_cleanup", tmp_path)
    assert "Vision model: tinkex/tiny-vision; image: png, 432 bytes" in out
    assert re.search(
        r"Sequences: 1\n  \[.+\] '.+'\nTaught .+: loss per token \d+.\d+ → \d+.\d+\n", out
    )
    assert re.search(r"Resuming from (tinker://\S+/weights/taught)\nRestored as ", out)
    assert "Skipping" not in out


def test_multimodal_resume_and_cleanup_continues_from_what_is_noted(
    shared_server: LocalServer, tmp_path: Path
) -> None:
    """A checkpoint is restored with its optimizer, and noted for the next time."""
    out = output_on(shared_server, "training_persistence", tmp_path)
    path = re.search(r"as (tinker://\S+)", out)[1]  # type: ignore[index]
    out = output_on(
        shared_server, "multimodal_resume_and_cleanup", tmp_path, TINKER_CHECKPOINT_PATH=path
    )
    assert f"Resuming from {path}\nRestored as " in out
    again = output_on(shared_server, "multimodal_resume_and_cleanup", tmp_path)
    assert f"Noted in tmp/checkpoints/default.path: {path}\nResuming from {path}" in again


def test_an_image_that_the_model_cannot_see_fails_clearly(
    shared_server: LocalServer, tmp_path: Path
) -> None:
    """The server's reason is printed, the rest still runs, and the exit code tells."""
    settings = {"TINKER_BASE_URL": shared_server.base_url, "TINKER_BASE_MODEL": "tinkex/nano"}
    done = run("multimodal_resume_and_cleanup", tmp_path, **settings)
    assert done.returncode == 1
    assert "The image was refused: " in done.stderr
    assert "only encoded_text chunks are supported" in done.stderr
    assert "To delete what you no longer need" in done.stdout


@pytest.mark.parametrize(
    ("setting", "value"),
    [("TINKER_IMAGE_PATH", "no.png"), ("TINKER_IMAGE_EXPECTED_TOKENS", "-1")],
)
def test_a_wrong_setting_of_the_image_is_named(setting: str, value: str, tmp_path: Path) -> None:
    """It is refused before anything is sent."""
    done = run("multimodal_resume_and_cleanup", tmp_path, **{setting: value})
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {setting}")
