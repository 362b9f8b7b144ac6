"""TLS and HTTP/2 in front of the stand-in: nginx, with a certificate made for the run."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

_CONFIG = """\
worker_processes 1;
daemon off;
pid {home}/pid;
error_log {home}/error.log;
worker_rlimit_nofile 16000;
events {{ worker_connections 8000; }}
http {{
  access_log off;
  client_body_temp_path {home}/body;
  proxy_temp_path {home}/proxy;
  fastcgi_temp_path {home}/fastcgi;
  uwsgi_temp_path {home}/uwsgi;
  scgi_temp_path {home}/scgi;
  client_max_body_size 200m;
  upstream standin {{ server {upstream}; keepalive 1000; }}
  server {{
    listen 127.0.0.1:{port} ssl http2;
    ssl_certificate {home}/server.pem;
    ssl_certificate_key {home}/server.key;
    keepalive_requests 100000;
    location / {{
      proxy_pass http://standin;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_read_timeout 300s;
    }}
  }}
}}
"""


def is_available() -> bool:
    """Return whether this machine has nginx and openssl."""
    return shutil.which("nginx") is not None and shutil.which("openssl") is not None


@contextlib.contextmanager
def tls_front(url: str) -> Iterator[tuple[str, Path]]:
    """Run nginx before a server, and give its https address and the authority to trust."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        _make_certificate(home)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        config = home / "nginx.conf"
        config.write_text(
            _CONFIG.format(home=home, port=port, upstream=urlsplit(url).netloc), encoding="utf-8"
        )
        nginx = subprocess.Popen(["nginx", "-c", str(config), "-e", str(home / "error.log")])
        try:
            _wait_for(port)
            yield f"https://localhost:{port}", home / "ca.pem"
        finally:
            nginx.terminate()
            nginx.wait(10)


def _make_certificate(home: Path) -> None:
    def openssl(*args: str) -> None:
        subprocess.run(["openssl", *args], cwd=home, check=True, capture_output=True)

    key = ("-newkey", "rsa:2048", "-nodes")
    openssl(
        "req",
        "-x509",
        *key,
        "-keyout",
        "ca.key",
        "-out",
        "ca.pem",
        "-days",
        "2",
        "-subj",
        "/CN=bench",
    )
    openssl("req", *key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost")
    names = "subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n"
    (home / "names").write_text(names, encoding="utf-8")
    openssl(
        "x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
        "-out", "server.pem", "-days", "2", "-extfile", "names",
    )  # fmt: skip


def _wait_for(port: int) -> None:
    until = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)  # noqa: TID251 - no package's clock here
        else:
            return
