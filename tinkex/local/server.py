"""The embedded local server: uvicorn in a thread of this process."""

import asyncio
import atexit
import errno
import logging
import os
import secrets
import socket
import tempfile
import threading
import weakref
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self

import uvicorn
from attrs import evolve

from tinkex._base.secret import Secret
from tinkex.local.app import build_app
from tinkex.local.app_state import AppState, Options
from tinkex.local.connections import Connections
from tinkex.local.datadir import default_data_dir
from tinkex.local.faults import FaultGate, check_operations
from tinkex.local.gate import Gate
from tinkex.local.hosts import HostNames, is_every_interface, is_loopback
from tinkex.local.spec import load_operations
from tinkex.testing.faults import Fault, FaultPlan

logger = logging.getLogger("tinkex.local.server")

UPKEEP_S = 15.0
_BACKLOG = 2048
# Fewer than the descriptors that are kept back, so that each connection is looked at in time.
_ACCEPTED_AT_ONCE = 16
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
    interface unless the server shall be reachable from elsewhere; then it needs a key, or
    `without_key=True` to accept everyone, and serves the address it listens on and to
    `allowed_hosts`. `faults` are played at the
    requests they are for, and `latency` seconds pass before any request is looked at; see
    `tinkex.testing`. `options` has the finer settings.

    `start` returns when the server accepts requests; `stop` ends every thread, closes every file and may
    be called twice. A stopped server cannot be started again: make another one.

    Raises:
        OSError: the port is taken, or the data folder cannot be written.
        ValueError: a folder in `models` is none, a fault is for no operation of the spec, the data
            folder holds something else, or a server beyond the loopback interface has no key.
    """

    def __init__(
        self,
        data_dir: str | Path | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        models: Mapping[str, str | Path] | None = None,
        api_key: str | Secret | None = None,
        *,
        without_key: bool = False,
        allowed_hosts: Iterable[str] = (),
        faults: Iterable[Fault] = (),
        latency: float = 0.0,
        options: Options | None = None,
    ) -> None:
        # As a plain string it would stand in the locals of every traceback through here.
        api_key = Secret.of(api_key)
        if not 0 <= latency < float("inf"):
            raise ValueError(f"latency must be finite and not negative, got {latency!r}")
        self._operations = load_operations()
        self.faults = FaultPlan(faults)
        check_operations(self.faults, self._operations)
        self._latency_s = latency
        self._host = host
        self._port = port
        self._models = dict(models or {})
        self._options = options or Options()
        if api_key is not None:
            self._options = evolve(self._options, api_key=api_key)
        self._connections = Connections(self._options.header_timeout_s)
        self._hosts = HostNames.of(host, allowed_hosts)
        _check_key(self._options.api_key, host, without_key)
        self._given_dir = None if data_dir is None else Path(data_dir).expanduser()
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._app_state: AppState | None = None
        self._socket: socket.socket | None = None
        self._base_url: str | None = None
        self._thread: threading.Thread | None = None
        self._uvicorn: _Server | None = None
        self._process_id = os.getpid()
        self._state = "new"
        # Whether the key is known to this process alone.
        self._is_embedded = False
        self._lock = threading.Lock()

    @property
    def base_url(self) -> str:
        """The URL to give to a client."""
        if self._base_url is None:
            raise RuntimeError("the local server is not running: call start() first")
        return self._base_url

    @property
    def api_key(self) -> Secret | None:
        """The key that the server requires; None if it accepts everyone."""
        return self._options.api_key

    @property
    def console_url(self) -> str:
        """The address of the page for a browser; a new one each time, if the server requires a key.

        Then it ends with a code that lets one browser in, once; a browser that was let in stays so for
        30 days, as long as the key is good.
        """
        if self._app_state is None or self.api_key is None:
            return f"{self.base_url}/"
        return f"{self.base_url}/#{self._app_state.page_access.new_code()}"

    @property
    def data_dir(self) -> Path:
        """The folder with the server's runs and checkpoints."""
        if self._app_state is None:
            raise RuntimeError("the local server is not running: call start() first")
        return self._app_state.data.root

    @property
    def model_names(self) -> list[str]:
        """The base models this server offers."""
        return [] if self._app_state is None else self._app_state.bases.names

    @property
    def failure(self) -> BaseException | None:
        """The error that ended the server, if one did; since then it refuses connections."""
        return None if self._uvicorn is None else self._uvicorn.failure

    def start(self) -> Self:
        """Start the server and return when it accepts requests."""
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
        logger.info(
            "local server at %s/ (a page to watch), data in %s", self.base_url, self.data_dir
        )
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
        self._base_url = _url_of(self._socket)
        _started.add(self)
        self._app_state = AppState(root, self._models, self._options)
        self._app_state.is_embedded = self._is_embedded
        self._app_state.start()
        gate = Gate(
            build_app(self._app_state),
            keys=self._app_state.keys,
            max_body_bytes=self._options.max_body_bytes,
            hosts=self._hosts,
            pages=self._app_state.page_access,
            refused=self._app_state.note_refused,
            body_timeout_s=self._options.header_timeout_s,
        )
        app = FaultGate(gate, self.faults, self._connections, self._operations, self._latency_s)
        self._uvicorn = _Server(_config(app, self._connections), self._app_state, self._connections)
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

    def _leave_to_parent(self) -> None:
        """Close this process's copies of what keeps a port taken, and a folder in use."""
        if self._socket is not None:
            self._socket.close()
        if self._app_state is not None:
            self._app_state.data.release_copy()

    def _tear_down(self) -> None:
        if self._app_state is not None:
            self._app_state.end_waits()
        if self._uvicorn is not None:
            self._uvicorn.should_exit = True
        if self._thread is not None:
            self._thread.join()
        if self._app_state is not None:
            self._app_state.close()
        if self._socket is not None:
            self._socket.close()
        self._base_url = None
        if self._temporary is not None:
            self._temporary.cleanup()


class _Server(uvicorn.Server):
    """uvicorn in a thread, which signals when it is ready and runs the periodic work."""

    def __init__(self, config: uvicorn.Config, state: AppState, connections: Connections) -> None:
        super().__init__(config)
        self._connections = connections
        self.ready = threading.Event()
        self.failure: BaseException | None = None
        self._app_state = state

    def serve_in_thread(self, listening: socket.socket) -> None:
        """Serve until `should_exit`; what ends it before is kept in `failure`."""
        try:
            asyncio.run(self._serve_with_upkeep(listening))
        except BaseException as error:
            self.failure = error
            if self.started:
                logger.exception("the local server has ended by an error, and refuses connections")
        finally:
            self.ready.set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept connections, and say so."""
        await super().startup(sockets=sockets)
        for listening in sockets or ():
            # As many may wait as before: uvicorn has set what is accepted at once.
            listening.listen(_BACKLOG)
        self.ready.set()

    async def _serve_with_upkeep(self, listening: socket.socket) -> None:
        asyncio.get_running_loop().set_exception_handler(self._connections.log_failure)
        upkeep = asyncio.create_task(self._upkeep())
        try:
            await self.serve(sockets=[listening])
        except BaseException:
            if self.started:
                # Or clients would wait for responses that no one sends.
                await self.shutdown(sockets=[listening])
            raise
        finally:
            upkeep.cancel()
            await asyncio.gather(upkeep, return_exceptions=True)

    async def _upkeep(self) -> None:
        while True:
            await asyncio.sleep(UPKEEP_S)
            try:
                await self._app_state.pool.run(self._app_state.upkeep)
            except Exception:
                logger.exception("upkeep failed; it is tried again in %s seconds", UPKEEP_S)


_shared: LocalServer | None = None
_shared_lock = threading.Lock()
_started: "weakref.WeakSet[LocalServer]" = weakref.WeakSet()


def shared_server() -> LocalServer:
    """Return this process's own local server, started at its first use and stopped at exit.

    Its data folder is TINKEX_LOCAL_DIR, or else the user's data folder. It lets in only the holders
    of `api_key`, which is random, so that other users of the machine stay outside. A forked child
    uses the server of its parent.
    """
    global _shared
    with _shared_lock:
        if _shared is not None and _shared.failure is not None:
            # Another one may use its folder then.
            _shared.stop()
        if _shared is None or _shared._state == "stopped":
            key = Secret(f"tml-{secrets.token_urlsafe(32)}")
            server = LocalServer(data_dir=default_data_dir(), api_key=key)
            server._is_embedded = True
            server.start()
            atexit.register(server.stop)
            _shared = server
        return _shared


def _after_fork() -> None:
    """Leave the servers to the parent; the lock may have been held by a thread that is gone."""
    global _shared_lock
    _shared_lock = threading.Lock()
    for server in list(_started):
        server._leave_to_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _check_key(key: Secret | None, host: str, without_key: bool) -> None:
    """Raise a ValueError for a key that cannot be sent, or that is missing."""
    if key is not None:
        if not (key.reveal().isascii() and key.reveal().isprintable() and key.reveal().strip()):
            raise ValueError("api_key must be a word of visible ASCII characters")
    elif not (without_key or is_loopback(host)):
        raise ValueError(
            f"a server at {host!r} is open to other machines and needs an API key (api_key=..., or"
            " TINKEX_SERVE_API_KEY for tinkex serve); to accept everyone who can reach it, say so"
            " (without_key=True, or --without-key)"
        )


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns off Nagle's algorithm only on sockets that say they are TCP; with it, every
    # response would wait 40 ms for the acknowledgement of its first packet.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        reason = "is already in use" if error.errno == errno.EADDRINUSE else error.strerror
        raise OSError(error.errno, f"port {port} of {host} {reason}; choose another port") from None
    except BaseException:
        listening.close()
        raise
    return listening


def _url_of(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    if is_every_interface(host):
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _config(app: Any, connections: Connections) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=connections.protocol(),
        loop="asyncio",
        ws="none",
        lifespan="off",
        backlog=_ACCEPTED_AT_ONCE,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=_GRACE_S,
    )
