"""Take the pictures of the local server's pages that the documentation shows.

    python tools/page_pictures.py [FOLDER]

Trains three small runs on a server of its own and photographs the pages in chromium, wide and narrow,
light and dark. Needs chromium and the development tools.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
import threading
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

import tinkex
from tinkex.errors import TinkexError
from tinkex.local import LocalServer
from tinkex.recipes import read_examples
from tinkex.recipes.folder import Plan, Source
from tinkex.recipes.loop import StepReport
from tinkex.recipes.prepare import prepare
from tinkex.recipes.recipe import Recipe
from tinkex.recipes.run import Listener, fine_tune

ROOT = Path(__file__).parents[1]
DATA = ROOT / "examples" / "data" / "orders.jsonl"
RATES = {"orders, low rate": 5e-4, "orders": 2e-3, "orders, high rate": 8e-3}
SAMPLES = ("Please send 3 blue lamps to Rome.",)
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
# High enough for the charts and what follows them.
SIZES = {"wide": (1200, 1500), "narrow": (390, 1400)}


class Watcher(Listener):
    """Notices when a run has done some steps, and lets it end."""

    def __init__(self, steps: int | None) -> None:
        self.reached, self.go_on = threading.Event(), threading.Event()
        self._steps = steps

    def reported(self, report: StepReport) -> None:
        """Wait at the step, with the run still open, until the pictures are taken."""
        if report.step == self._steps:
            self.reached.set()
            self.go_on.wait()


def train(url: str, folder: Path, name: str, listener: Listener) -> None:
    """Train a run."""
    recipe = Recipe(
        base_model="tinkex/tiny-chat", learning_rate=RATES[name], rank=16, epochs=6, batch_size=16,
        seed=list(RATES).index(name), warmup_steps=5, schedule_kind="cosine",
    )  # fmt: skip
    data = read_examples(str(DATA))
    plan = Plan(
        recipe=recipe, data=Source.of(data), measure_every=10, checkpoint_every=25, samples=SAMPLES
    )
    with tinkex.ServiceClient(base_url=url, api_key="tml-local") as service:
        tokenizer = service.create_sampling_client(base_model="tinkex/tiny-chat").get_tokenizer()
        prepared = prepare(recipe, data, tokenizer)
        fine_tune(service, plan, prepared, folder / name, listener=listener)


def shrink(file: Path) -> None:
    """Write a picture with few colours, which takes a third of the space."""
    picture = Image.open(file).convert("RGB")
    few = picture.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    few.save(file, optimize=True)


def photograph(browser: Browser, url: str, runs: list[str], folder: Path) -> None:
    """Take each page in each size and colour scheme."""
    pages = {
        "overview": "/",
        "run": f"/run/{runs[1]}",
        "compare": "/compare?" + "&".join(f"run={one}" for one in runs),
    }
    for scheme in ("light", "dark"):
        for size, (width, height) in SIZES.items():
            page = browser.new_page(
                viewport={"width": width, "height": height},
                color_scheme=scheme,  # type: ignore[arg-type]
            )
            for name, path in pages.items():
                page.goto(url + path)
                page.wait_for_selector("#state.live")
                if name != "overview":
                    page.wait_for_selector(".chart canvas")
                page.wait_for_timeout(300)
                file = folder / f"page-{name}-{size}-{scheme}.png"
                page.screenshot(path=file, full_page=(name, size) == ("run", "wide"))
                shrink(file)
            page.close()


def main() -> None:
    """Train, open the browser, take the pictures."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "pictures"
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("chromium is not installed")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary, LocalServer() as server:
        *first, last = RATES
        for name in first:
            train(server.base_url, Path(temporary), name, Listener())
        watcher = Watcher(38)
        going = threading.Thread(
            target=train, args=(server.base_url, Path(temporary), last, watcher), daemon=True
        )
        going.start()
        watcher.reached.wait()
        with tinkex.ServiceClient(base_url=server.base_url, api_key="tml-local") as service:
            with contextlib.suppress(TinkexError):
                service.create_sampling_client("tinker://nobody/sampler_weights/none")
            found = service.create_rest_client().list_training_runs().training_runs
        runs = [run.training_run_id for run in reversed(found)]
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
            photograph(browser, server.base_url, runs, folder)
            browser.close()
        watcher.go_on.set()
        going.join()


if __name__ == "__main__":
    main()
