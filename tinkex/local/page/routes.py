"""The routes of the pages, and the streams of changes that keep an open page up to date."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import jinja2
import orjson
from attrs import define, field, frozen
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from tinkex.local.app_state import AppState
from tinkex.local.metrics import Series
from tinkex.local.page import words
from tinkex.local.page.sections import (
    COMPARISON,
    ONE_RUN,
    OVERVIEW,
    SECTIONS,
    Place,
    chosen_runs,
)
from tinkex.local.problem import Problem

MOST_COMPARED = 8
MOST_WATCHERS = 32
MOST_LOGIN_BYTES = 8192
EVERY_S = 1.0
# Seconds between the comments that keep an idle stream open.
QUIET_S = 15.0
_TICK_S = 0.2
_STREAM = "text/event-stream"

# A page loads only what this server has; no script stands in the page itself.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": _POLICY,
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}
# Set in the scope of a request for a page whose contents the client may not see yet.
LOCKED = "tinkex.locked"


@frozen
class Page:
    """A page: its template, its live sections, and which runs it draws charts of."""

    template: str
    sections: Sequence[str]
    place: Place


@define(eq=False)
class Pages:
    """The pages of one server."""

    state: AppState
    # One page is rendered at a time, so that watchers leave threads to the API.
    _turn: asyncio.Semaphore = field(init=False, factory=lambda: asyncio.Semaphore(1))
    _watchers: int = field(init=False, default=0)

    def routes(self) -> list[BaseRoute]:
        """Return the routes."""
        found: list[BaseRoute] = []
        for path, make in (
            ("", self._overview),
            ("/run/{run_id}", self._one_run),
            ("/compare", self._comparison),
        ):
            found.append(Route(path or "/", partial(self._show, make), methods=["GET"]))
            found.append(Route(f"{path}/live", partial(self._stream, make), methods=["GET"]))
        found.append(Route("/login", self._login, methods=["POST"]))
        files = StaticFiles(directory=Path(__file__).with_name("static"))
        found.append(Mount("/static", files))
        return found

    def _overview(self, request: Request) -> Page:
        return Page("overview.html", OVERVIEW, self._place(request, ()))

    def _one_run(self, request: Request) -> Page:
        return Page("run.html", ONE_RUN, self._place(request, [request.path_params["run_id"]]))

    def _comparison(self, request: Request) -> Page:
        run_ids = list(dict.fromkeys(request.query_params.getlist("run")))[:MOST_COMPARED]
        return Page("compare.html", COMPARISON, self._place(request, run_ids))

    def _place(self, request: Request, run_ids: Sequence[str]) -> Place:
        embedded = self.state.is_embedded
        return Place(run_ids, "local" if embedded else str(request.base_url).rstrip("/"))

    async def _show(self, make: Callable[[Request], Page], request: Request) -> Response:
        """Answer with a page, or with its frame alone where the client is not let in yet."""
        if request.scope.get(LOCKED):
            html = (
                _environment().get_template("locked.html").render(embedded=self.state.is_embedded)
            )
            return HTMLResponse(html, status_code=401, headers=HEADERS)
        try:
            async with self._turn:
                html = await self.state.pool.run(partial(render, self.state, make(request)))
        except Problem as problem:
            html = _environment().get_template("missing.html").render(reason=str(problem))
            return HTMLResponse(html, status_code=problem.status, headers=HEADERS)
        return HTMLResponse(html, headers=HEADERS)

    async def _stream(self, make: Callable[[Request], Page], request: Request) -> Response:
        """Send the sections of a page, and the points of its charts, as they change."""
        if self._watchers >= MOST_WATCHERS:
            raise Problem(
                503,
                f"{MOST_WATCHERS} pages are watched already: close one",
                headers={"retry-after": "10"},
            )
        if request.method == "HEAD":
            return Response(media_type=_STREAM, headers=HEADERS)
        page = make(request)
        for run_id in page.place.run_ids:
            await self.state.pool.run(partial(self.state.runs.get, run_id))
        events = self._events(Watch(self.state, page))
        return StreamingResponse(events, media_type=_STREAM, headers=HEADERS)

    async def _events(self, watch: "Watch") -> AsyncIterator[bytes]:
        changes, loop = self.state.changes, asyncio.get_running_loop()
        seen, sent_at = -1, loop.time()
        self._watchers += 1
        try:
            while not changes.closing:
                if changes.number != seen:
                    seen = changes.number
                    async with self._turn:
                        found = await self.state.pool.run(watch.changed)
                elif loop.time() - sent_at >= QUIET_S:
                    found = b": nothing new\n\n"
                else:
                    found = b""
                if found:
                    yield found
                    sent_at = loop.time()
                await self._pause()
        finally:
            self._watchers -= 1

    async def _pause(self) -> None:
        """Wait a moment, less if the server stops."""
        for _ in range(round(EVERY_S / _TICK_S)):
            if self.state.changes.closing:
                return
            await asyncio.sleep(_TICK_S)

    async def _login(self, request: Request) -> Response:
        """Exchange a code or the key for a token."""
        length = request.headers.get("content-length", "")
        if not length.isdigit() or int(length) > MOST_LOGIN_BYTES:
            raise Problem(413, "a login is a small JSON object")
        try:
            given = orjson.loads(await request.body())
        except orjson.JSONDecodeError as error:
            raise Problem(400, "a login is a JSON object with a code or a key") from error
        if isinstance(given, dict) and isinstance(given.get("code"), str):
            token = self.state.page_access.token_for_code(given["code"])
        elif isinstance(given, dict) and isinstance(given.get("key"), str):
            token = self.state.page_access.token_for_key(given["key"])
        else:
            raise Problem(400, "a login is a JSON object with a code or a key")
        return Response(
            orjson.dumps({"token": token}), media_type="application/json", headers=HEADERS
        )


@define(eq=False)
class Watch:
    """What an open page has been sent, to send only what changed since then."""

    _state: AppState
    _page: Page
    _sent: dict[str, str] = field(init=False, factory=dict)
    _cursor: int | None = field(init=False, default=None)

    def changed(self) -> bytes:
        """Return the events that bring the page up to date."""
        events = []
        for name in self._page.sections:
            html = render_section(self._state, self._page.place, name)
            if self._sent.get(name) != html:
                self._sent[name] = html
                events.append(_event("section", {"name": name, "html": html}))
        if self._page.place.run_ids:
            events += self._points()
        return b"".join(events)

    def _points(self) -> Iterator[bytes]:
        metrics, run_ids = self._state.metrics, self._page.place.run_ids
        before, self._cursor = self._cursor, metrics.cursor()
        if before is None:
            found = {run_id: metrics.whole(run_id) for run_id in run_ids}
        else:
            found = metrics.since(run_ids, before)
        if found:
            points = {
                run_id: {name: _columns(series) for name, series in by_name.items()}
                for run_id, by_name in found.items()
            }
            yield _event("points", {"whole": before is None, "runs": points})


def render(state: AppState, page: Page) -> str:
    """Return a page's HTML."""
    runs = [(view.run_id, view.name) for view in chosen_runs(state, page.place)]
    # The sections' templates have escaped what is in them.
    sections = {
        name: Markup(render_section(state, page.place, name))  # noqa: S704
        for name in page.sections
    }
    return _environment().get_template(page.template).render(sections=sections, runs=runs)


def render_section(state: AppState, place: Place, name: str) -> str:
    """Return the HTML of a section."""
    template = _environment().get_template(f"sections/{name}.html")
    return template.render(SECTIONS[name](state, place))


def _columns(series: Series) -> list[Any]:
    return [series.steps, series.values, series.times]


def _event(name: str, data: Mapping[str, Any]) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + orjson.dumps(data) + b"\n\n"


@lru_cache(maxsize=1)
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "size": words.size,
        "short": words.short,
        "ago": words.ago,
        "until": words.until,
        "clock": words.clock,
        "setting": words.setting,
    }
    return environment
