"""The page at `/`, as text and in a real browser."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
import zlib
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from local.wire import Clock, Wire, served

from tinkex.local.app_state import Options
from tinkex.local.charts import curve, hourly_bars, nice_ticks

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
    "--hide-scrollbars",
]
BACKGROUND = (0xF6, 0xF8, 0xFA)
BLUE = (0x0B, 0x62, 0xB5)


def fill(wire: Wire) -> str:
    """Make something of everything the page shows; return the run's id."""
    session = wire.session(
        display_name="a <fine> run", project_id="demo", user_metadata={"who": "<me>"}
    )
    model = wire.model(session, user_metadata={"lr": "1e-2"})
    for _ in range(4):
        model.step()
    model.call("save_weights", path="kept", ttl_seconds=7200)
    wire.sampler(model.session_id)
    bad = {"prompt": {"chunks": [{"type": "encoded_text", "tokens": [9999]}]}}
    wire.outcome(wire.post("asample", base_model="tinkex/nano", sampling_params={}, **bad))
    return model.model_id


def text_of(html: str) -> str:
    """Return what a reader sees of a page, as one line."""
    body = re.sub(r"<style>.*?</style>", "", html, flags=re.DOTALL)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", "", body.replace("</", " </"))))


def test_page_shows_what_there_is() -> None:
    """Runs with their curve, checkpoints, samplers, usage and errors."""
    with served() as (server, wire):
        empty = text_of(httpx.get(server.base_url).text)
        assert empty.count("None yet.") == 5
        run_id = fill(wire)
        html = httpx.get(server.base_url).text
        seen = text_of(html)
        for text in (
            "a <fine> run", run_id, "4 steps", "running tinkex/nano", "demo", "who: <me>", "lr: 1e-2",
            f"tinker://{run_id}/weights/kept", "training state", "in 2 hours",
            "sampler-", "open", "prompt[0] is 9999", "24 tokens trained", "1 training runs",
        ):  # fmt: skip
            assert text in seen, (text, seen)
        assert html.count('<polyline class="smooth"') == 1
        assert "24 trained" in html
        finish = {"reason": {"type": "success"}, "detail": None}
        assert wire.send(f"sessions/{run_id.split(':')[0]}/finish", **finish).status_code == 204
        ended = text_of(httpx.get(server.base_url).text)
        assert "running tinkex/nano" not in ended
        assert "ended tinkex/nano" in ended
        assert "ended" in ended


def test_page_runs_no_script_and_loads_nothing() -> None:
    """What users and errors put on it is text, and the browser is told to fetch nothing."""
    with served() as (server, wire):
        wire.model(wire.session(display_name="<script>alert(1)</script>"))
        server._site.errors.append((0.0, "<script>alert(2)</script>: <img src=x>"))
        answer = httpx.get(server.base_url)
        assert answer.headers["content-type"].startswith("text/html")
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert not re.search(r"<(script|img|link|iframe)|<[^>]*\s(src|on\w+)=", answer.text)
        assert "<script>alert(1)</script>" in text_of(answer.text)


def test_page_reloads_itself_only_when_asked() -> None:
    """?refresh=5 asks the browser for a reload; anything else is ignored."""
    with served() as (server, _):
        assert "http-equiv" not in httpx.get(server.base_url).text
        again = httpx.get(server.base_url, params={"refresh": "5"}).text
        assert '<meta http-equiv="refresh" content="5">' in again
        assert 'content="2"' in httpx.get(server.base_url, params={"refresh": "0"}).text
        for wrong in ('1"><script>', "-1", "٣", "99999", ""):
            page = httpx.get(server.base_url, params={"refresh": wrong}).text
            assert "http-equiv" not in page


def test_page_leaves_out_expired_checkpoints() -> None:
    """What can no longer be loaded is not shown."""
    clock = Clock()
    with served(options=Options(now=clock)) as (server, wire):
        fill(wire)
        clock.now += 7200
        assert "Checkpoints (0)" in text_of(httpx.get(server.base_url).text)


def test_ids_break_only_between_their_parts() -> None:
    """A narrow screen may break an id after a mark, so that no word of it is torn."""
    with served() as (server, wire):
        run_id = fill(wire)
        html = httpx.get(server.base_url).text
        session, _, rest = run_id.partition(":")
        start, _, number = session.partition("-")
        assert f"{start}-<wbr>{number}:<wbr>{rest.replace(':', ':<wbr>')}" in html


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (3.8, 7.8, [3, 4, 5, 6, 7, 8]),
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0.11, 0.12, [0.11, 0.112, 0.114, 0.116, 0.118, 0.12]),
        (5, 5, [5]),
        (0, 0, [0]),
        (-2e5, 3e5, [-200000, -100000, 0, 100000, 200000, 300000]),
    ],
)
def test_ticks_are_round_and_cover_the_values(low: float, high: float, ticks: list[float]) -> None:
    """Steps of 1, 2 or 5 times a power of ten, around the values."""
    assert nice_ticks(low, high) == ticks


def test_curve_stays_within_its_picture() -> None:
    """Every point lies inside, for losses that rise, fall, and do not move."""
    for losses in ([1.0, 9.0, 4.0], [2.0, 2.0], [-1e9, 1e9], [0.0, 0.0, 0.0]):
        drawn = curve(list(enumerate(losses, start=1)), width=300, height=100)
        for points in re.findall(r'points="([^"]*)"', drawn):
            for point in points.split():
                x, y = map(float, point.split(","))
                assert 0 <= x <= 300
                assert 0 <= y <= 100
    assert curve([]) == curve([(1, 2.0)]) == ""


def test_bars_add_up_within_their_picture() -> None:
    """Counts of one hour are stacked; without any there is no picture."""
    drawn = hourly_bars([("08:00", {"a": 3, "b": 1}), ("09:00", {})], ["a", "b"])
    tall = [float(one) for one in re.findall(r'height="([\d.]+)"', drawn)]
    assert tall[0] == pytest.approx(3 * tall[1], abs=0.2)
    assert tall[2:] == [0.0, 0.0]
    assert "08:00: 3 a, 1 b" in drawn
    assert hourly_bars([("08:00", {})], ["a"]) == ""


def pixels(file: Path) -> np.ndarray[Any, Any]:
    """Decode an 8-bit RGB or RGBA PNG (RFC 2083) into [height, width, 3]."""
    content = file.read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    at, packed, header = 8, b"", b""
    while at < len(content):
        (length,) = struct.unpack_from(">I", content, at)
        kind, data = content[at + 4 : at + 8], content[at + 8 : at + 8 + length]
        header = data if kind == b"IHDR" else header
        packed += data if kind == b"IDAT" else b""
        at += length + 12
    width, height, depth, colour = struct.unpack_from(">IIBB", header)
    channels = {2: 3, 6: 4}[colour]
    assert depth == 8
    rows = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(height, 1 + width * channels)
    image = np.zeros((height, width, channels), np.int64)
    above = np.zeros((width, channels), np.int64)
    for number, row in enumerate(rows):
        line = row[1:].astype(np.int64).reshape(width, channels)
        if row[0] == 1:
            line = np.cumsum(line, axis=0) % 256
        elif row[0] == 2:
            line = (line + above) % 256
        elif row[0] > 2:
            for place in range(width):
                left = line[place - 1] if place else np.zeros(channels, np.int64)
                corner = above[place - 1] if place else np.zeros(channels, np.int64)
                line[place] = (line[place] + _guess(int(row[0]), left, above[place], corner)) % 256
        image[number] = above = line
    return image[..., :3]


def _guess(kind: int, left: Any, up: Any, corner: Any) -> Any:
    """Return what the filters Average (3) and Paeth (4) add."""
    if kind == 3:
        return (left + up) // 2
    distances = [np.abs(left + up - corner - one) for one in (left, up, corner)]
    nearest = np.argmin(distances, axis=0)
    return np.choose(nearest, [left, up, corner])


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
@pytest.mark.parametrize("width", [1200, 500])
def test_page_is_drawn_by_a_browser(tmp_path: Path, width: int) -> None:
    """Headless Chromium draws the curve, and nothing runs out of the window at its side."""
    with served() as (server, wire):
        fill(wire)
        shot = tmp_path / "page.png"
        arguments = [f"--user-data-dir={tmp_path / 'profile'}", f"--window-size={width},2400"]
        done = subprocess.run(
            [str(CHROMIUM), *FLAGS, *arguments, f"--screenshot={shot}", server.base_url],
            capture_output=True, timeout=90, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-500:]
        image = pixels(shot)
        assert image.shape[1] == width
        assert (image == BLUE).all(axis=2).sum() > 200
        assert (image[:, -8:] == BACKGROUND).all()
