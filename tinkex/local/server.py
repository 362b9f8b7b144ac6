"""The embedded local server: uvicorn in a thread of this process."""

import asyncio
import atexit
import logging
import os
import socket
import tempfile
import threading
from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Self

import uvicorn
from attrs import evolve

from tinkex.local.app import build_app
from tinkex.local.datadir import default_data_dir
from tinkex.local.faults import Connections, FaultGate, check_operations
from tinkex.local.gate import LOOPBACK_NAMES, Gate
from tinkex.local.site import Options, Site
from tinkex.local.spec import load_operations
from tinkex.testing.faults import Fault, FaultPlan

logger = logging.getLogger("tinkex.local.server")

UPKEEP_S = 15.0
_BACKLOG = 2048
_GRACE_S = 5


class LocalServer:
    """A server of the Tinker API that trains a small model on this machine.

    Example:
        >>> from tinkex.local import LocalServer
        >>> with LocalServer() as server:
        ...     server.base_url.rpartition(":")[0]
        'http://127.0.0.1'

    `data_dir` keeps runs and checkpoints; without it they live in a temporary folder that goes
    with the server. `port=0` takes a free one. `models` names Hugging Face folders beside the
    shipped models. With `api_key` only that key is let in, otherwise any. `host` is the loopback
    interface unless the server shall be reachable from elsewhere. `faults` are played at the
    requests they are for, and `latency` seconds pass before any request is looked at; see
    `tinkex.testing`. `options` has the finer settings.

    `start` returns when requests are answered; `stop` ends every thread, closes every file and may
    be called twice. A stopped server cannot be started again: make another one.

    Raises:
        OSError: the port is taken, or the data folder cannot be written.
        ValueError: a folder in `models` is none, or a fault is for no operation of the spec.
    """

    def __init__(
        self,
        data_dir: str | Path | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        models: Mapping[str, str | Path] | None = None,
        api_key: str | None = None,
        *,
        faults: Iterable[Fault] = (),
        latency: float = 0.0,
        options: Options | None = None,
    ) -> None:
        if not 0 <= latency < float("inf"):
            raise ValueError(f"latency must be finite and not negative, got {latency!r}")
        self._operations = load_operations()
        self.faults = FaultPlan(faults)
        check_operations(self.faults, self._operations)
        self._latency_s = latency
        self._connections = Connections()
        self._host = host
        self._port = port
        self._models = dict(models or {})
        self._options = evolve(options or Options(), api_key=api_key)
        self._given_dir = None if data_dir is None else Path(data_dir).expanduser()
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._site: Site | None = None
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._uvicorn: _Server | None = None
        self._process_id = os.getpid()
        self._state = "new"
        self._lock = threading.Lock()

    @property
    def base_url(self) -> str:
        """The URL to give to a client."""
        if self._socket is None:
            raise RuntimeError("the local server is not running: call start() first")
        host, port = self._socket.getsockname()[:2]
        if host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
            host = "127.0.0.1"
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    @property
    def data_dir(self) -> Path:
        """The folder with the server's runs and checkpoints."""
        if self._site is None:
            raise RuntimeError("the local server is not running: call start() first")
        return self._site.data.root

    @property
    def model_names(self) -> list[str]:
        """The base models this server offers."""
        return [] if self._site is None else self._site.bases.names

    def start(self) -> Self:
        """Start the server and return when it answers."""
        with self._lock:
            if self._state == "running":
                return self
            if self._state == "stopped":
                raise RuntimeError("this local server was stopped: make another one")
            try:
                self._launch()
            except BaseException:
                self._tear_down()
                raise
            self._state = "running"
        logger.info("local server at %s, data in %s", self.base_url, self.data_dir)
        return self

    def stop(self) -> None:
        """Stop the server; wait until its threads have ended and its files are closed."""
        if os.getpid() != self._process_id:
            # A forked child has a copy of this object; the server itself lives on in the parent.
            return
        with self._lock:
            if self._state == "running":
                self._tear_down()
            self._state = "stopped"

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _launch(self) -> None:
        root = self._given_dir
        if root is None:
            self._temporary = tempfile.TemporaryDirectory(
                prefix="tinkex-local-", ignore_cleanup_errors=True
            )
            root = Path(self._temporary.name)
        self._socket = _listen(self._host, self._port)
        self._site = Site(root, self._models, self._options)
        self._site.start()
        gate = Gate(
            build_app(self._site),
            keys=self._site.keys,
            max_body_bytes=self._options.max_body_bytes,
            host_names=_host_names(self._host),
        )
        app = FaultGate(gate, self.faults, self._connections, self._operations, self._latency_s)
        self._uvicorn = _Server(_config(app, self._connections), self._site)
        self._thread = threading.Thread(
            target=self._uvicorn.serve_in_thread,
            args=(self._socket,),
            name="tinkex-local-http",
            daemon=True,
        )
        self._thread.start()
        self._uvicorn.ready.wait()
        if self._uvicorn.failure is not None:
            raise RuntimeError("the local server did not start") from self._uvicorn.failure

    def _tear_down(self) -> None:
        if self._site is not None:
            self._site.end_waits()
        if self._uvicorn is not None:
            self._uvicorn.should_exit = True
        if self._thread is not None:
            self._thread.join()
        if self._site is not None:
            self._site.close()
        if self._socket is not None:
            self._socket.close()
        if self._temporary is not None:
            self._temporary.cleanup()


class _Server(uvicorn.Server):
    """uvicorn, run in a thread: it says when it is ready, and does the site's upkeep."""

    def __init__(self, config: uvicorn.Config, site: Site) -> None:
        super().__init__(config)
        self.ready = threading.Event()
        self.failure: BaseException | None = None
        self._site = site

    def serve_in_thread(self, listening: socket.socket) -> None:
        """Serve until `should_exit`; a failure to start is kept in `failure`."""
        try:
            asyncio.run(self._serve_with_upkeep(listening))
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
            self.failure = error
        finally:
            self.ready.set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept connections, and say so."""
        await super().startup(sockets=sockets)
        self.ready.set()

    async def _serve_with_upkeep(self, listening: socket.socket) -> None:
        upkeep = asyncio.create_task(self._upkeep())
        try:
            await self.serve(sockets=[listening])
        finally:
            upkeep.cancel()
            await asyncio.gather(upkeep, return_exceptions=True)

    async def _upkeep(self) -> None:
        while True:
            await asyncio.sleep(UPKEEP_S)
            try:
                await self._site.pool.run(self._site.upkeep)
            except Exception:
                logger.exception("upkeep failed; it is tried again in %s seconds", UPKEEP_S)


_shared: LocalServer | None = None
_shared_lock = threading.Lock()


def shared_server() -> LocalServer:
    """Return this process's own local server, started at its first use and stopped at exit.

    Its data folder is TINKEX_LOCAL_DIR, or else the user's data folder.
    """
    global _shared
    with _shared_lock:
        if _shared is None or _shared._state == "stopped":
            server = LocalServer(data_dir=default_data_dir()).start()
            atexit.register(server.stop)
            _shared = server
        return _shared


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns off Nagle's algorithm only on sockets that say they are TCP; with it, every
    # answer would wait 40 ms for the acknowledgement of its first packet.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(_BACKLOG)
    except BaseException:
        listening.close()
        raise
    return listening


def _host_names(host: str) -> frozenset[str] | None:
    """Return the names a Host header may have, or None for any."""
    if host == "localhost":
        return LOOPBACK_NAMES
    try:
        loopback = ip_address(host).is_loopback
    except ValueError:
        loopback = False
    return LOOPBACK_NAMES | {host} if loopback else None


def _config(app: Any, connections: Connections) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=connections.protocol(),
        loop="asyncio",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=_GRACE_S,
    )
