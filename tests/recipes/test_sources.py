"""Where examples come from: formats known by their content, data sets, and objects of a program."""

from __future__ import annotations

import gzip
import io
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tinkex.errors import MissingDependencyError, ValidationError
from tinkex.recipes import Completion, Conversation, Document, Source, read_examples
from tinkex.recipes.sources import is_hub_name

PAIRS = [{"prompt": "a", "completion": "b"}, {"prompt": "c, d", "completion": 'e "f"'}]
READ = [Completion(1, "a", "b"), Completion(2, "c, d", 'e "f"')]
MESSAGES = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]


def jsonl(records: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(one) + "\n" for one in records).encode()


def zstd(data: bytes) -> bytes:
    zstandard = pytest.importorskip("zstandard")
    # Two frames, as a log that is appended to has them.
    half = len(data) // 2
    compressor = zstandard.ZstdCompressor()
    return compressor.compress(data[:half]) + compressor.compress(data[half:])


@pytest.mark.parametrize(
    "name", ["data.jsonl", "data.json", "data.txt", "data", "data.jsonl.gz", "data.csv.bak"]
)
@pytest.mark.parametrize("packed", [bytes, gzip.compress, zstd], ids=["plain", "gzip", "zstd"])
def test_a_file_is_known_by_its_content(
    tmp_path: Path, name: str, packed: Callable[[bytes], bytes]
) -> None:
    """Whatever it is called, and however it is compressed."""
    file = tmp_path / name
    file.write_bytes(packed(jsonl(PAIRS)))
    assert read_examples(file).examples == READ


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", 'prompt,completion\r\na,b\r\n"c, d","e ""f"""\r\n'),
        ("a.tsv", 'prompt\tcompletion\na\tb\nc, d\t"e ""f"""\n'),
        ("a.csv", '\ufeffprompt;completion\na;b\n"c, d";"e ""f"""\n'),
        ("a", 'prompt,completion\na,b\n"c, d","e ""f"""\n'),
        ("a.jsonl", 'id|prompt|completion\n1|a|b\n2|c, d|"e ""f"""\n'),
    ],
)
def test_tables_are_read(tmp_path: Path, name: str, text: str) -> None:
    """With the delimiter that their head has; a table is known by its columns, too."""
    file = tmp_path / name
    file.write_text(text, encoding="utf-8", newline="")
    read = read_examples(file)
    assert [(one.prompt, one.completion) for one in read.examples] == [
        ("a", "b"),
        ("c, d", 'e "f"'),
    ]
    assert [one.line for one in read.examples] == [2, 3]


def test_lines_of_a_table_keep_their_numbers(tmp_path: Path) -> None:
    """Also after a cell with line ends; rows of another width are mistakes."""
    file = tmp_path / "a.csv"
    file.write_text('prompt,completion\n"a\nb",c\nd,e,f\n\ng,\n')
    with pytest.raises(ValidationError) as caught:
        read_examples(file)
    assert str(caught.value).splitlines() == [
        f"{file}:4: has 3 cells, and the head has 2 columns",
        f"{file}:6: completion: is empty: nothing to learn",
    ]
    file.write_text('prompt,completion\na,"b\n')
    with pytest.raises(ValidationError, match=r"a.csv:2: cannot be read as a table"):
        read_examples(file)
    file.write_text("prompt,prompt\na,b\n")
    with pytest.raises(ValidationError, match="has the column 'prompt' twice"):
        read_examples(file)


def test_cells_may_hold_json(tmp_path: Path) -> None:
    """A whole conversation, however long, and its tools."""
    long = [{**MESSAGES[0], "content": "a" * 200_000}, MESSAGES[1]]
    cells = [json.dumps(long).replace('"', '""'), "[]"]
    file = tmp_path / "a.csv"
    file.write_text('messages,tools\n"' + '","'.join(cells) + '"\n')
    (one,) = read_examples(file).examples
    assert isinstance(one, Conversation)
    assert (one.messages, one.tools) == (long, None)


def test_lines_of_text_are_documents(tmp_path: Path) -> None:
    """Each that is not blank."""
    file = tmp_path / "a.txt"
    file.write_text("[1] Once, upon a time\n\n  there was\u2028a king\n", encoding="utf-8")
    assert read_examples(file).examples == [
        Document(1, "[1] Once, upon a time"),
        Document(3, "  there was\u2028a king"),
    ]


def test_an_array_is_read_and_said(tmp_path: Path) -> None:
    """In a file of lines it is one sentence; its mistakes are placed by item."""
    file = tmp_path / "a.jsonl"
    file.write_text(json.dumps(PAIRS, indent=1))
    read = read_examples(file)
    assert (read.examples, read.unit) == (READ, "item")
    assert read.notices == [f"{file} is one JSON array, and is read as such: 2 items"]
    file.write_text(json.dumps([*PAIRS, 3, {"prompt": "a"}, {"prompt": "b"}], indent=1))
    with pytest.raises(ValidationError) as caught:
        read_examples(file)
    assert str(caught.value).splitlines() == [
        f"{file}: item 3: is a JSON number, and must be an object",
        f"{file}: items 4 and 5: completion: is missing",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[\n {"text": "a"},\n {"text": "b"\n]\n', "a:4: no JSON: Expecting ',' delimiter"),
        ('{\n "text": "a",\n "b": 1\n}\n{\n "text"\n}\n', "a:7: no JSON: Expecting ':' delimiter"),
        ('[{"text": "a"}]\n[{"text": "b"}]\n', "a:2: holds lists of JSON, one a line"),
        ('[{"text": "a", "text": "b"}]', "a: the key 'text' stands twice in one object"),
        ("[" * 100_000, "a: no JSON that can be read"),
    ],
)
def test_a_broken_json_text_is_one_mistake(tmp_path: Path, text: str, said: str) -> None:
    """At its place, and not one for each of its lines."""
    file = tmp_path / "a"
    file.write_text(text)
    with pytest.raises(ValidationError) as caught:
        read_examples(file)
    assert str(caught.value).startswith(str(tmp_path / said))
    assert len(str(caught.value).splitlines()) == 1


def test_objects_may_be_spread_over_lines(tmp_path: Path) -> None:
    """One after the other, each with the line that it begins in."""
    file = tmp_path / "a.json"
    file.write_text("\n".join(json.dumps(one, indent=2) for one in PAIRS))
    assert [one.line for one in read_examples(file).examples] == [1, 5]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"PK\x03\x04...", "is a zip archive"),
        (b"BZh9...", "is compressed with bzip2"),
        (b"\xff\xfe\x00", "is no UTF-16"),
        (gzip.compress(b"{}" * 100, mtime=0)[:-9], "cannot be decompressed"),
        (b"\x28\xb5\x2f\xfd\x04", "cannot be decompressed"),
        (b"PAR1....", "cannot be read as Parquet"),
    ],
)
def test_other_files_are_named_for_what_they_are(tmp_path: Path, content: bytes, said: str) -> None:
    """With what to do."""
    if content.startswith(b"PAR1"):
        pytest.importorskip("pyarrow")
    if content.startswith(b"\x28"):
        pytest.importorskip("zstandard")
    file = tmp_path / "a.jsonl"
    file.write_bytes(content)
    with pytest.raises(ValidationError, match=said):
        read_examples(file)


def test_parquet_is_read(tmp_path: Path) -> None:
    """Fields that other rows' messages have are not these rows' fields."""
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    call = {"function": {"name": "f", "arguments": '{"x": 1}'}}
    rows = [
        {"messages": MESSAGES},
        {"messages": [MESSAGES[0], {"role": "assistant", "content": None, "tool_calls": [call]}]},
    ]
    file = tmp_path / "data"
    parquet.write_table(pyarrow.Table.from_pylist(rows), file)
    read = read_examples(file)
    assert read.unit == "row"
    assert read.examples[0].messages == MESSAGES
    assert read.examples[1].messages[1]["tool_calls"] == [{**call, "type": "function"}]


def test_standard_input_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once: a run that is resumed has to be given it again."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(jsonl(PAIRS))))
    read = read_examples("-")
    assert (read.name, read.origin, read.examples) == ("standard input", "-", READ)
    source = Source.of(read)
    with pytest.raises(ValidationError, match="give them again, as the FILE of --resume"):
        source.read()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(jsonl(PAIRS))))
    assert source.read("-").examples == READ
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(jsonl(PAIRS[:1]))))
    with pytest.raises(ValidationError, match="standard input: was changed since the run began"):
        source.read("-")


def test_rows_of_a_program_are_read() -> None:
    """A list, or an iterator that is used up; equal rows have an equal digest."""

    def rows() -> Iterator[dict[str, Any]]:
        yield from PAIRS

    listed, iterated = read_examples(PAIRS), read_examples(rows())
    assert listed.examples == iterated.examples == READ
    assert listed.sha256 == iterated.sha256 != read_examples(PAIRS[:1]).sha256
    assert listed.origin is None
    with pytest.raises(
        ValidationError, match=r"the examples: item 2: is a str, and must be a dict"
    ):
        read_examples([PAIRS[0], "a"])  # type: ignore[list-item]
    with pytest.raises(
        ValidationError, match="source: must be a path or a list of dicts, not a dict"
    ):
        read_examples({"prompt": "a"})  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match="not a int"):
        read_examples(3)  # type: ignore[arg-type]


def test_a_frame_is_read() -> None:
    """An empty cell is no NaN; the arrays of cells are lists."""
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        {"instruction": ["a", "b"], "input": ["x", float("nan")], "output": ["c", "d"]}
    )
    asked = [one.messages[0]["content"] for one in read_examples(frame).examples]
    assert asked == ["a\n\nx", "b"]


def test_data_sets_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From memory, from a folder, and by their names on the hub."""
    datasets = pytest.importorskip("datasets")
    rows = datasets.Dataset.from_list([{"messages": MESSAGES, "id": 1}, {"messages": MESSAGES}])
    read = read_examples(rows)
    assert (len(read.examples), read.unit, read.ignored) == (2, "row", {"id": 2})
    assert read.examples[0].messages == MESSAGES

    rows.save_to_disk(str(tmp_path / "saved"))
    both = datasets.DatasetDict({"train": rows, "test": rows.select([0])})
    both.save_to_disk(str(tmp_path / "both"))
    saved = read_examples(tmp_path / "saved")
    assert (saved.examples, saved.sha256) == (read.examples, read.sha256)
    assert Source.of(saved).read().examples == saved.examples
    assert len(read_examples(tmp_path / "both").examples) == 2
    assert len(read_examples(tmp_path / "both", split="test").examples) == 1
    with pytest.raises(ValidationError, match="has no split 'dev'; it has train, test"):
        read_examples(tmp_path / "both", split="dev")
    with pytest.raises(ValidationError, match=r"choose one of its splits \(train, test\)"):
        read_examples(both)

    asked = []

    def load_dataset(name: str, split: str) -> Any:
        asked.append((name, split))
        return both[split]

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    monkeypatch.chdir(tmp_path)
    assert len(read_examples("owner/name").examples) == 2
    assert len(read_examples("hf://datasets/owner/name", split="test").examples) == 1
    assert asked == [("owner/name", "train"), ("owner/name", "test")]
    with pytest.raises(
        ValidationError, match=r"owner/name: is no file, and cannot be had as a data"
    ):
        read_examples("owner/name", split="dev")


def test_a_name_of_the_hub_is_no_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is not there is not looked for elsewhere."""
    monkeypatch.chdir(tmp_path)
    assert is_hub_name("HuggingFaceH4/ultrachat_200k")
    assert is_hub_name("hf://datasets/squad")
    for name in ("data/train.jsonl", "orders.jsonl", "a/b/c", "./orders", "../a", "data/x.parquet"):
        assert not is_hub_name(name)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_text("")
    assert not is_hub_name("a/b")
    with pytest.raises(FileNotFoundError):
        read_examples("data/train.jsonl")
    with pytest.raises(ValidationError, match="is a folder, and no data set that `datasets` saved"):
        read_examples(tmp_path / "a")
    (tmp_path / "c.jsonl").write_bytes(jsonl(PAIRS))
    with pytest.raises(ValidationError, match="is one file and has no splits"):
        read_examples(tmp_path / "c.jsonl", split="test")


@pytest.mark.parametrize(
    ("module", "extra", "make"),
    [
        ("zstandard", "zstd", lambda folder: b"\x28\xb5\x2f\xfd"),
        ("pyarrow", "parquet", lambda folder: b"PAR1"),
        ("datasets", "datasets", None),
    ],
)
def test_a_missing_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, extra: str, make: Any
) -> None:
    """With the line that installs it."""
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.chdir(tmp_path)
    source = "owner/name"
    if make is not None:
        Path("data").write_bytes(make(tmp_path))
        source = "data"
    with pytest.raises(MissingDependencyError, match=rf"pip install 'tinkex\[{extra}\]'"):
        read_examples(source)


def test_nothing_of_the_extras_is_loaded_before_it_is_needed() -> None:
    """A file of lines takes none of them."""
    import subprocess

    code = (
        "import sys; from tinkex.recipes import read_examples;"
        "read_examples([{'prompt': 'a', 'completion': 'b'}]);"
        "print({'pyarrow', 'pandas', 'datasets', 'zstandard', 'jinja2'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
