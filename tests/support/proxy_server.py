"""A proxy on loopback that leads every way to one server, and can be told to misbehave."""

from __future__ import annotations

import base64
import contextlib
import socket
import threading

WANTED = b"HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic\r\ncontent-length: 0\r\n\r\n"


class ProxyServer:
    """Pass requests and tunnels on to `target`, whatever host they name.

    Attributes:
        heads: The head of each request to the proxy, which for a tunnel is all that it can read.
        password: What it asks for, as "user:password"; None lets everybody through.
        dies: "" or when it hangs up: "at once", or "after the head".
    """

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.heads: list[bytes] = []
        self.password: str | None = None
        self.dies = ""
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                taken, _ = self._socket.accept()
            except OSError:
                return
            self._open.append(taken)
            self._threads.append(threading.Thread(target=self._serve, args=(taken,)))
            self._threads[-1].start()

    def _serve(self, taken: socket.socket) -> None:
        with taken, contextlib.suppress(OSError):
            if self.dies == "at once":
                return
            data = b""
            while b"\r\n\r\n" not in data:
                more = taken.recv(65536)
                if not more:
                    return
                data += more
            self.heads.append(data.partition(b"\r\n\r\n")[0])
            if self.dies:
                return
            if self.password and self._basic() not in data:
                taken.sendall(WANTED)
                return
            with socket.create_connection(self._target) as out:
                self._open.append(out)
                if data.startswith(b"CONNECT"):
                    taken.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                else:
                    out.sendall(data)
                back = threading.Thread(target=_pass_on, args=(out, taken))
                back.start()
                _pass_on(taken, out)
                back.join(10)

    def _basic(self) -> bytes:
        return b"Basic " + base64.b64encode((self.password or "").encode())

    def close(self) -> None:
        for sock in (self._socket, *self._open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for thread in self._threads:
            thread.join(10)


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
