"""The open line to one server: who may use it, and one attempt over it."""

from __future__ import annotations

import logging
import os
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING

from tinkex_generated.types import Request

from tinkex.config import Config, redact_headers
from tinkex.errors import ClientClosedError
from tinkex.transport.answer import Broken, Reply, UnshownHeaders
from tinkex.transport.body import Body
from tinkex.transport.classes import request_class
from tinkex.transport.credentials import Credentials
from tinkex.transport.failures import disarm
from tinkex.transport.network import Network, open_network

if TYPE_CHECKING:
    import httpx

log = logging.getLogger("tinkex.transport")


class Line:
    """Own the network, and the credentials that go on what it carries.

    Args:
        config: Where to, and with which key.
        http_transport: A replacement for the network, such as `httpx.MockTransport`.

    Attributes:
        credentials: What goes on each request at the last moment.
        network: What carries the requests.
        had_contact: Whether the server ever answered.
    """

    def __init__(self, config: Config, http_transport: httpx.BaseTransport | None) -> None:
        self._config = config
        self._closed = False
        self._process = os.getpid()
        self.had_contact = False
        self.credentials = Credentials(config)
        self.network = open_network(config, self.credentials, http_transport)

    @property
    def is_foreign(self) -> bool:
        """Tell whether this process was forked from the one that the connections belong to."""
        return os.getpid() != self._process

    def close(self) -> None:
        """Close every connection."""
        self._closed = True
        self.network.close()

    def opened(self) -> Network:
        """Return the network, if this process may still use it.

        Raises:
            ClientClosedError: It was closed, or belongs to the process that this one was forked from.
        """
        if self._closed:
            raise ClientClosedError("this client was closed; create a new ServiceClient")
        if self.is_foreign:
            raise ClientClosedError(
                "this client was made before the process forked, and its connections belong to the "
                "parent; create a new ServiceClient in this process"
            )
        return self.network

    def attempt(
        self,
        request: Request,
        content: Body | None,
        headers: Mapping[str, str],
        timeout: float | None,
    ) -> Reply | Broken:
        """Make one attempt, and another one if the key was refused and there is a new one."""
        outcome, generation = self._exchanged(request, content, headers, timeout)
        refused = isinstance(outcome, Reply) and outcome.status_code == 401
        # A key may have been changed meanwhile; the refused request had no effect.
        if refused and self.credentials.renewed(generation):
            log.info("%s: the API key was renewed", request.operation)
            outcome, _ = self._exchanged(request, content, headers, timeout)
        return outcome

    def _exchanged(
        self,
        request: Request,
        content: Body | None,
        headers: Mapping[str, str],
        timeout: float | None,
    ) -> tuple[Reply | Broken, int]:
        """Return what came of one attempt, and with which generation of the key it was made."""
        network = self.opened()
        self.credentials.prepare()
        generation = self.credentials.generation
        if self._config.dump_headers:
            self._dump(request, {**network.fixed_headers, **headers})
        try:
            outcome = network.exchange(
                request.method,
                request.path,
                request.params,
                headers,
                content,
                timeout,
                may_repeat=request_class(request.operation).is_idempotent,
            )
        except RuntimeError:
            # What httpx says when another thread has closed it meanwhile.
            self.opened()
            raise
        except BaseException as error:
            # An interrupt goes on, without the frames below: they hold the headers that were sent.
            disarm(error)
            raise
        if isinstance(outcome, Reply):
            self.had_contact = True
        else:
            # Another thread's close breaks what is under way, in one way or another.
            self.opened()
        return outcome, generation

    def _dump(self, request: Request, headers: Mapping[str, str]) -> None:
        secrets = dict.fromkeys(self.credentials.header_names, "")
        log.info("%s %s %s", request.method, request.path, redact_headers({**headers, **secrets}))

    def headers(
        self, request: Request, extra: Mapping[str, str] | None, timeout: float | None
    ) -> dict[str, str]:
        """Return what goes on every attempt of a request, beside the secrets."""
        headers = UnshownHeaders((name.lower(), value) for name, value in request.headers.items())
        if request.content_type:
            headers["content-type"] = request.content_type
        if request.method != "GET":
            headers["x-idempotency-key"] = uuid.uuid4().hex
        headers["x-stainless-read-timeout"] = f"{timeout or self._config.timeout:.3f}"
        for name, value in (extra or {}).items():
            headers[name.lower()] = value
        return headers
