"""The page at `/`, as text and in a real browser."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import httpx
import pytest
from local.wire import Wire, served

CHROMIUM = shutil.which("chromium")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def fill(wire: Wire) -> str:
    """Make something of everything the page shows; return the run's id."""
    model = wire.model()
    for _ in range(4):
        model.step()
    model.call("save_weights", path="kept")
    wire.sampler(model.session_id)
    bad = {"prompt": {"chunks": [{"type": "encoded_text", "tokens": [9999]}]}}
    wire.outcome(wire.post("asample", base_model="tinkex/nano", sampling_params={}, **bad))
    return model.model_id


def test_page_shows_what_there_is() -> None:
    """Runs with their curve, checkpoints, samplers and errors; no script, nothing from outside."""
    with served() as (server, wire):
        assert "None yet." in httpx.get(server.base_url).text
        run_id = fill(wire)
        server._site.errors.append((0.0, "<script>alert(1)</script>"))
        answer = httpx.get(server.base_url)
        assert answer.headers["content-type"].startswith("text/html")
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        for text in (run_id, "<polyline", f"tinker://{run_id}/weights/kept", "sampler-", "9999"):
            assert text in answer.text
        assert "<script" not in answer.text
        assert "&lt;script&gt;" in answer.text


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
@pytest.mark.parametrize("width", [1200, 380])
def test_page_is_drawn_by_a_browser(tmp_path: Path, width: int) -> None:
    """Headless Chromium renders it, wide and narrow."""
    with served() as (server, wire):
        fill(wire)
        shot = tmp_path / "page.png"
        arguments = [f"--user-data-dir={tmp_path / 'profile'}", f"--window-size={width},900"]
        done = subprocess.run(
            [str(CHROMIUM), *FLAGS, *arguments, f"--screenshot={shot}", server.base_url],
            capture_output=True, timeout=90, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-500:]
        assert shot.read_bytes().startswith(b"\x89PNG")
        assert shot.stat().st_size > 5000
