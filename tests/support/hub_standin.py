"""A small stand-in of the Hugging Face hub on loopback, and of the host that keeps its large files."""

from __future__ import annotations

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
# huggingface_hub itself asks for it, without the token, at the first request of a process.
AGENTS = "/api/agent-harnesses"


class HubStandin:
    """Serve the files of one repository as the hub does.

    Large files are answered with a redirect to another host, as the hub does; `refusal` is the status
    and the X-Error-Code of every answer instead.
    """

    def __init__(self, name: str, files: dict[str, bytes], revision: str = "main") -> None:
        self.name = name
        self.files = files
        self.revision = revision
        self.refusal: tuple[int, str] | None = None
        self.large = {"tokenizer.json", "tiktoken.model"}
        self.sizes: dict[str, int] = {}
        self.seen: list[tuple[str, str, str, str | None]] = []
        self._hub = self._server("hub")
        self._store = self._server("store")
        # Two names of this machine, so that the second is another host.
        self.url = f"http://127.0.0.1:{self._hub.server_port}"
        self.store_url = f"http://localhost:{self._store.server_port}"

    def _server(self, kind: str) -> ThreadingHTTPServer:
        standin = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                standin.answer(self, kind)

            do_HEAD = do_GET

            def log_message(self, *args: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return server

    def close(self) -> None:
        for server in (self._hub, self._store):
            server.shutdown()
            server.server_close()

    def answer(self, request: BaseHTTPRequestHandler, kind: str) -> None:
        path = unquote(urlsplit(request.path).path)
        if path != AGENTS:
            self.seen.append((kind, request.command, path, request.headers.get("Authorization")))
        if kind == "store":
            return self._send(request, 200, self.files[path.lstrip("/")])
        if self.refusal:
            status, code = self.refusal
            return self._send(
                request,
                status,
                b'{"error": "refused"}',
                {"X-Error-Code": code, "X-Error-Message": code},
            )
        if path in (
            f"/api/models/{self.name}",
            f"/api/models/{self.name}/revision/{self.revision}",
        ):
            return self._send(request, 200, json.dumps(self._info()).encode())
        if path.startswith(f"/api/models/{self.name}/revision/"):
            return self._send(request, 404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        prefix = f"/{self.name}/resolve/{self.revision}/"
        if path.startswith(prefix) and (content := self.files.get(path.removeprefix(prefix))):
            return self._file(request, path.removeprefix(prefix), content)
        return self._send(request, 404, b"{}", {"X-Error-Code": "RepoNotFound"})

    def _info(self) -> dict[str, Any]:
        siblings = [
            {"rfilename": name, "size": self.sizes.get(name, len(content)), "blobId": "0" * 40}
            for name, content in self.files.items()
        ]
        return {"id": self.name, "modelId": self.name, "sha": COMMIT, "siblings": siblings}

    def _file(self, request: BaseHTTPRequestHandler, name: str, content: bytes) -> None:
        headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{hashlib.sha256(content).hexdigest()}"'}
        if name not in self.large:
            return self._send(request, 200, content, headers)
        headers |= {
            "Location": f"{self.store_url}/{name}",
            "X-Linked-Etag": headers["ETag"],
            "X-Linked-Size": str(len(content)),
        }
        return self._send(request, 302, b"", headers)

    def _send(
        self,
        request: BaseHTTPRequestHandler,
        status: int,
        content: bytes,
        headers: dict[str, str] | None = None,
    ) -> None:
        request.send_response(status)
        for name, value in (headers or {}).items():
            request.send_header(name, value)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(content)
