"""A server of HTTP/2 over TLS that refuses streams, as one does that has no room for more."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h2.config
import h2.connection
import h2.errors
import h2.events
from support.certificates import server_context
from support.raw_server import BODY
from support.socket_server import SocketServer


class Http2Server(SocketServer):
    """Answer each request with a body, but for those that it refuses.

    Attributes:
        refusals: How many of the next requests are refused.
        leaves_early: Whether it says goodbye instead, before it looked at the request.
        refused: How many were refused.
        answered: How many were answered.
    """

    def __init__(self, certificate: Path) -> None:
        self._context = server_context(certificate)
        self._context.set_alpn_protocols(["h2"])
        self.refusals = self.refused = self.answered = 0
        self.leaves_early = False
        super().__init__()
        self.url = f"https://localhost:{self.port}"

    def _serve(self, taken: socket.socket) -> None:
        with contextlib.suppress(OSError), self._context.wrap_socket(taken, True) as link:
            self._open.append(link)
            state = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
            state.initiate_connection()
            link.sendall(state.data_to_send())
            while data := link.recv(65536):
                refused: set[int] = set()
                for event in state.receive_data(data):
                    if isinstance(event, h2.events.RequestReceived) and self.refusals > 0:
                        refused.add(event.stream_id)
                        self._refuse(state, event.stream_id)
                    elif isinstance(event, h2.events.StreamEnded) and (
                        event.stream_id not in refused
                    ):
                        self._answer(state, event.stream_id)
                link.sendall(state.data_to_send())
                if refused and self.leaves_early:
                    return

    def _refuse(self, state: h2.connection.H2Connection, stream: int) -> None:
        self.refusals -= 1
        self.refused += 1
        if self.leaves_early:
            state.close_connection(last_stream_id=0)
        else:
            state.reset_stream(stream, h2.errors.ErrorCodes.REFUSED_STREAM)

    def _answer(self, state: h2.connection.H2Connection, stream: int) -> None:
        self.answered += 1
        state.send_headers(stream, [(":status", "200"), ("content-type", "application/json")])
        state.send_data(stream, BODY, end_stream=True)


@contextmanager
def http2_server(certificate: Path) -> Iterator[Http2Server]:
    """Serve as long as the block runs."""
    server = Http2Server(certificate)
    try:
        yield server
    finally:
        server.close()
