"""A checkpoint is described from headers alone, and a broken one is said to be broken."""

from __future__ import annotations

import contextlib
import json
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file
from support.extent import examples
from support.nano import NANO

from tinkex import ServiceClient
from tinkex.checkpoints import inspect
from tinkex.errors import CheckpointError

FILE = "adapter_model.safetensors"
LAYER = "base_model.model.model.layers.0"


def adapter(folder: Path, config: object = None) -> Path:
    """Write an adapter of rank 4 on two layers."""
    folder.mkdir(exist_ok=True)
    tensors = {}
    for layer in ("self_attn.q_proj", "mlp.up_proj"):
        tensors[f"{LAYER}.{layer}.lora_A.weight"] = np.zeros((4, 16), np.float32)
        tensors[f"{LAYER}.{layer}.lora_B.weight"] = np.zeros((32, 4), np.float16)
    save_file(tensors, folder / FILE, metadata={"format": "pt"})
    if config is not None:
        (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


def raw(folder: Path, header: object, data: bytes = b"", length: int | None = None) -> Path:
    """Write a safetensors file by hand."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    size = struct.pack("<Q", len(text) if length is None else length)
    (folder / FILE).write_bytes(size + text + data)
    return folder


def test_an_adapter_is_described_by_its_files(tmp_path: Path) -> None:
    """Rank, scale and base model are the configuration's; shapes and kinds the headers'."""
    config = {"r": 4, "lora_alpha": 32, "base_model_name_or_path": "some/model"}
    found = inspect(adapter(tmp_path, config))
    assert (found.rank, found.alpha, found.base_model) == (4, 32.0, "some/model")
    assert found.target_modules == ("q_proj", "up_proj")
    assert found.dtypes == ("F16", "F32")
    assert found.parameters == 2 * (4 * 16 + 32 * 4)
    assert [tensor.shape for tensor in found.tensors] == [(4, 16), (32, 4)] * 2
    assert found.size_bytes == sum(file.stat().st_size for file in tmp_path.iterdir())


def test_without_a_configuration_the_tensors_tell_the_rank(tmp_path: Path) -> None:
    """The rows of A are the rank; the base model is unknown."""
    found = inspect(adapter(tmp_path))
    assert (found.rank, found.base_model) == (4, None)
    assert "base model      unknown" in found.table()


def test_the_table_and_the_json_say_the_same(tmp_path: Path) -> None:
    """Each tensor is a line of the table and an entry of the JSON."""
    found = inspect(adapter(tmp_path, {"r": 4}))
    table, parsed = found.table(), json.loads(found.to_json())
    for tensor in parsed["tensors"]:
        shape = "x".join(map(str, tensor["shape"]))
        assert [tensor["name"], tensor["dtype"], shape] in [
            x.split()[:3] for x in table.split("\n")
        ]
    assert parsed["rank"] == 4


def test_a_large_file_is_described_without_its_tensors(tmp_path: Path) -> None:
    """A sparse file of a terabyte takes no longer than a small one."""
    size = 2**40
    header = {"w": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}
    raw(tmp_path, header)
    with (tmp_path / FILE).open("r+b") as file:
        file.truncate((tmp_path / FILE).stat().st_size + size)
    assert inspect(tmp_path).tensors[0].size_bytes == size


ENTRY = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"{",
        b"[]",
        b"[" * 100_000,
        {"w": None},
        {"w": ENTRY | {"data_offsets": [0, 9]}},
        {"w": ENTRY | {"data_offsets": [8, 0]}},
        {"w": ENTRY | {"data_offsets": [0]}},
        {"w": ENTRY | {"shape": [3]}},
        {"w": ENTRY | {"shape": [-2]}},
        {"w": ENTRY | {"shape": [True, 2]}},
        {"w": ENTRY | {"dtype": 5}},
    ],
    ids=lambda header: str(header)[:40],
)
def test_a_broken_header_is_an_error_that_names_the_file(tmp_path: Path, header: object) -> None:
    """S12: whatever the header says, it is checked against the file before it is believed."""
    with pytest.raises(CheckpointError, match=FILE):
        inspect(raw(tmp_path, header, bytes(8)))


@pytest.mark.holds("S12")
@pytest.mark.parametrize("length", [0, 1, 10_000, 2**63, 2**64 - 1])
def test_a_header_longer_than_its_file_is_not_read(tmp_path: Path, length: int) -> None:
    """S12: the announced length never decides how much memory is taken."""
    with pytest.raises(CheckpointError, match="header would be"):
        inspect(raw(tmp_path, {"w": ENTRY}, bytes(8), length=length))


@pytest.mark.holds("S12")
@settings(max_examples=examples(60))
@given(content=st.binary(max_size=200))
def test_any_bytes_are_described_or_refused(tmp_path: Path, content: bytes) -> None:
    """S12: nothing but a CheckpointError comes out of a file of noise."""
    header = b'{"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}'
    for noise in (content, struct.pack("<Q", len(header)) + header + content):
        (tmp_path / FILE).write_bytes(noise)
        with contextlib.suppress(CheckpointError):
            assert inspect(tmp_path).size_bytes == len(noise)


@pytest.mark.holds("S18")
def test_names_that_would_move_the_cursor_are_shown_escaped(tmp_path: Path) -> None:
    """A tensor's name comes from a stranger and goes to a terminal."""
    assert "\x1b" not in inspect(raw(tmp_path, {"a\x1b[2J": ENTRY}, bytes(8))).table()


def test_a_folder_without_tensors_is_said_to_be_one(tmp_path: Path) -> None:
    """No folder, no file, and a configuration that is none are three clear errors."""
    with pytest.raises(CheckpointError, match="not a folder"):
        inspect(tmp_path / "missing")
    with pytest.raises(CheckpointError, match="no safetensors"):
        inspect(tmp_path)
    with pytest.raises(CheckpointError, match="adapter_config"):
        inspect(adapter(tmp_path, ["no", "object"]))


def test_a_downloaded_checkpoint_is_described(nano_service: ServiceClient, tmp_path: Path) -> None:
    """What the local server saved is what the inspection finds."""
    training = nano_service.create_lora_training_client(NANO, rank=2)
    path = training.save_weights_for_sampler("inspected").result().path
    found = inspect(nano_service.create_rest_client().download_checkpoint(path, tmp_path).folder)
    assert (found.rank, found.base_model) == (2, NANO)
    assert found.target_modules
    assert found.parameters > 0
