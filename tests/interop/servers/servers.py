"""The servers that `make interop-servers` tries: how each is installed, started and stopped."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from abc import ABC, abstractmethod
from pathlib import Path

HERE = Path(__file__).resolve().parent
VENVS = HERE.parents[2] / ".venv-interop" / "servers"
TORCH = "torch==2.13.0"
TUFT_REQUIREMENTS = (
    "fastapi>=0.133,<0.137",
    "omegaconf",
    "antlr4-python3-runtime==4.9.3",
    "opentelemetry-instrumentation",
    "opentelemetry-instrumentation-fastapi",
    "opentelemetry-instrumentation-asgi",
    "opentelemetry-instrumentation-logging",
    "opentelemetry-util-http",
    "wrapt",
    "asgiref",
    "nvidia-ml-py",
    "opentelemetry-exporter-otlp-proto-grpc==1.45.2",
    "grpcio",
)
# Seconds until a server answers; loading its packages takes most of it.
START_PATIENCE = 300.0
STOP_PATIENCE = 30.0


class Server(ABC):
    """A server of the Tinker API on loopback, with a folder of its own.

    Attributes:
        name: What it is called in the table.
        model: The name of its model.
        key: A key that it takes.
    """

    name: str
    key = "tml-interop"

    def __init__(self, folder: Path, model: Path) -> None:
        self.folder = folder
        self.model = str(model)
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    @classmethod
    def venv(cls) -> Path:
        return VENVS / cls.name.lower().replace(" ", "-")

    @classmethod
    @abstractmethod
    def install(cls) -> None:
        """Install the server into its virtual environment."""

    @abstractmethod
    def command(self) -> list[str]:
        """Return the command that runs it."""

    def environment(self) -> dict[str, str]:
        offline = dict.fromkeys(("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"), "1")
        return {**os.environ, **offline, "TOKENIZERS_PARALLELISM": "false"}

    def start(self) -> None:
        """Run it, and wait until it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                ["nice", *self.command()],
                env=self.environment(),
                cwd=self.folder,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        until = time.monotonic() + START_PATIENCE
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > until:
                self.stop()
                raise RuntimeError(f"{self.name} did not start:\n{self.end_of_log()}")
            time.sleep(0.2)  # noqa: TID251 - a process is waited for

    def stop(self) -> None:
        """End it and the processes that it started."""
        if self._process is None:
            return
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_PATIENCE)
        # Its engine may outlive it.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(STOP_PATIENCE)
        self._process = None

    def end_of_log(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-30:])

    def _answers(self) -> bool:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"{self.url}/api/v1/healthz", timeout=2) as response:
                return bool(response.status == 200)
        except OSError:
            return False


class SkyRL(Server):
    """SkyRL with its JAX backend on the CPU."""

    version: str

    @classmethod
    def install(cls) -> None:
        _make(cls.venv())
        # By itself first, or the newest torch comes, with what it needs for GPUs.
        _pip(cls.venv(), TORCH)
        _pip(cls.venv(), "--requirement", str(HERE / f"skyrl-{cls.version}.txt"))
        _pip(cls.venv(), "--no-deps", "--ignore-requires-python", f"skyrl=={cls.version}")

    def command(self) -> list[str]:
        return [
            str(self.venv() / "bin" / "python"),
            str(HERE / "skyrl_server.py"),
            "--backend=jax",
            "--backend-config=" + json.dumps({"max_lora_adapters": 32, "max_lora_rank": 32}),
            f"--base-model={self.model}",
            f"--port={self.port}",
            f"--database-url=sqlite:///{self.folder / 'tinker.db'}",
            f"--checkpoints-base={self.folder / 'checkpoints'}",
        ]

    def environment(self) -> dict[str, str]:
        return {
            **super().environment(),
            "JAX_PLATFORMS": "cpu",
            # Compiling takes most of a run's time; what one run has compiled, the next one finds.
            "JAX_COMPILATION_CACHE_DIR": str(self.venv() / "compiled"),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        }


class SkyRL030(SkyRL):
    """The newest one that takes JSON."""

    name, version = "SkyRL 0.3.0", "0.3.0"


class SkyRL040(SkyRL):
    """The first one that takes the binary form alone."""

    name, version = "SkyRL 0.4.0", "0.4.0"


class TuFT(Server):
    """TuFT with its CPU backend for tests, a toy that all models share."""

    name = "TuFT 0.2.2"

    @classmethod
    def install(cls) -> None:
        _make(cls.venv())
        # The packages of SkyRL 0.4.0 are those that it needs, but for the ones below.
        borrowed = next(SkyRL040.venv().glob("lib/python3.*/site-packages"))
        own = next(cls.venv().glob("lib/python3.*/site-packages"))
        (own / "borrowed.pth").write_text(f"{borrowed}\n", encoding="utf-8")
        _pip(cls.venv(), "--no-deps", "tuft==0.2.2", *TUFT_REQUIREMENTS)

    def command(self) -> list[str]:
        settings = {
            "checkpoint_dir": str(self.folder / "checkpoints"),
            "model_owner": "interop",
            "authorized_users": {self.key: "interop"},
            "persistence": {"mode": "FILE", "file_path": str(self.folder / "state.json")},
            "supported_models": [
                {
                    "model_name": self.model,
                    "model_path": self.model,
                    "max_model_len": 2048,
                    "max_lora_rank": 32,
                    "max_loras": 32,
                }
            ],
        }
        config = self.folder / "tuft.yaml"
        # JSON is YAML, too.
        config.write_text(json.dumps(settings), encoding="utf-8")
        return [
            str(self.venv() / "bin" / "tuft"),
            "launch",
            "--host=127.0.0.1",
            f"--port={self.port}",
            f"--config={config}",
        ]

    def environment(self) -> dict[str, str]:
        return {
            **super().environment(),
            "TUFT_CPU_TEST": "1",
            "TUFT_HOME": str(self.folder / "home"),
        }


SERVERS: tuple[type[Server], ...] = (SkyRL030, SkyRL040, TuFT)


def make_model(folder: Path) -> None:
    """Make the model, by the packages of one of the servers."""
    python = SkyRL030.venv() / "bin" / "python"
    subprocess.run([python, HERE / "tiny_model.py", folder], check=True, timeout=300)


def _make(venv: Path) -> None:
    if not (venv / "bin" / "python").exists():
        subprocess.run([sys.executable, "-m", "venv", venv], check=True, timeout=300)


def _pip(venv: Path, *arguments: str) -> None:
    pip = [
        venv / "bin" / "python",
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]
    subprocess.run([*pip, *arguments], check=True, timeout=3600)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])
