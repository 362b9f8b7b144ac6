"""A proxy on loopback that leads every way to one server, and can be told to misbehave."""

from __future__ import annotations

import base64
import contextlib
import socket
import threading

from support.socket_server import SocketServer

WANTED = b"HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic\r\ncontent-length: 0\r\n\r\n"


class ProxyServer(SocketServer):
    """Pass requests and tunnels on to `target`, whatever host they name.

    Attributes:
        heads: The head of each request to the proxy, which for a tunnel is all that it can read.
        password: What it asks for, as "user:password"; None lets everybody through.
        dies: "" or when it hangs up: "at once", or "after the head".
    """

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self.heads: list[bytes] = []
        self.password: str | None = None
        self.dies = ""
        super().__init__()

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


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
