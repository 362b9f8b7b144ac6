"""Downloads go over real connections, on both ways, and the faults are played on these."""

from __future__ import annotations

import gzip
import logging
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from checkpoints.test_extract import UNSAFE
from support.archive_host import ArchiveHost, archive_host
from support.archives import FILES, checkpoint, file, tar
from support.clock import FakeClock
from support.nano import NANO

from tinkex import Config, RestClient, ServiceClient
from tinkex._base.file_names import portable_name
from tinkex._core.transport import Transport
from tinkex.checkpoints import Limits, download
from tinkex.errors import CheckpointError, ConflictError, UnsafeArchiveError
from tinkex.local import LocalServer
from tinkex.local.app_state import Options
from tinkex.testing import Fault

API_KEY = "tml-canary-key-0123456789"
DOWNLOAD = "download_checkpoint_archive"
SIGN = "get_checkpoint_archive_url"
MIB = 1024 * 1024


class Wall:
    """The local server's clock, by which its signatures expire."""

    def __init__(self) -> None:
        self.time = 1_800_000_000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture(scope="module")
def wall() -> Wall:
    return Wall()


@pytest.fixture(scope="module")
def running(
    tmp_path_factory: pytest.TempPathFactory, wall: Wall
) -> Iterator[tuple[LocalServer, str]]:
    """A local server with a key, and the path of a checkpoint on it."""
    data = tmp_path_factory.mktemp("server")
    with (
        LocalServer(data_dir=data, api_key=API_KEY, options=Options(now=wall)) as server,
        ServiceClient(base_url=server.base_url, api_key=API_KEY) as service,
    ):
        training = service.create_lora_training_client(NANO, rank=4)
        yield server, training.save_weights_for_sampler("final").result().path or ""


@pytest.fixture
def server(running: tuple[LocalServer, str]) -> Iterator[LocalServer]:
    yield running[0]
    running[0].faults.clear()


@pytest.fixture
def path(running: tuple[LocalServer, str]) -> str:
    return running[1]


@pytest.fixture
def rest(server: LocalServer) -> Iterator[RestClient]:
    config = Config.resolve(environ={}, base_url=server.base_url, api_key=API_KEY)
    transport = Transport(config, clock=FakeClock())
    with ServiceClient(config=config, transport=transport) as service:
        yield service.create_rest_client()


@pytest.fixture
def whole(rest: RestClient, path: str, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The archive as it is."""
    folder = tmp_path_factory.mktemp("whole")
    return download(rest, path, folder, extract=False).files[0].read_bytes()


@pytest.fixture
def host(server: LocalServer) -> Iterator[ArchiveHost]:
    """Another host, to which the server points for every archive."""
    with archive_host(checkpoint()) as host:
        location = {"location": f"{host.url}/archive?signature=canary-signature"}
        server.faults.add(Fault(on=SIGN, times=None, status=302, headers=location))
        yield host


def content_of(folder: Path) -> dict[str, bytes]:
    return {one.name: one.read_bytes() for one in folder.iterdir() if one.name[0] != "."}


def left_in(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.iterdir())


class Listener:
    """A progress callback that keeps what it heard."""

    def __init__(self) -> None:
        self.heard: list[tuple[int, int | None]] = []

    def __call__(self, done: int, total: int | None) -> None:
        self.heard.append((done, total))


@pytest.mark.holds("F34")
def test_a_connection_cut_at_a_third_is_gone_on_with(
    rest: RestClient, server: LocalServer, path: str, whole: bytes, tmp_path: Path
) -> None:
    """F34: the rest alone is fetched, its length is verified, and the folder appears as a whole."""
    cut = len(whole) * 3 // 10
    server.faults.add(Fault(on=DOWNLOAD, cut_after=cut))
    listener = Listener()
    got = download(rest, path, tmp_path, progress=listener, extract=False)
    assert got.files[0].read_bytes() == whole
    done = [have for have, _ in listener.heard]
    assert done == sorted(done)
    assert cut in done
    assert {total for _, total in listener.heard} == {len(whole)}
    assert len(server.faults.played) >= 1
    assert left_in(tmp_path) == [got.folder.name]


@pytest.mark.holds("F34")
def test_a_connection_that_is_reset_is_made_again(
    rest: RestClient, server: LocalServer, path: str, whole: bytes, tmp_path: Path
) -> None:
    """F34: also a reset before the first byte, and one of the request for the URL."""
    server.faults.add(Fault(on=DOWNLOAD, reset=True, times=2), Fault(on=SIGN, reset=True))
    got = download(rest, path, tmp_path, extract=False)
    assert got.files[0].read_bytes() == whole


@pytest.mark.holds("F37")
def test_a_signature_that_expires_midway_is_replaced(
    rest: RestClient, server: LocalServer, path: str, whole: bytes, wall: Wall, tmp_path: Path
) -> None:
    """F37: after the cut the first URL is no longer good at the server, and the download goes on."""
    server.faults.add(Fault(on=DOWNLOAD, cut_after=len(whole) // 2))
    listener = Listener()

    def expire(done: int, total: int | None) -> None:
        listener(done, total)
        if len(listener.heard) == 1:
            wall.time += 7 * 86_400

    got = download(rest, path, tmp_path, progress=expire, extract=False)
    assert got.files[0].read_bytes() == whole


@pytest.mark.holds("F37")
def test_a_refused_signature_is_replaced_midway(
    rest: RestClient, server: LocalServer, path: str, whole: bytes, tmp_path: Path
) -> None:
    """F37: 403 in the middle asks for another URL, and nothing is fetched twice."""
    server.faults.add(Fault(on=DOWNLOAD, cut_after=len(whole) // 2), Fault(on=DOWNLOAD, status=403))
    listener = Listener()
    got = download(rest, path, tmp_path, progress=listener, extract=False)
    assert got.files[0].read_bytes() == whole
    done = [have for have, _ in listener.heard]
    assert done == sorted(done)


@pytest.mark.holds("F35")
def test_a_host_without_ranges_sends_all_of_it_again(
    rest: RestClient, host: ArchiveHost, path: str, tmp_path: Path
) -> None:
    """F35: its 200 in answer to a range replaces what was there, and the callback goes back as well."""
    host.ranges, host.cuts = False, [20_000]
    listener = Listener()
    assert content_of(download(rest, path, tmp_path, progress=listener).folder) == FILES
    assert host.headers("range") == [None, "bytes=20000-"]
    done = [have for have, _ in listener.heard]
    assert min(done[done.index(20_000) + 1 :]) != 20_000
    assert done[-1] == len(host.content)


@pytest.mark.holds("F36")
@pytest.mark.parametrize("heeds", [True, False], ids=["If-Range is known", "it is not"])
def test_an_archive_that_changes_meanwhile_is_one_version(
    rest: RestClient, host: ArchiveHost, path: str, tmp_path: Path, heeds: bool
) -> None:
    """F36: what came of the old version is thrown away, whatever the host knows of If-Range."""
    host.content, host.etag, host.cuts = checkpoint({"old": b"o" * 60_000}), '"old"', [20_000]
    host.heeds_if_range = heeds

    def change(done: int, total: int | None) -> None:
        host.content, host.etag = checkpoint(), '"new"'

    assert content_of(download(rest, path, tmp_path, progress=change).folder) == FILES
    assert host.headers("if-range")[:2] == [None, '"old"']


@pytest.mark.holds("F38")
@pytest.mark.parametrize("announce", ["none", "chunked"])
def test_an_archive_of_unknown_length_arrives(
    rest: RestClient, host: ArchiveHost, path: str, tmp_path: Path, announce: str
) -> None:
    """F38: without Content-Length the callback hears no total, and the end is checked."""
    host.announce = announce
    listener = Listener()
    got = download(rest, path, tmp_path, progress=listener)
    assert content_of(got.folder) == FILES
    assert {total for _, total in listener.heard} == {None}


@pytest.mark.holds("F38")
def test_a_cut_between_chunks_is_no_end(
    rest: RestClient, host: ArchiveHost, path: str, tmp_path: Path
) -> None:
    """F38: chunks without the last one are a broken download, which is gone on with."""
    host.announce, host.cuts = "chunked", [20_000]
    assert content_of(download(rest, path, tmp_path).folder) == FILES
    assert host.headers("range") == [None, "bytes=20000-"]


@pytest.mark.holds("F38")
def test_an_empty_archive_is_no_checkpoint(
    rest: RestClient, host: ArchiveHost, path: str, tmp_path: Path
) -> None:
    """F38: 0 bytes, announced as such, end in an error and no folder."""
    host.content = b""
    with pytest.raises(CheckpointError):
        download(rest, path, tmp_path)
    assert left_in(tmp_path) == []


@pytest.mark.holds("F38")
def test_a_disk_that_fills_up_is_one_clear_error(
    host: ArchiveHost, server: LocalServer, path: str, tmp_path: Path
) -> None:
    """F38: where nothing was announced, the system's refusal in the middle is told, and cleaned up."""
    if sys.platform == "win32":
        pytest.skip("the limit on the size of files is a POSIX one")
    host.announce = "none"
    program = f"""
        import resource
        from tinkex import ServiceClient
        from tinkex.errors import CheckpointError
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
        with ServiceClient(base_url={server.base_url!r}, api_key={API_KEY!r}) as service:
            try:
                service.create_rest_client().download_checkpoint({path!r}, {str(tmp_path)!r})
            except CheckpointError as error:
                print(error)
        """
    done = python(program)
    assert "cannot be written (File too large); free some space" in done.stdout, done.stderr
    assert not any(one.name[0] != "." for one in tmp_path.iterdir())


def python(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=_environment(),
    )


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("TINKER_")}


HALTING = """
    import sys
    from tinkex import ServiceClient
    def progress(done, total):
        global told
        if not told:
            told = True
            print(done, flush=True)
            sys.stdin.readline()
    told = False
    with ServiceClient(base_url={url!r}, api_key={key!r}) as service:
        got = service.create_rest_client().download_checkpoint({path!r}, {into!r}, progress=progress)
        print(got.folder, flush=True)
    """


def halting(server: LocalServer, path: str, into: Path) -> subprocess.Popen[str]:
    """Start a process that downloads, and halts when the first bytes are there."""
    program = textwrap.dedent(HALTING).format(
        url=server.base_url, key=API_KEY, path=path, into=str(into)
    )
    return subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=_environment(),
    )


@pytest.mark.holds("F39")
def test_a_killed_process_leaves_what_the_next_one_continues_with(
    rest: RestClient, server: LocalServer, host: ArchiveHost, path: str, tmp_path: Path
) -> None:
    """F39: after kill -9 in the middle there is no target, and only the rest is fetched."""
    host.cuts = [20_000]
    with halting(server, path, tmp_path) as other:
        assert other.stdout
        came = int(other.stdout.readline())
        other.kill()
    assert 0 < came <= 20_000
    [partial] = tmp_path.iterdir()
    assert partial.name.endswith(".partial")
    assert content_of(download(rest, path, tmp_path).folder) == FILES
    ranges = host.headers("range")
    assert ranges[0] is None
    assert ranges[-1] is not None
    assert ranges[-1] >= f"bytes={came}-"


@pytest.mark.holds("F39")
def test_of_two_processes_one_downloads_and_the_other_is_told(
    rest: RestClient, server: LocalServer, path: str, whole: bytes, tmp_path: Path
) -> None:
    """F39: while another process is at it, nothing is mixed; afterwards the target exists."""
    with halting(server, path, tmp_path) as other:
        assert other.stdout
        assert other.stdin
        assert int(other.stdout.readline()) > 0
        with pytest.raises(CheckpointError, match="another process"):
            download(rest, path, tmp_path)
        other.stdin.write("\n")
        other.stdin.flush()
        folder = Path(other.stdout.readline().strip())
        assert other.wait(60) == 0
    assert {"adapter_config.json", "adapter_model.safetensors"} <= set(content_of(folder))
    assert left_in(tmp_path) == [folder.name]
    with pytest.raises(CheckpointError, match="force=True"):
        download(rest, path, tmp_path)


@pytest.mark.holds("F40")
@pytest.mark.parametrize("status", [409, 503])
def test_an_archive_in_progress_is_waited_for(
    rest: RestClient, server: LocalServer, path: str, tmp_path: Path, status: int
) -> None:
    """F40: for five minutes the server says that it is not ready, and progress hears each time."""
    headers = {"retry-after": "60"}
    server.faults.add(Fault(on=SIGN, times=5, status=status, headers=headers, body={"detail": "."}))
    listener = Listener()
    download(rest, path, tmp_path, progress=listener)
    assert listener.heard[:5] == [(0, None)] * 5
    assert listener.heard[5][0] > 0
    assert rest.clock.slept == [60.0] * 5


@pytest.mark.holds("F40")
def test_an_archive_that_stays_in_progress_ends_at_the_deadline(
    rest: RestClient, server: LocalServer, path: str, tmp_path: Path
) -> None:
    """F40: the server's own word comes through, and nothing stays behind."""
    server.faults.add(Fault(on=SIGN, times=None, status=409, body={"detail": "still at it"}))
    with pytest.raises(ConflictError, match="still at it"):
        download(rest, path, tmp_path, patience=300)
    assert 200 <= sum(rest.clock.slept) <= 300
    assert left_in(tmp_path) == []


@pytest.mark.holds("S10")
@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "a\0b", "nul.txt", "C:x", ""])
def test_a_file_of_an_export_stays_in_its_folder(
    rest: RestClient, server: LocalServer, path: str, tmp_path: Path, name: str
) -> None:
    """S10: a name that leaves the folder, or is none, is refused before anything is fetched."""
    with archive_host(b"content") as elsewhere:
        urls = {"good": f"{elsewhere.url}/1", name: f"{elsewhere.url}/2"}
        body = {"urls": urls, "expires": "2027-01-01T00:00:00Z"}
        server.faults.add(
            Fault(on=SIGN, status=404),
            Fault(on="get_sampler_archive_url", status=404),
            Fault(on="get_external_weights_urls", status=200, body=body),
        )
        with pytest.raises(UnsafeArchiveError):
            download(rest, path, tmp_path / "out")
        assert elsewhere.requests == []
    assert left_in(tmp_path / "out") == []
    assert left_in(tmp_path) == ["out"]


@pytest.mark.holds("S5")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("where", ["http://localhost:{port}/x", "//localhost:{port}/x", "x?y=1"])
def test_a_redirect_takes_nothing_along(
    rest: RestClient, host: ArchiveHost, path: str, tmp_path: Path, status: int, where: str
) -> None:
    """S5: to another host, or within one, neither the key nor a cookie of the first answer goes."""
    host.statuses = [status]
    host.location = where.format(port=host.url.rpartition(":")[2])
    assert content_of(download(rest, path, tmp_path).folder) == FILES
    assert len(host.requests) == 2
    hosts = {headers["host"].partition(":")[0] for _, headers in host.requests}
    assert ("localhost" in hosts) == ("localhost" in where)
    for _, headers in host.requests:
        assert not {"x-api-key", "authorization", "cookie", "referer"} & set(headers)
        assert API_KEY not in str(headers)


@pytest.mark.holds("S6")
def test_no_line_message_or_label_shows_a_signature(
    rest: RestClient,
    host: ArchiveHost,
    path: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """S6: not with every logger at DEBUG, over a redirect, a cut, and an error at the end."""
    names = [*logging.root.manager.loggerDict, "httpx", "httpcore.http11", "httpcore.connection"]
    for name in ("", *names):
        caplog.set_level(logging.DEBUG, name)
    host.location = "/moved?signature=canary-moved"
    host.statuses, host.cuts = [302, None, None], [20_000]
    shown = [str(download(rest, path, tmp_path / "good"))]
    host.statuses = [404]
    with pytest.raises(CheckpointError) as caught:
        download(rest, path, tmp_path / "bad")
    shown += [repr(caught.value), str(caught.value), repr(caught.value.__cause__)]
    lines = [f"{record.getMessage()} {record.exc_text or ''}" for record in caplog.records]
    assert any("/archive?[REDACTED]" in line for line in lines)
    assert any("/moved?[REDACTED]" in line for line in lines)
    assert "canary" not in "\n".join(shown + lines)


@pytest.mark.holds("S7")
def test_a_path_never_chooses_the_host(
    rest: RestClient, server: LocalServer, tmp_path: Path
) -> None:
    """S7: what looks like a host in a checkpoint's path is a name that the configured server is asked for."""
    with archive_host(b"") as elsewhere:
        authority = elsewhere.url.removeprefix("http://")
        with pytest.raises(Exception, match=r"run|checkpoint") as caught:
            download(rest, f"tinker://{authority}/weights/final", tmp_path)
        assert getattr(caught.value, "status_code", None) == 404
        assert elsewhere.requests == []


@pytest.mark.holds("S7")
def test_an_unencrypted_archive_elsewhere_is_refused(
    rest: RestClient, server: LocalServer, path: str, tmp_path: Path
) -> None:
    """S7: plain http to another machine is used only by those who allowed it."""
    location = {"location": "http://archives.example/a?signature=canary-signature"}
    server.faults.add(Fault(on=SIGN, times=None, status=302, headers=location))
    with pytest.raises(CheckpointError, match=r"archives\.example without encryption") as caught:
        download(rest, path, tmp_path)
    assert "canary" not in str(caught.value)
    assert left_in(tmp_path) == []


@pytest.mark.holds("S8")
@pytest.mark.parametrize("members", UNSAFE.values(), ids=UNSAFE)
def test_a_hostile_archive_of_the_host_leaves_nothing(
    rest: RestClient, host: ArchiveHost, path: str, tmp_path: Path, members: list[Any]
) -> None:
    """S8: it comes over the wire as any other, and neither its good nor its bad members stay."""
    host.content = tar(file("first", b"1"), *members, format=0x1)
    folder = tmp_path / "out"
    with pytest.raises(UnsafeArchiveError):
        download(rest, path, folder)
    assert left_in(folder) == []
    assert left_in(tmp_path) == ["out"]


BOMBS = {
    "ratio": gzip.compress(tar(file("zeros", bytes(5_000_000)))),
    "padding": gzip.compress(checkpoint() + bytes(60_000_000), 9),
    "entries": gzip.compress(tar(*(file(f"f{number}", b"") for number in range(101)))),
    "nested": gzip.compress(gzip.compress(tar(file("zeros", bytes(5_000_000))))),
}


@pytest.mark.holds("S9")
@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_of_the_host_leaves_nothing(
    rest: RestClient, host: ArchiveHost, path: str, tmp_path: Path, bomb: str
) -> None:
    """S9: what unpacks to very much, or holds another archive in its place, is refused."""
    host.content = BOMBS[bomb]
    with pytest.raises(CheckpointError):
        download(rest, path, tmp_path, limits=Limits(entries=100))
    assert left_in(tmp_path) == []


@pytest.mark.holds("S9")
@pytest.mark.parametrize("announce", ["none", "chunked"])
def test_a_host_that_never_stops_is_left(
    rest: RestClient, host: ArchiveHost, path: str, tmp_path: Path, announce: str
) -> None:
    """S9: an endless answer ends at the limit, in one attempt, and what came is thrown away."""
    host.content, host.endless, host.announce = bytes(MIB), announce == "none", announce
    if announce == "chunked":
        host.content = bytes(9 * MIB)
    listener = Listener()
    with pytest.raises(UnsafeArchiveError, match="larger than"):
        download(
            rest, path, tmp_path, progress=listener, limits=Limits(total_bytes=8 * MIB, entries=1)
        )
    assert listener.heard[-1][0] < 9 * MIB
    assert len(host.requests) == 1
    assert left_in(tmp_path) == []


@pytest.mark.holds("S9")
def test_a_length_beyond_the_limit_is_refused_before_a_byte_is_written(
    rest: RestClient, host: ArchiveHost, path: str, tmp_path: Path
) -> None:
    """S9: a host that announces terabytes is not waited for."""
    host.announce = 65 * 1024**3 * 1024
    listener = Listener()
    with pytest.raises(UnsafeArchiveError, match="larger than"):
        download(rest, path, tmp_path, progress=listener)
    assert listener.heard == []


@pytest.mark.holds("S11")
@pytest.mark.parametrize("force", [False, True])
def test_a_link_that_is_put_in_the_targets_place_is_not_followed(
    rest: RestClient, path: str, tmp_path: Path, force: bool
) -> None:
    """S11: planted while the archive comes, it stays as it is, and so does what it points to."""
    mine, out = tmp_path / "mine", tmp_path / "out"
    mine.mkdir()
    (mine / "thesis.txt").write_text("x")
    name = portable_name(path.removeprefix("tinker://"))

    def plant(done: int, total: int | None) -> None:
        if not (out / name).is_symlink():
            (out / name).symlink_to(mine)

    with pytest.raises(CheckpointError, match=r"exists already|not made by a download"):
        download(rest, path, out, force=force, progress=plant)
    assert (out / name).readlink() == mine
    assert left_in(mine) == ["thesis.txt"]


@pytest.mark.holds("S11")
def test_it_is_unpacked_in_a_folder_that_no_other_user_can_enter(
    rest: RestClient, path: str, tmp_path: Path
) -> None:
    """S11: fresh, private, and on the file system of the target, so that one rename shows it."""
    modes: list[int] = []

    def look(done: int, total: int | None) -> None:
        [staging] = tmp_path.glob(".*.partial")
        [fresh] = staging.glob("new-*")
        modes.extend(folder.stat().st_mode & 0o777 for folder in (staging, fresh))
        assert fresh.stat().st_dev == tmp_path.stat().st_dev

    download(rest, path, tmp_path, progress=look)
    assert set(modes) == {0o700}
