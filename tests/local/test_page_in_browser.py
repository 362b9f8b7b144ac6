"""The pages in a real browser: chromium, driven by playwright."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from local.wire import Wire, datum, served
from support.extent import ALL

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")

FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
KEY = "tml-secret"
EVIL = '<img src=x onerror="document.title=1">'
PATIENCE_MS = 20_000
WINDOWS = [(1280, "light"), (390, "dark")] + ([(1280, "dark"), (390, "light")] if ALL else [])


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@contextmanager
def opened(browser: Any, **settings: Any) -> Iterator[Any]:
    """Open a window of its own; whatever the browser complains about or loads elsewhere is an error."""
    context = browser.new_context(**settings)
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    said: list[str] = []
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("console", lambda line: said.append(line.text) if line.type == "error" else None)
    hosts: set[str] = set()
    page.on("request", lambda request: hosts.add(request.url.split("/")[2].split(":")[0]))
    page.complaints = said
    try:
        yield page
        assert [one for one in said if "401" not in one] == []
        assert hosts == {"127.0.0.1"}
    finally:
        context.close()


def trained(wire: Wire, name: str, steps: int = 5) -> Any:
    """Train a run and return its model."""
    model = wire.model(wire.session(display_name=name))
    for _ in range(steps):
        model.loss([datum([20, 21])])
        model.step()
    model.call("save_weights", path="kept")
    return model


@pytest.fixture(scope="module")
def two_runs() -> Iterator[tuple[str, Wire, list[str]]]:
    with served() as (server, wire):
        runs = [trained(wire, name).model_id for name in ("first", EVIL)]
        wire.send("create_session")
        yield server.base_url, wire, runs


@pytest.mark.parametrize(("width", "scheme"), WINDOWS)
def test_pages_fit_their_window_and_draw_their_charts(
    browser: Any, two_runs: tuple[str, Wire, list[str]], width: int, scheme: str
) -> None:
    """Wide and narrow, light and dark: nothing runs out at the side, and every canvas has a line in it."""
    url, _, runs = two_runs
    with opened(browser, viewport={"width": width, "height": 900}, color_scheme=scheme) as page:
        for path in ("/", f"/run/{runs[0]}", f"/compare?run={runs[0]}&run={runs[1]}"):
            page.goto(url + path)
            page.wait_for_selector("#state.live")
            if path != "/":
                page.wait_for_selector(".chart canvas")
                page.evaluate(DRAWN)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert dark == ("rgb(17, 21, 27)" if scheme == "dark" else "rgb(246, 248, 250)")


# Waits until every chart has pixels of a line's colour.
DRAWN = """async () => {
  const style = getComputedStyle(document.documentElement);
  const colors = ['--c0', '--c1'].map((name) => style.getPropertyValue(name).trim())
    .map((hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)));
  const isDrawn = (canvas) => {
    const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    let found = 0;
    for (let at = 0; at < data.length; at += 4) {
      if (colors.some((one) => one.every((value, place) => Math.abs(data[at + place] - value) < 6))) found++;
    }
    return found > 20;
  };
  while (![...document.querySelectorAll('.chart canvas')].every(isDrawn)) {
    await new Promise(requestAnimationFrame);
  }
}"""


def test_what_clients_send_is_text(browser: Any, two_runs: tuple[str, Wire, list[str]]) -> None:
    """A name with markup in it is shown as it is, in the page, its title and the legends."""
    url, _, runs = two_runs
    with opened(browser) as page:
        page.goto(f"{url}/compare?run={runs[0]}&run={runs[1]}")
        page.wait_for_selector(".legend button")
        assert EVIL in page.inner_text(".legend")
        assert EVIL in page.inner_text(".chips")
        page.goto(f"{url}/run/{runs[1]}")
        page.wait_for_selector(".chart canvas")
        assert page.inner_text("h1") == EVIL
        assert page.title() == f"{EVIL} · tinkex"


def test_chosen_runs_are_laid_over_each_other(
    browser: Any, two_runs: tuple[str, Wire, list[str]]
) -> None:
    """The button waits for a choice; each chart has a line for each run; a click hides one."""
    url, _, _ = two_runs
    with opened(browser) as page:
        page.goto(url)
        page.wait_for_selector("#state.live")
        button = page.get_by_role("button", name="Overlay chosen runs")
        assert button.is_disabled()
        for box in page.locator("input[name=run]").all():
            box.check()
        button.click()
        page.wait_for_selector(".chart canvas")
        charts = page.locator(".chart figcaption > b").all_inner_texts()
        assert charts == ["Loss", "Validation loss", "Learning rate", "Gradient norm", "Tokens"]
        entries = page.locator(".chart").first.locator(".legend button")
        assert entries.count() == 2
        entries.first.click()
        assert page.locator(".legend button.off").count() == 1


def test_an_open_page_follows_a_run(browser: Any) -> None:
    """New steps, checkpoints and log lines appear without loading the page again; folded parts stay so."""
    with served() as (server, wire), opened(browser) as page:
        model = wire.model()
        page.goto(f"{server.base_url}/run/{model.model_id}")
        page.wait_for_selector("#state.live")
        assert "No step yet." in page.inner_text("#charts")
        page.evaluate("window.kept = true")
        for _ in range(3):
            model.step()
        model.call("save_weights", path="later")
        page.wait_for_selector(".figures >> text=3")
        page.wait_for_selector(".chart canvas")
        page.wait_for_selector("td >> text=later")
        page.wait_for_selector(".log >> text=saved weights/later at step 3")
        assert page.evaluate("window.kept")
        page.get_by_label("time").check()
        page.get_by_label("logarithmic").check()
        page.evaluate(DRAWN)


def test_buttons_copy_commands(browser: Any, two_runs: tuple[str, Wire, list[str]]) -> None:
    """What a button says it copies is on the clipboard."""
    url, _, runs = two_runs
    with opened(browser, permissions=["clipboard-read", "clipboard-write"]) as page:
        page.goto(f"{url}/run/{runs[0]}")
        # The button says so for a moment only, which a busy machine may miss.
        page.evaluate(
            """new MutationObserver(() => {
                 if (document.querySelector("button.copied")) window.copied = true;
               }).observe(document.body, { subtree: true, attributes: true })"""
        )
        page.get_by_role("button", name="train on").click()
        page.wait_for_function("window.copied")
        copied = page.evaluate("navigator.clipboard.readText()")
        expected = f"tinkex train --base-url {url} --from tinker://{runs[0]}/weights/kept FILE"
        assert copied == expected


def test_a_page_says_when_its_server_is_gone(browser: Any) -> None:
    """And does not fail at it."""
    context = browser.new_context()
    with served() as (server, _):
        page = context.new_page()
        page.goto(server.base_url)
        page.wait_for_selector("#state.live")
    page.wait_for_selector("#state.lost")
    context.close()


def test_the_console_link_opens_the_pages_once(browser: Any) -> None:
    """No secret stays in the address; the browser stays let in; another one is asked for the key."""
    with served(api_key=KEY) as (server, wire):
        wire.http.headers["x-api-key"] = KEY
        trained(wire, "behind the key")
        link = server.console_url
        with opened(browser) as page:
            page.goto(link)
            page.wait_for_selector("#state.live")
            assert page.url == f"{server.base_url}/"
            page.click("text=behind the key")
            page.wait_for_selector(".chart canvas")
            page.reload()
            page.wait_for_selector(".chart canvas")
            assert page.context.cookies() == []
        with opened(browser) as page:
            page.goto(link)
            page.wait_for_selector("#login")
            assert "this link was used before" in page.inner_text("#refusal")
            page.fill("#key", "tml-wrong")
            page.get_by_role("button", name="Open").click()
            page.wait_for_selector("#refusal:has-text('not the key')")
            page.fill("#key", KEY)
            page.get_by_role("button", name="Open").click()
            page.wait_for_selector("#state.live")
            assert "behind the key" in page.inner_text("main")


def test_a_foreign_site_reads_nothing(browser: Any) -> None:
    """A page of another origin gets no data, and cannot put the pages into a frame."""
    with served() as (server, wire), served() as (other, _):
        trained(wire, "private", 1)
        context = browser.new_context()
        page = context.new_page()
        # The same machine by another name is another origin.
        page.goto(other.base_url.replace("127.0.0.1", "localhost"))
        read = """async (url) => {
          try { return await (await fetch(url)).text(); } catch (error) { return `refused: ${error.name}`; }
        }"""
        for path in ("/", "/live", "/api/v1/training_runs"):
            assert page.evaluate(read, server.base_url + path).startswith("refused")
        assert server.base_url.startswith("http://127.0.0.1")
        context.close()
