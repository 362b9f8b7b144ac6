"""What servers on loopback that speak for themselves have in common."""

from __future__ import annotations

import contextlib
import socket
import ssl
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

    def _encrypted(self, taken: socket.socket, context: ssl.SSLContext) -> ssl.SSLSocket:
        """Return a connection after its handshake, during which it can be closed as well."""
        wrapped = context.wrap_socket(taken, server_side=True, do_handshake_on_connect=False)
        self._open.append(wrapped)
        try:
            wrapped.do_handshake()
        except OSError:
            # Closing with something unread would reset the connection, and the client lose the alert.
            with socket.socket(fileno=wrapped.detach()) as rest, contextlib.suppress(OSError):
                rest.settimeout(5)
                rest.shutdown(socket.SHUT_WR)
                while rest.recv(4096):
                    continue
            raise
        return wrapped

    def close(self) -> None:
        _hang_up(self._socket)
        self._socket.close()
        accepting, *serving = self.threads
        accepting.join(10)
        for sock in list(self._open):
            _hang_up(sock)
        for thread in serving:
            thread.join(10)


def _hang_up(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        # The method of an SSL socket would also forget how to decrypt, for the thread that reads from it.
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
