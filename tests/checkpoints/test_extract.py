"""Archives are unpacked whole and safe, or not at all."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.archives import FILES, checkpoint, file, special, tar
from support.extent import examples

from tinkex.checkpoints import Limits, extract
from tinkex.errors import CheckpointError, DownloadIncompleteError, UnsafeArchiveError


def unpack(tmp_path: Path, content: bytes, limits: Limits | None = None) -> dict[str, bytes]:
    """Unpack into tmp_path/out and return what is there; hold that a failure leaves nothing."""
    archive, folder = tmp_path / "a.tar", tmp_path / "out"
    archive.write_bytes(content)
    folder.mkdir(exist_ok=True)
    try:
        files = extract(archive, folder, limits)
    except Exception:
        assert list(folder.iterdir()) == []
        raise
    finally:
        assert {path.name for path in tmp_path.iterdir()} == {"a.tar", "out"}
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzipped"])
def test_a_checkpoint_comes_out_as_it_went_in(tmp_path: Path, packed: bool) -> None:
    """Plain and gzipped archives give their files, byte for byte, in order."""
    assert unpack(tmp_path, checkpoint(packed=packed)) == FILES


def test_folders_and_files_in_them_are_made(tmp_path: Path) -> None:
    """Folders may be there as members or only in names, and may be there twice."""
    members = [
        special("./", tarfile.DIRTYPE),
        special("a", tarfile.DIRTYPE),
        file("./a/x", b"1"),
        special("a", tarfile.DIRTYPE),
        file("b/c/y", b"2"),
    ]
    assert unpack(tmp_path, tar(*members)) == {"a/x": b"1", "b/c/y": b"2"}


@pytest.mark.holds("S8")
def test_files_get_no_rights_from_the_archive(tmp_path: Path) -> None:
    """Set-user-id and executable bits stay in the archive."""
    member, content = file("tool")
    member.mode = 0o6777
    unpack(tmp_path, tar((member, content)))
    assert (tmp_path / "out" / "tool").stat().st_mode & 0o7111 == 0


GOOD = file("good", b"good")
UNSAFE = {
    "absolute": [file("/etc/passwd")],
    "parent": [file("../x")],
    "parent inside": [file("a/../../x")],
    "parent that stays inside": [file("a/../x")],
    "symlink": [special("l", tarfile.SYMTYPE, "/etc")],
    "symlink and through it": [special("l", tarfile.SYMTYPE, "/tmp"), file("l/x")],
    "hardlink": [GOOD, special("l", tarfile.LNKTYPE, "good")],
    "character device": [special("d", tarfile.CHRTYPE)],
    "block device": [special("d", tarfile.BLKTYPE)],
    "fifo": [special("f", tarfile.FIFOTYPE)],
    "contiguous sparse": [special("s", tarfile.GNUTYPE_SPARSE)],
    "twice": [GOOD, GOOD],
    "twice by another spelling": [GOOD, file("./good")],
    "case": [GOOD, file("GOOD")],
    "case of a folder": [file("a"), file("A/x")],
    "file under a file": [GOOD, file("good/x")],
    "folder over a file": [GOOD, special("good", tarfile.DIRTYPE)],
    "file over a folder": [file("a/x"), file("a")],
    "two ways to write an accent": [file("caf\u00e9"), file("cafe\u0301")],
    "long name": [file("x" * 256)],
    "long path": [file("/".join(["x" * 100] * 11))],
    "line break": [file("a\nb")],
    "escape": [file("a\x1b[2J")],
    "delete": [file("a\x7f")],
    "right to left": [file("a\u202egpj.exe")],
    "undecodable": [file("a\udcff")],
    "backslash": [file("a\\..\\b")],
    "drive": [file("C:x")],
    "device of Windows": [file("con")],
    "device with extension": [file("a/NUL.txt")],
    "dot at the end": [file("a.")],
    "space at the end": [file("a ")],
    "no name": [file(".")],
}


@pytest.mark.holds("S8")
@pytest.mark.parametrize("members", UNSAFE.values(), ids=UNSAFE)
def test_an_unsafe_archive_is_refused_and_leaves_nothing(
    tmp_path: Path, members: list[tuple[tarfile.TarInfo, bytes]]
) -> None:
    """S8: whatever no checkpoint has is an error, also behind good members, which go away again."""
    content = tar(file("first", b"1"), *members, format=tarfile.GNU_FORMAT)
    with pytest.raises(UnsafeArchiveError):
        unpack(tmp_path, content)


@pytest.mark.holds("S9")
def test_a_bomb_is_refused_by_its_ratio(tmp_path: Path) -> None:
    """S9: a small file that unpacks to very much is refused before it is written."""
    with pytest.raises(UnsafeArchiveError, match="extracts to more than"):
        unpack(tmp_path, gzip.compress(tar(file("zeros", bytes(5_000_000)))))


@pytest.mark.holds("S9")
def test_a_bomb_is_refused_by_its_total_and_its_count(tmp_path: Path) -> None:
    """S9: bytes of all files together, and entries, are bounded."""
    many = tar(*(file(f"f{i}", bytes(100)) for i in range(11)))
    assert len(unpack(tmp_path, many, Limits(entries=11, total_bytes=1100))) == 11
    (tmp_path / "b").mkdir()
    for limits in (Limits(entries=10), Limits(total_bytes=1099)):
        with pytest.raises(UnsafeArchiveError):
            extract(tmp_path / "a.tar", tmp_path / "b", limits)
    assert list((tmp_path / "b").iterdir()) == []


@pytest.mark.holds("S9")
def test_a_header_that_wants_all_memory_is_refused(tmp_path: Path) -> None:
    """S9: a pax header of gigabytes is not read, whatever it unpacks from; Python 3.14 sees that it is cut."""
    header = tarfile.TarInfo("././@PaxHeader")
    header.type = tarfile.XHDTYPE
    header.size = 8 * 1024**3
    with pytest.raises((UnsafeArchiveError, DownloadIncompleteError), match="header"):
        unpack(tmp_path, header.tobuf(tarfile.GNU_FORMAT) + bytes(4096))


@pytest.mark.holds("S9")
def test_endless_padding_is_refused(tmp_path: Path) -> None:
    """S9: an archive that goes on after its end is read only so far."""
    content = gzip.compress(checkpoint() + bytes(60_000_000), 9)
    with pytest.raises(UnsafeArchiveError, match="extracts to more than"):
        unpack(tmp_path, content, Limits(entries=10))


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzipped"])
@settings(max_examples=examples(25))
@given(data=st.data())
def test_a_cut_archive_is_never_whole(tmp_path: Path, packed: bool, data: st.DataObject) -> None:
    """Cut anywhere before its end, an archive is incomplete, also between two members."""
    whole = checkpoint(packed=packed)
    # A tar ends with a block of zeros; what follows is padding.
    end = len(whole) if packed else len(tar_without_padding(whole)) + 512
    cut = data.draw(st.integers(0, end - 1))
    with pytest.raises(DownloadIncompleteError, match="download it again"):
        unpack(tmp_path, whole[:cut])


def tar_without_padding(whole: bytes) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(whole)) as archive:
        archive.getmembers()
        return whole[: archive.offset]


@pytest.mark.parametrize(
    "content", [b"", b"<html>not found</html>", bytes(1024), b"\x1f\x8bgarbage"], ids=repr
)
def test_what_is_no_archive_is_said_to_be_none(tmp_path: Path, content: bytes) -> None:
    """An error page under the archive's URL is not an empty checkpoint."""
    if content == bytes(1024):
        assert unpack(tmp_path, content) == {}
        return
    with pytest.raises(DownloadIncompleteError, match="cannot be read"):
        unpack(tmp_path, content)


@pytest.mark.holds("S8")
@settings(max_examples=examples(60))
@given(data=st.data())
def test_a_damaged_archive_raises_nothing_else(tmp_path: Path, data: st.DataObject) -> None:
    """S8: whatever bytes are changed, the result is files or one of our errors."""
    content = bytearray(
        checkpoint({"a/b": b"content", "c": b"more"}, packed=data.draw(st.booleans()))
    )
    for _ in range(data.draw(st.integers(1, 8))):
        place = data.draw(st.integers(0, min(len(content), 2600) - 1))
        content[place] = data.draw(st.integers(0, 255))
    folder = tmp_path / "out"
    try:
        unpack(tmp_path, bytes(content))
    except CheckpointError:
        return
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()


@pytest.mark.holds("S8")
@settings(max_examples=examples(100))
@given(
    st.lists(
        st.text(st.sampled_from("aA.b/\\ \n:\u00e9\u202e~"), min_size=1, max_size=6),
        min_size=1,
        max_size=4,
    )
)
def test_no_name_leaves_the_folder(tmp_path: Path, names: list[str]) -> None:
    """S8: whatever members are called, each is a file below the folder or the archive is refused."""
    folder = tmp_path / "out"
    try:
        found = unpack(tmp_path, tar(*(file(name) for name in names)))
    except CheckpointError:
        return
    assert len(found) == len(names)
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()


KINDS = [
    tarfile.REGTYPE,
    tarfile.AREGTYPE,
    tarfile.DIRTYPE,
    tarfile.SYMTYPE,
    tarfile.LNKTYPE,
    tarfile.CHRTYPE,
    tarfile.BLKTYPE,
    tarfile.FIFOTYPE,
    tarfile.CONTTYPE,
    tarfile.GNUTYPE_SPARSE,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.GNUTYPE_LONGNAME,
    b"Z",
]
LINKS = [tarfile.SYMTYPE, tarfile.LNKTYPE]
STEPS = st.sampled_from(["a", "b", "A", "..", ".", "/", "", "c.txt", "nul", "\u00e9", "e\u0301"])
PATHS = st.lists(STEPS, min_size=1, max_size=4).map("/".join)
PAX = st.fixed_dictionaries(
    {},
    optional={
        "path": PATHS,
        "linkpath": PATHS,
        "size": st.sampled_from(["0", "1", "-1", "99999999999999999999", "x"]),
        "GNU.sparse.major": st.just("1"),
        "GNU.sparse.minor": st.just("0"),
        "GNU.sparse.name": PATHS,
        "GNU.sparse.realsize": st.sampled_from(["7", "999999999999"]),
        "GNU.sparse.map": st.just("0,1,5,1"),
    },
)


@st.composite
def hostile_archives(draw: st.DrawFn) -> bytes:
    """Archives with members of any kind, name, link and pax header, and what may follow them."""
    members = []
    for number in range(draw(st.integers(1, 4))):
        if draw(st.booleans()):
            members.append(file(f"good/{number}", b"good"))
            continue
        twist = draw(st.sampled_from(["name", "kind", "kind", "pax", "everything"]))
        name = draw(PATHS) if twist in ("name", "everything") else f"bad/{number}"
        kind = (
            draw(st.sampled_from(KINDS + 4 * LINKS))
            if twist in ("kind", "everything")
            else tarfile.REGTYPE
        )
        some = st.one_of(st.binary(max_size=40), st.just(bytes(3000)))
        content = draw(some) if kind not in KINDS[2:8] else b""
        info, content = file(name or "x", content)
        info.type, info.linkname = kind, draw(PATHS)
        info.mode = draw(st.sampled_from([0o644, 0o6777, 0]))
        info.pax_headers = draw(PAX) if twist in ("pax", "everything") else {}
        members.append((info, content))
    formats = st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
    content = tar(*members, format=draw(formats))
    tail = draw(
        st.sampled_from([b"", b"", b"", b"x", bytes(3000), tar(special("l", tarfile.SYMTYPE, "/"))])
    )
    content += tail
    return gzip.compress(content, mtime=0) if draw(st.integers(0, 3)) == 0 else content


@pytest.mark.holds("S8")
@settings(max_examples=examples(200))
@given(content=hostile_archives())
def test_a_hostile_archive_is_unpacked_safely_or_refused(tmp_path: Path, content: bytes) -> None:
    """S8, S9: what comes out is regular, below the folder, bounded and without rights; or nothing."""
    folder = tmp_path / "out"
    limits = Limits(entries=3, total_bytes=5000)
    try:
        found = unpack(tmp_path, content, limits)
    except CheckpointError:
        return
    made = list(folder.rglob("*"))
    files = [path for path in made if not path.is_dir()]
    assert not any(path.is_symlink() for path in made)
    assert all(path.is_file() and path.stat().st_nlink == 1 for path in files)
    assert all(path.stat().st_mode & 0o7111 == 0 for path in files)
    assert {path.relative_to(folder).as_posix() for path in files} == set(found)
    assert len({name.casefold() for name in found}) == len(found) <= limits.entries
    assert sum(map(len, found.values())) <= limits.total_bytes
    for path in sorted(made, reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()


def test_nothing_is_unpacked_over_other_files(tmp_path: Path) -> None:
    """A folder with something in it is left alone."""
    (tmp_path / "a.tar").write_bytes(checkpoint())
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "mine").write_text("x")
    with pytest.raises(CheckpointError, match="not empty"):
        extract(tmp_path / "a.tar", folder)
    assert [path.name for path in folder.iterdir()] == ["mine"]
