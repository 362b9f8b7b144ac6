"""Where examples come from: files of many formats, data sets, and objects of the program."""

from __future__ import annotations

import codecs
import gzip
import hashlib
import io
import json
import os
import re
import sys
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from attrs import frozen

from tinkex.errors import MissingDependencyError, ValidationError
from tinkex.recipes.mistakes import WrongFieldError
from tinkex.recipes.texts import Records, read_text

Data = str | os.PathLike[str] | Iterable[Mapping[str, Any]]
"""A path, the name of a data set, or the rows themselves."""

STANDARD_INPUT = "-"
_TEXT_SUFFIXES = {".csv", ".json", ".jsonl", ".ndjson", ".text", ".tsv", ".txt"}
_SUFFIXES = {*_TEXT_SUFFIXES, ".arrow", ".gz", ".parquet", ".zst"}
_HUB_PREFIX = "hf://datasets/"
_HUB_NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
_GZIP, _ZSTD, _PARQUET = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PAR1"
# Formats that people take for tables of text, told apart by their first bytes.
_STRANGERS = {
    b"PK\x03\x04": "a zip archive (or an Excel workbook); unpack it, or save it as CSV",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook; save it as CSV",
    b"BZh": "compressed with bzip2; compress it with gzip or zstd",
    b"\xfd7zXZ": "compressed with xz; compress it with gzip or zstd",
    b"SQLite format 3": "an SQLite database; export the table as CSV",
}


@frozen
class Rows:
    """The rows of a source, not checked yet.

    Attributes:
        name: What messages call the source.
        records: Each row's number and the row, or what is wrong with it.
        sha256: The digest of the bytes, or of the rows where there is no file.
        unit: What the numbers count: "line", "row" or "item".
        origin: Where it can be read again; None for objects of the program.
        notices: What was read in another way than the name says.
    """

    name: str
    records: Records
    sha256: str
    unit: str
    origin: str | None = None
    notices: tuple[str, ...] = ()


def rows_of(
    source: Data, *, columns: Mapping[str, str] | None = None, split: str | None = None
) -> Rows:
    """Return the rows of a source; see `read_examples`.

    Raises:
        ValidationError: It is in no format that is known.
        MissingDependencyError: The format takes an extra that is not installed.
        OSError: The file cannot be read.
    """
    if not isinstance(source, str | os.PathLike):
        return _objects(source)
    name = os.fspath(source)
    if name == STANDARD_INPUT:
        return _content(sys.stdin.buffer.read(), "standard input", STANDARD_INPUT, columns)
    path = Path(name)
    if path.is_dir():
        return _saved_data_set(path, split)
    if is_hub_name(name):
        return _from_hub(name, split)
    if split is not None:
        raise ValidationError(f"{name} is one file and has no splits", path="split")
    return _content(path.read_bytes(), name, str(path.absolute()), columns)


def is_hub_name(name: str) -> bool:
    """Return whether a source is the name of a data set on the hub, such as "owner/name"."""
    if name.startswith(_HUB_PREFIX):
        return True
    is_file = Path(name).suffix.lower() in _SUFFIXES or Path(name).exists()
    return not is_file and _HUB_NAME.fullmatch(name) is not None


def _content(content: bytes, name: str, origin: str, columns: Mapping[str, str] | None) -> Rows:
    """Return the rows of a file's bytes, whatever they are."""
    sha256 = hashlib.sha256(content).hexdigest()
    suffixes = [one.lower() for one in Path(name).suffixes]
    while suffixes and suffixes[-1] in (".gz", ".zst"):
        suffixes.pop()
    data = _decompressed(content, name)
    if data.startswith(_PARQUET):
        return Rows(name, _parquet(data, name), sha256, "row", origin)
    for magic, kind in _STRANGERS.items():
        if data.startswith(magic):
            raise ValidationError(f"is {kind}", path=name)
    suffix = suffixes[-1] if suffixes else ""
    read = read_text(_decoded(data, name), name, suffix, columns)
    return Rows(name, read.records, sha256, read.unit, origin, read.notices)


def _decompressed(data: bytes, name: str) -> bytes:
    try:
        while data.startswith((_GZIP, _ZSTD)):
            data = gzip.decompress(data) if data.startswith(_GZIP) else _from_zstd(data)
    except (OSError, EOFError, zlib.error) as error:
        raise ValidationError(f"cannot be decompressed: {error}", path=name) from None
    return data


def _from_zstd(data: bytes) -> bytes:
    try:
        import zstandard
    except ImportError as error:
        raise MissingDependencyError("reading a file compressed with zstd", "zstd") from error
    reader = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data), read_across_frames=True)
    try:
        content = reader.read()
    except zstandard.ZstdError as error:
        raise OSError(str(error)) from None
    if not content:
        raise EOFError("the file is cut off")
    return content


def _decoded(data: bytes, name: str) -> str:
    """Return the text of bytes in UTF-8, or in UTF-16 or UTF-32 with a byte order mark."""
    # The mark of UTF-32 begins with that of UTF-16.
    marks = {
        codecs.BOM_UTF32_LE: "utf-32",
        codecs.BOM_UTF32_BE: "utf-32",
        codecs.BOM_UTF16_LE: "utf-16",
        codecs.BOM_UTF16_BE: "utf-16",
    }
    encoding = next((found for mark, found in marks.items() if data.startswith(mark)), "utf-8")
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding != "utf-8":
            raise ValidationError(f"is no {encoding.upper()}: {error.reason}", path=name) from None
        before = data[: error.start]
        line = before.count(b"\n") + 1
        byte = error.start - (before.rfind(b"\n") + 1) + 1
        raise ValidationError(
            f"byte {byte} is not UTF-8. Convert the file, for example from Latin-1: "
            "iconv -f latin1 -t utf-8",
            path=f"{name}:{line}",
        ) from None


def _parquet(data: bytes, name: str) -> Records:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise MissingDependencyError("reading a Parquet file", "parquet") from error
    try:
        rows = parquet.read_table(io.BytesIO(data)).to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise ValidationError(f"cannot be read as Parquet: {error!s:.200}", path=name) from None
    return [(number, _plain(row, "arrow")) for number, row in enumerate(rows, 1)]


def _datasets(feature: str) -> Any:
    try:
        import datasets
    except ImportError as error:
        raise MissingDependencyError(feature, "datasets") from error
    return datasets


def _saved_data_set(folder: Path, split: str | None) -> Rows:
    if not any((folder / one).is_file() for one in ("dataset_dict.json", "state.json")):
        raise ValidationError(
            "is a folder, and no data set that `datasets` saved (it has neither state.json nor "
            "dataset_dict.json); name a file in it",
            path=str(folder),
        )
    loaded = _datasets("reading a saved data set").load_from_disk(str(folder))
    return _data_set(_one_split(loaded, split, str(folder)), str(folder), str(folder.absolute()))


def _from_hub(name: str, split: str | None) -> Rows:
    datasets = _datasets("reading a data set of the Hugging Face hub")
    try:
        loaded = datasets.load_dataset(name.removeprefix(_HUB_PREFIX), split=split or "train")
    except Exception as error:
        # The library's errors have no common class.
        raise ValidationError(
            f"is no file, and cannot be had as a data set of the Hugging Face hub: {error!s:.300}",
            path=name,
        ) from error
    return _data_set(loaded, name, name)


def _one_split(loaded: Any, split: str | None, name: str) -> Any:
    if not isinstance(loaded, Mapping):
        if split is not None:
            raise ValidationError(f"{name} has no splits", path="split")
        return loaded
    if (split or "train") not in loaded:
        raise ValidationError(
            f"{name} has no split {split or 'train'!r}; it has {', '.join(loaded)}", path="split"
        )
    return loaded[split or "train"]


def _data_set(rows: Iterable[Any], name: str, origin: str | None) -> Rows:
    records = [_plain(row, "arrow") for row in rows]
    return Rows(name, list(enumerate(records, 1)), digest_of(records), "row", origin)


def _objects(source: Any) -> Rows:
    """Return the rows of a list, an iterator, a frame or a data set."""
    library = type(source).__module__.partition(".")[0]
    if library == "pandas" and hasattr(source, "to_dict"):
        rows = [_plain(row, "pandas") for row in source.to_dict("records")]
        return Rows("the frame", list(enumerate(rows, 1)), digest_of(rows), "row")
    if isinstance(source, Mapping) or not isinstance(source, Iterable):
        kind = type(source).__name__
        hint = f"; choose one of its splits ({', '.join(source)})" if kind == "DatasetDict" else ""
        raise ValidationError(
            f"must be a path or a list of dicts, not a {kind}{hint}", path="source"
        )
    if library == "datasets":
        return _data_set(source, "the data set", None)
    rows = [_plain(row, "") for row in source]
    records = [(number, _mapped(row)) for number, row in enumerate(rows, 1)]
    return Rows("the examples", records, digest_of(rows), "item")


def _mapped(row: Any) -> dict[str, Any] | WrongFieldError:
    if isinstance(row, dict):
        return row
    return WrongFieldError("", f"is a {type(row).__name__}, and must be a dict")


def _plain(value: Any, library: str, *, is_row: bool = True) -> Any:
    """Return a value as JSON has it.

    Arrow gives every struct all keys that one of them has, and pandas writes NaN where a cell is
    empty; neither is in the data as written.
    """
    if isinstance(value, Mapping):
        items = ((str(key), _plain(one, library, is_row=False)) for key, one in value.items())
        return {key: one for key, one in items if is_row or one is not None or library != "arrow"}
    if hasattr(value, "tolist"):  # arrays and scalars of numpy
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(one, library, is_row=False) for one in value]
    if library == "pandas" and (value is None or _is_missing(value)):
        return None
    return value


def _is_missing(value: Any) -> bool:
    return type(value).__name__ in ("NAType", "NaTType") or (
        isinstance(value, float) and value != value
    )


def digest_of(records: Iterable[Any]) -> str:
    """Return the digest of rows that no file holds, in hex."""
    digest = hashlib.sha256()
    for record in records:
        written = json.dumps(record, sort_keys=True, default=str)
        digest.update(written.encode(errors="surrogatepass") + b"\n")
    return digest.hexdigest()
