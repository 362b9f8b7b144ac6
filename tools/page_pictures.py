"""Take the pictures of the local server's pages that the documentation shows.

    python tools/page_pictures.py [FOLDER]

Trains three small runs on a server of its own and photographs the pages in chromium, wide and narrow,
light and dark. Needs chromium and the development tools.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

import tinkex
from tinkex.errors import TinkexError
from tinkex.local import LocalServer
from tinkex.recipes import read_examples
from tinkex.recipes.folder import Plan, Source
from tinkex.recipes.prepare import prepare
from tinkex.recipes.recipe import Recipe
from tinkex.recipes.run import fine_tune

ROOT = Path(__file__).parents[1]
DATA = ROOT / "examples" / "data" / "orders.jsonl"
RATES = {"orders, low rate": 5e-4, "orders": 2e-3, "orders, high rate": 8e-3}
SAMPLES = ("Please send 3 blue lamps to Rome.",)
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
SIZES = {"wide": (1280, 900), "narrow": (390, 844)}


def train(url: str, folder: Path) -> None:
    """Train the runs, the last of which is still open when the pictures are taken."""
    for number, (name, rate) in enumerate(RATES.items()):
        recipe = Recipe(
            base_model="tinkex/tiny-chat", learning_rate=rate, rank=16, epochs=6, batch_size=16,
            seed=number, warmup_steps=5, schedule_kind="cosine",
        )  # fmt: skip
        data = read_examples(str(DATA))
        with tinkex.ServiceClient(base_url=url, api_key="tml-local", display_name=name) as service:
            tokenizer = service.create_sampling_client(
                base_model="tinkex/tiny-chat"
            ).get_tokenizer()
            plan = Plan(
                recipe=recipe, data=Source.of(data), measure_every=10, checkpoint_every=25,
                samples=SAMPLES,
            )  # fmt: skip
            prepared = prepare(recipe, data, tokenizer)
            fine_tune(service, plan, prepared, folder / name)


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
                page.screenshot(path=folder / f"page-{name}-{size}-{scheme}.png", full_page=True)
            page.close()


def main() -> None:
    """Train, open the browser, take the pictures."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "pictures"
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("chromium is not installed")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary, LocalServer() as server:
        train(server.base_url, Path(temporary))
        with tinkex.ServiceClient(base_url=server.base_url, api_key="tml-local") as service:
            try:
                service.create_sampling_client("tinker://nobody/sampler_weights/none")
            except TinkexError as error:
                print("refused, as it is to be:", error)
            found = service.create_rest_client().list_training_runs().training_runs
            runs = [run.training_run_id for run in reversed(found)]
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
                photograph(browser, server.base_url, runs, folder)
                browser.close()


if __name__ == "__main__":
    main()
