"""Tokenizers under the URLs of the Hugging Face Hub."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import httpx
import pytest
from huggingface_hub import HfApi, hf_hub_download, snapshot_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
)
from local.wire import served

from tinkex.local import LocalServer, bases

SHIPPED = Path(bases.__file__).parent / "models" / "tiny-chat"


@pytest.fixture
def endpoint(server: LocalServer) -> str:
    return server.base_url


@pytest.mark.parametrize("model", ["tinkex/tiny-chat", "tinkex/nano"])
def test_files_of_a_tokenizer_are_downloaded_by_the_hubs_client(
    endpoint: str, tmp_path: Path, model: str
) -> None:
    """huggingface_hub itself gets each file and the whole repository, and caches them."""
    found = hf_hub_download(model, "tokenizer.json", endpoint=endpoint, cache_dir=tmp_path)
    assert Path(found).read_bytes() == (SHIPPED / "tokenizer.json").read_bytes()
    again = hf_hub_download(model, "tokenizer.json", endpoint=endpoint, cache_dir=tmp_path)
    assert again == found
    folder = Path(snapshot_download(model, endpoint=endpoint, cache_dir=tmp_path))
    names = {path.name for path in folder.iterdir()}
    assert names == {
        "config.json",
        "generation_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    info = HfApi(endpoint=endpoint).model_info(model)
    assert (info.id, info.sha) == (model, folder.name)


def test_weights_and_unknown_models_are_not_there(endpoint: str, tmp_path: Path) -> None:
    """The Hub's client tells a missing file from a missing repository."""
    where: dict[str, Any] = {"endpoint": endpoint, "cache_dir": tmp_path}
    for name in ("model.safetensors", "MODEL_CARD.md"):
        with pytest.raises(EntryNotFoundError) as caught:
            hf_hub_download("tinkex/nano", name, **where)
        # The server said so; it is not that it could not be asked.
        assert not isinstance(caught.value, LocalEntryNotFoundError)
    above = httpx.get(f"{endpoint}/tinkex/nano/resolve/main/..%2fbases.py")
    assert above.status_code == 404
    with pytest.raises(RepositoryNotFoundError, match="did you mean 'tinkex/nano'"):
        hf_hub_download("tinkex/none", "tokenizer.json", **where)


def test_a_head_request_says_what_the_file_is(endpoint: str) -> None:
    """Size, hash and revision come without the content; a range of it can be had."""
    url = f"{endpoint}/tinkex/nano/resolve/main/tokenizer.json"
    head = httpx.head(url)
    assert head.status_code == 200
    assert int(head.headers["content-length"]) == (SHIPPED / "tokenizer.json").stat().st_size
    assert len(head.headers["x-repo-commit"]) == 40
    part = httpx.get(url, headers={"range": "bytes=0-9"})
    assert (part.status_code, part.content) == (
        206,
        (SHIPPED / "tokenizer.json").read_bytes()[:10],
    )
    assert part.headers["etag"] == head.headers["etag"]


def test_a_key_is_asked_for_as_the_hubs_clients_send_it() -> None:
    """HF_TOKEN has to be the server's key."""
    with served(api_key="tml-right") as (server, _):
        url = f"{server.base_url}/tinkex/nano/resolve/main/config.json"
        assert httpx.head(url).status_code == 401
        assert httpx.head(url, headers={"authorization": "Bearer tml-wrong"}).status_code == 401
        assert httpx.head(url, headers={"authorization": "Bearer tml-right"}).status_code == 200


def test_a_folder_of_the_user_has_its_own_name_and_revision(tmp_path: Path) -> None:
    """A changed file changes hash and revision; names are resolved as the official client asks."""
    folder = tmp_path / "mine"
    shutil.copytree(SHIPPED, folder)
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    models = {"plain": folder, "owner/model/variant": folder, "meta-llama/Llama-3.2-1B": folder}
    with served(models=models) as (server, _):
        for name in (
            "plain",
            "owner/model",
            "thinkingmachineslabinc/meta-llama-3-instruct-tokenizer",
        ):
            url = f"{server.base_url}/{name}/resolve/main/chat_template.jinja"
            before = httpx.get(url)
            assert before.text == "{{ messages }}"
        (folder / "chat_template.jinja").write_text("{{ message }}")
        after = httpx.get(url)
        assert after.text == "{{ message }}"
        for header in ("etag", "x-repo-commit"):
            assert after.headers[header] != before.headers[header]
        tree = httpx.get(f"{server.base_url}/api/models/plain/tree/main").json()
        assert "chat_template.jinja" in json.dumps(tree)
        folder_url = f"{server.base_url}/api/models/plain/tree/main/additional_chat_templates"
        missing = httpx.get(folder_url)
        assert (missing.status_code, missing.headers["x-error-code"]) == (404, "EntryNotFound")
