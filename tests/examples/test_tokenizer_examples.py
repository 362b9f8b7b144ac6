"""The examples about tokenizers run where their models are offered, and skip elsewhere."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from examples.test_examples import output_of, run

import tinkex.local
from tinkex.local import LocalServer

SHIPPED = Path(tinkex.local.__file__).parent / "models" / "tiny-chat"
KIMI = "moonshotai/Kimi-K2-Thinking"
LLAMA = "meta-llama/Llama-3.1-8B"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """Serve small models under the names of large ones."""
    folder = tmp_path_factory.mktemp("models") / "small"
    shutil.copytree(SHIPPED, folder)
    data = tmp_path_factory.mktemp("data")
    with LocalServer(data_dir=data, models={KIMI: folder, LLAMA: folder}) as server:
        yield server


@pytest.mark.parametrize(
    ("name", "model"), [("kimi_k2_sampling", KIMI), ("llama3_tokenizer_override", LLAMA)]
)
def test_a_model_that_is_not_offered_is_skipped(name: str, model: str, tmp_path: Path) -> None:
    """One line says so, and the example ends well."""
    out = output_of(name, tmp_path)
    assert out.splitlines()[-1] == f"Skipped: this server does not offer {model}."


def test_kimi_is_sampled_where_it_is_offered(server: LocalServer, tmp_path: Path) -> None:
    """Ids, round trip and each sample are shown."""
    done = run(
        "kimi_k2_sampling", tmp_path, TINKER_BASE_URL=server.base_url, TINKER_NUM_SAMPLES="2"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert f"Model: {KIMI}" in done.stdout
    assert re.search(r"^Token ids: \[\d.*\] \(\d+ tokens\)$", done.stdout, re.MULTILINE)
    assert "Round trip: 'Say hi'" in done.stdout
    assert done.stdout.count("\nSample ") == 2


def test_another_model_can_be_named_instead(server: LocalServer, tmp_path: Path) -> None:
    """TINKER_BASE_MODEL is sampled from without a look at the list."""
    done = run(
        "kimi_k2_sampling",
        tmp_path,
        TINKER_BASE_URL=server.base_url,
        TINKER_BASE_MODEL="tinkex/nano",
        TINKER_MAX_TOKENS="4",
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "Model: tinkex/nano" in done.stdout


def test_llama_has_a_tokenizer_of_another_name(server: LocalServer, tmp_path: Path) -> None:
    """The name on the hub, the ids, and the answer are shown, also as a stream."""
    done = run("llama3_tokenizer_override", tmp_path, TINKER_BASE_URL=server.base_url)
    assert (done.returncode, done.stderr) == (0, "")
    expected = "Tokenizer on the hub: thinkingmachineslabinc/meta-llama-3-instruct-tokenizer"
    assert expected in done.stdout
    assert "Streamed: " in done.stdout
    assert re.search(r"^Decoded: ['\"]", done.stdout, re.MULTILINE)
