"""What servers on loopback that speak for themselves have in common."""

from __future__ import annotations

import contextlib
import socket
import threading


class SocketServer:
    """Serve each connection in a thread of its own, until it is closed.

    Subclasses set themselves up before they call `__init__`, which begins to accept.
    """

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.connections = 0
        self._open: list[socket.socket] = []
        self.threads = [threading.Thread(target=self._accept)]
        self.threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                taken, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(taken)
            self.threads.append(threading.Thread(target=self._serve, args=(taken,)))
            self.threads[-1].start()

    def _serve(self, taken: socket.socket) -> None:
        raise NotImplementedError

    def close(self) -> None:
        for sock in (self._socket, *self._open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for thread in self.threads:
            thread.join(10)
