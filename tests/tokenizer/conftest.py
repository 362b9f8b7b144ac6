"""What the tests of tokenizers share: empty caches, and a hub that cannot be reached."""

from pathlib import Path

import pytest
from support.nano import nano_service

from tinkex.tokenizer import once

__all__ = ["nano_service"]


@pytest.fixture(autouse=True)
def caches(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give each test caches of its own, and no way to the hub unless it makes one."""
    folder = tmp_path_factory.mktemp("caches")
    once.forget()
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(folder / "huggingface"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("TINKEX_CACHE_DIR", str(folder / "tinkex"))
    monkeypatch.delenv("TINKEX_OFFLINE", raising=False)
    return folder
