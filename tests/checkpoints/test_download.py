"""Downloads arrive whole under their name, or leave nothing behind."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import shutil
import socketserver
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from support.archive_host import ArchiveHost, archive_host
from support.archives import FILES, checkpoint, special, tar
from support.clock import FakeClock
from support.nano import NANO
from support.package import PACKAGE
from support.scripted import Script, scripted_service

from tinkex import RestClient, ServiceClient, events
from tinkex.checkpoints import download, fetch
from tinkex.errors import (
    CheckpointError,
    ConflictError,
    DownloadIncompleteError,
    NotFoundError,
    UnsafeArchiveError,
    ValidationError,
)

PATH = "tinker://S:train:0/sampler_weights/final"
NAME = "S_train_0_sampler_weights_final"
ARCHIVE = "GET training_runs/S:train:0/checkpoints/sampler_weights/final/archive"
WHOLE = checkpoint()


@pytest.fixture
def host() -> Iterator[ArchiveHost]:
    with archive_host(WHOLE) as host:
        yield host


@pytest.fixture
def script(host: ArchiveHost) -> Script:
    signatures = iter(range(100))

    def sign(request: Any) -> Any:
        return 302, b"", {"Location": f"{host.url}/archive?signature=secret-{next(signatures)}"}

    return Script().on(ARCHIVE, sign)


@pytest.fixture
def rest(script: Script, monkeypatch: pytest.MonkeyPatch) -> Iterator[RestClient]:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with scripted_service(script, FakeClock(), api_key="tml-secret-key") as service:
        yield service.create_rest_client()


def assert_whole(folder: Path) -> None:
    found = {path.name: path.read_bytes() for path in folder.iterdir() if path.name[0] != "."}
    assert found == FILES


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_checkpoint_arrives_in_a_folder_of_its_own(
    rest: RestClient, host: ArchiveHost, tmp_path: Path
) -> None:
    """The folder is called after the path, and the result says what is in it."""
    done = download(rest, PATH, tmp_path / "new")
    assert done.folder == tmp_path / "new" / NAME
    assert [file.name for file in done.files] == sorted(FILES)
    assert done.size_bytes == sum(map(len, FILES.values()))
    assert_whole(done.folder)
    assert left_in(tmp_path / "new") == [NAME]
    assert len(host.requests) == 1


def test_progress_counts_up_to_the_whole(rest: RestClient, tmp_path: Path) -> None:
    """The callback hears how much there is of how much."""
    heard: list[tuple[int, int | None]] = []
    download(rest, PATH, tmp_path, progress=lambda have, total: heard.append((have, total)))
    assert heard[-1] == (len(WHOLE), len(WHOLE))
    assert [have for have, _ in heard] == sorted({have for have, _ in heard})


@pytest.mark.holds("F38")
def test_a_gzipped_archive_is_unpacked_whatever_it_is_called(
    rest: RestClient, host: ArchiveHost, tmp_path: Path
) -> None:
    """F38: packed by itself or by the transfer, the archive is the same."""
    host.content = checkpoint(packed=True)
    for encoding in (None, "gzip"):
        host.encoding = encoding
        assert_whole(download(rest, PATH, tmp_path / str(encoding)).folder)


@pytest.mark.holds("S5")
def test_the_archives_host_learns_nothing_but_the_signature(
    rest: RestClient, host: ArchiveHost, tmp_path: Path
) -> None:
    """S5: no key, no authorization, no cookie goes to the archive's host, on no attempt."""
    host.cuts = [1000]
    download(rest, PATH, tmp_path)
    for _, headers in host.requests:
        assert not {"x-api-key", "authorization", "cookie", "x-idempotency-key"} & set(headers)
        assert "tml-secret-key" not in str(headers)


@pytest.mark.holds("F34")
def test_a_cut_connection_is_taken_up_where_it_broke(
    rest: RestClient, host: ArchiveHost, tmp_path: Path
) -> None:
    """F34: each attempt asks for the missing part of the same version, under a new signature."""
    host.cuts = [20_000, 30_000]
    assert_whole(download(rest, PATH, tmp_path).folder)
    assert host.headers("range") == [None, "bytes=20000-", "bytes=50000-"]
    assert host.headers("if-range") == [None, host.etag, host.etag]
    assert len({path for path, _ in host.requests}) == 3


def test_each_attempt_to_download_is_told_without_its_url(
    rest: RestClient, host: ArchiveHost, tmp_path: Path
) -> None:
    """Where to and how it ended, with the bytes that came, and nothing of the signature."""
    heard: list[events.HttpRequest] = []
    host.cuts = [20_000]
    with events.subscribe(heard.append, events.HttpRequest):
        download(rest, PATH, tmp_path)
    told = [event for event in heard if event.operation == "download_archive"]
    assert [event.name.rpartition(".")[2] for event in told] == [
        "start",
        "exception",
        "start",
        "stop",
    ]
    assert {event.base_url for event in told} == {host.url}
    last = told[-1]
    assert isinstance(last, events.HttpRequestStop)
    assert (last.status_code, last.received_bytes) == (206, len(WHOLE) - 20_000)
    assert "signature" not in repr(heard)


@pytest.mark.holds("F35")
def test_a_host_without_ranges_starts_over(
    rest: RestClient, host: ArchiveHost, tmp_path: Path
) -> None:
    """F35: the whole archive in answer to a range replaces what was there."""
    host.ranges, host.cuts = False, [20_000]
    assert_whole(download(rest, PATH, tmp_path).folder)
    assert host.headers("range") == [None, "bytes=20000-"]


@pytest.mark.holds("F36")
@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_without_a_strong_etag_no_part_is_built_upon(
    rest: RestClient, host: ArchiveHost, tmp_path: Path, etag: str | None
) -> None:
    """Bytes whose version is not known are fetched again."""
    host.etag, host.cuts = etag, [20_000]
    assert_whole(download(rest, PATH, tmp_path).folder)
    assert host.headers("range") == [None, None]


@pytest.mark.holds("F36")
def test_an_archive_that_changed_meanwhile_is_not_spliced(
    rest: RestClient, host: ArchiveHost, script: Script, tmp_path: Path
) -> None:
    """F36: with another ETag, the new version is fetched from its beginning."""
    host.content, host.etag, host.cuts = checkpoint({"old": b"o" * 50_000}), '"old"', [20_000]

    def sign(request: Any) -> Any:
        if host.requests:
            host.content, host.etag = WHOLE, '"new"'
        return 302, b"", {"Location": f"{host.url}/archive"}

    script.on(ARCHIVE, sign)
    assert_whole(download(rest, PATH, tmp_path).folder)
    assert host.headers("if-range") == [None, '"old"']


@pytest.mark.holds("F36")
def test_a_host_that_ignores_if_range_cannot_splice_two_versions(
    rest: RestClient, host: ArchiveHost, script: Script, tmp_path: Path
) -> None:
    """F36: a part that says it is of another version is thrown away, and all is fetched anew."""
    host.content, host.etag, host.cuts = checkpoint({"old": b"o" * 50_000}), '"old"', [20_000]
    host.heeds_if_range = False

    def sign(request: Any) -> Any:
        if host.requests:
            host.content, host.etag = WHOLE, '"new"'
        return 302, b"", {"Location": f"{host.url}/archive"}

    script.on(ARCHIVE, sign)
    assert_whole(download(rest, PATH, tmp_path).folder)
    assert host.headers("range") == [None, "bytes=20000-", None]


@pytest.mark.holds("F36")
def test_a_part_from_elsewhere_is_not_spliced(
    rest: RestClient, host: ArchiveHost, tmp_path: Path
) -> None:
    """A Content-Range that is not what was asked for counts as a broken download."""
    host.cuts, host.wrong_range = [20_000], True
    assert_whole(download(rest, PATH, tmp_path).folder)
    assert host.headers("range") == [None, "bytes=20000-", None]


@pytest.mark.holds("F37")
def test_an_expired_signature_is_signed_again(
    rest: RestClient, host: ArchiveHost, tmp_path: Path
) -> None:
    """F37: 403 in the middle asks the server for another URL and goes on with it."""
    host.cuts, host.statuses = [20_000], [None, 403]
    assert_whole(download(rest, PATH, tmp_path).folder)
    assert host.headers("range") == [None, "bytes=20000-", "bytes=20000-"]
    assert [path.rpartition("-")[2] for path, _ in host.requests] == ["0", "1", "2"]


def test_a_range_that_does_not_fit_any_more_starts_over(
    rest: RestClient, host: ArchiveHost, tmp_path: Path
) -> None:
    """416 throws away what was there."""
    host.cuts, host.statuses = [20_000], [None, 416]
    assert_whole(download(rest, PATH, tmp_path).folder)
    assert host.headers("range") == [None, "bytes=20000-", None]


@pytest.mark.holds("S5")
def test_a_redirect_of_the_host_is_followed(
    rest: RestClient, host: ArchiveHost, tmp_path: Path
) -> None:
    """The archive may have moved, relative to where it was."""
    host.statuses, host.location = [302], "../elsewhere/archive"
    assert_whole(download(rest, PATH, tmp_path).folder)
    assert [path.partition("?")[0] for path, _ in host.requests] == [
        "/archive",
        "/elsewhere/archive",
    ]


@pytest.mark.holds("S5")
@pytest.mark.parametrize("location", ["ftp://store/x", "javascript:1", "http://[::1"])
def test_a_redirect_to_no_web_page_is_refused(
    rest: RestClient, host: ArchiveHost, tmp_path: Path, location: str
) -> None:
    """S5: only http and https are followed."""
    host.statuses, host.location = [302] * 9, location
    with pytest.raises(CheckpointError):
        download(rest, PATH, tmp_path)
    assert left_in(tmp_path) == []


@pytest.mark.holds("S5")
def test_redirects_in_a_circle_end(rest: RestClient, host: ArchiveHost, tmp_path: Path) -> None:
    """After a few redirects it is enough."""
    host.statuses = [302] * 20
    with pytest.raises(CheckpointError, match="redirects more than"):
        download(rest, PATH, tmp_path)
    assert len(host.requests) == 6


@pytest.mark.holds("F38")
@pytest.mark.parametrize(
    ("announce", "cuts"),
    [(len(WHOLE) + 10, []), ("honest", [0] * 9), ("none", [1536] * 9), ("none", [20_000] * 9)],
    ids=["more was promised", "nothing comes", "cut between members", "cut inside a member"],
)
def test_a_length_that_is_wrong_is_never_a_success(
    rest: RestClient, host: ArchiveHost, tmp_path: Path, announce: str | int, cuts: list[int]
) -> None:
    """F38: too few bytes, promised or not, end in an error and no folder."""
    host.announce, host.cuts, host.etag = announce, cuts, None
    with pytest.raises(DownloadIncompleteError):
        download(rest, PATH, tmp_path)
    assert left_in(tmp_path) == []


@pytest.mark.holds("S6")
def test_a_download_that_breaks_each_time_gives_up(
    rest: RestClient, host: ArchiveHost, tmp_path: Path
) -> None:
    """S6: after five attempts the error says how the last one ended, and shows no signature."""
    host.statuses = [500] * 9
    with pytest.raises(DownloadIncompleteError, match=r"broke 5 times.*HTTP 500") as caught:
        download(rest, PATH, tmp_path)
    assert len(host.requests) == 5
    waits = zip(rest.clock.slept, (0.5, 1.0, 2.0, 4.0), strict=True)
    assert all(0 <= wait <= longest for wait, longest in waits)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert left_in(tmp_path) == []


def test_a_download_that_makes_progress_is_tried_on_and_on(
    rest: RestClient, host: ArchiveHost, tmp_path: Path
) -> None:
    """Attempts count from the last one that brought something: 20 cuts are no reason to give up."""
    big = {"adapter_model.safetensors": bytes(range(256)) * 8192}
    host.content = checkpoint(big)
    host.etag, host.cuts = '"big"', [100_000] * 20
    got = download(rest, PATH, tmp_path, extract=False)
    assert got.files[0].read_bytes() == host.content
    assert len(host.requests) == 21


def test_a_download_that_crawls_is_not_tried_without_end(
    rest: RestClient, host: ArchiveHost, tmp_path: Path
) -> None:
    """A few bytes each time are no progress."""
    host.cuts = [10] * 50
    with pytest.raises(DownloadIncompleteError, match="broke 5 times"):
        download(rest, PATH, tmp_path)
    assert len(host.requests) == 5


def test_a_host_that_drips_is_left(rest: RestClient, host: ArchiveHost, tmp_path: Path) -> None:
    """Less than 64 KiB in a minute is an attempt that failed, though the host is never silent."""

    def slowly(have: int, total: int | None) -> None:
        rest.clock.advance(61)

    host.announce, host.chunk_size = "chunked", 1000
    with pytest.raises(
        DownloadIncompleteError, match=r"broke .*only \d+ bytes were received in 60 s"
    ):
        download(rest, PATH, tmp_path, progress=slowly)


def test_a_host_whose_head_drips_is_left(
    script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A byte now and then is no answer: the head has a deadline of its own, on each attempt."""
    monkeypatch.setattr(fetch, "TIMEOUT", 0.1)
    with dripping_host() as url, scripted_service(script, FakeClock()) as service:
        script.on(ARCHIVE, *[(302, b"", {"Location": url})] * 5)
        with pytest.raises(
            DownloadIncompleteError, match=r"broke 5 times.*did not respond in 0.1 s"
        ):
            download(service.create_rest_client(), PATH, tmp_path)


@contextlib.contextmanager
def dripping_host() -> Iterator[str]:
    """Serve heads without end, a byte at a time."""
    ended = threading.Event()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError):
                self.request.sendall(b"HTTP/1.1 200 OK\r\nx: ")
                while not ended.wait(0.005):
                    self.request.sendall(b"y")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/archive"
        ended.set()
        server.shutdown()
        thread.join()


@pytest.mark.holds("F51")
def test_a_host_that_says_not_to_come_again_is_obeyed(
    rest: RestClient, host: ArchiveHost, tmp_path: Path
) -> None:
    """x-should-retry is the host's last word, whatever the status."""
    host.statuses, host.status_headers = [503], {"x-should-retry": "false"}
    with pytest.raises(CheckpointError, match="HTTP 503"):
        download(rest, PATH, tmp_path)
    assert len(host.requests) == 1


def test_a_host_that_asks_to_wait_is_waited_for(
    rest: RestClient, host: ArchiveHost, tmp_path: Path
) -> None:
    """Retry-After counts for downloads as for calls."""
    host.statuses, host.status_headers = [503], {"retry-after": "7"}
    assert_whole(download(rest, PATH, tmp_path).folder)
    assert rest.clock.slept == [7.0]


@pytest.mark.holds("S6")
@pytest.mark.parametrize("statuses", [[404], [500] * 5, [302, 404]])
def test_no_frame_of_a_failed_download_holds_a_signature(
    rest: RestClient, host: ArchiveHost, tmp_path: Path, statuses: list[int | None]
) -> None:
    """A signed URL is as good as a key while it lasts."""
    host.statuses, host.location = statuses, "/moved?signature=secret-moved"
    with pytest.raises(CheckpointError) as caught:
        download(rest, PATH, tmp_path)
    frames = [frame for frame, _ in traceback.walk_tb(caught.value.__traceback__)]
    names = {frame.f_code.co_filename.rpartition("/")[2] for frame in frames}
    assert "fetch.py" in names
    ours = [frame for frame in frames if frame.f_code.co_filename.startswith(PACKAGE)]
    assert "secret-" not in "".join(repr(frame.f_locals) for frame in ours)


def test_an_archive_that_is_gone_is_not_asked_for_again(
    rest: RestClient, host: ArchiveHost, tmp_path: Path
) -> None:
    """404 of the host is final."""
    host.statuses = [404]
    with pytest.raises(CheckpointError, match="HTTP 404") as caught:
        download(rest, PATH, tmp_path)
    assert caught.value.status_code == 404
    assert len(host.requests) == 1
    assert left_in(tmp_path) == []


def test_a_refusal_of_the_server_comes_through(
    rest: RestClient, script: Script, host: ArchiveHost, tmp_path: Path
) -> None:
    """A checkpoint that does not exist is the API's own error."""
    script.on(ARCHIVE, (404, {"detail": "no such checkpoint"}))
    with pytest.raises(NotFoundError, match="no such checkpoint"):
        download(rest, PATH, tmp_path)
    assert host.requests == []
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("path", ["https://S/weights/a", "tinker://S", ""])
def test_a_path_that_is_none_sends_nothing(
    rest: RestClient, script: Script, tmp_path: Path, path: str
) -> None:
    """What is no checkpoint's path is refused before anything else."""
    with pytest.raises(ValidationError):
        download(rest, path, tmp_path)
    assert script.received == []


@pytest.mark.holds("F39")
def test_a_target_that_exists_is_left_alone(
    rest: RestClient, script: Script, tmp_path: Path
) -> None:
    """F39: without force nothing is asked of the server; the error says how to go on."""
    (tmp_path / NAME).mkdir()
    with pytest.raises(CheckpointError, match="force=True"):
        download(rest, PATH, tmp_path)
    assert script.received == []


@pytest.mark.holds("F39")
def test_force_replaces_an_earlier_download(
    rest: RestClient, host: ArchiveHost, tmp_path: Path
) -> None:
    """What a download made, a download may replace, as a whole."""
    folder = download(rest, PATH, tmp_path).folder
    (folder / "left over").write_text("x")
    host.content = checkpoint({"new": b"new"})
    done = download(rest, PATH, tmp_path, force=True)
    assert [file.name for file in done.files] == ["new"]
    assert left_in(tmp_path) == [NAME]


@pytest.mark.holds("F39")
@pytest.mark.parametrize("kind", ["folder", "file", "link"])
def test_force_never_replaces_somebodys_work(rest: RestClient, tmp_path: Path, kind: str) -> None:
    """F39: a folder, file or link that no download made stays, whatever is asked."""
    target = tmp_path / "out" / NAME
    target.parent.mkdir()
    if kind == "folder":
        target.mkdir()
        (target / "thesis.txt").write_text("x")
    elif kind == "file":
        target.write_text("x")
    else:
        target.symlink_to(tmp_path)
    with pytest.raises(CheckpointError, match="not made by a download"):
        download(rest, PATH, tmp_path / "out", force=True)
    assert target.is_symlink() == (kind == "link")
    assert kind != "folder" or (target / "thesis.txt").read_text() == "x"


@pytest.mark.holds("F39")
def test_a_failed_replacement_keeps_the_old_download(
    rest: RestClient, host: ArchiveHost, tmp_path: Path
) -> None:
    """The old folder goes only when the new one is whole."""
    folder = download(rest, PATH, tmp_path).folder
    host.content = tar(special("l", b"2", "/etc"))
    with pytest.raises(UnsafeArchiveError):
        download(rest, PATH, tmp_path, force=True)
    assert_whole(folder)
    assert left_in(tmp_path) == [NAME]


@pytest.mark.holds("F39")
def test_two_downloads_at_once_do_not_mix(
    rest: RestClient, host: ArchiveHost, tmp_path: Path
) -> None:
    """F39: the one that comes second finds the first one's folder and leaves it as it is."""

    def other(have: int, total: int | None) -> None:
        if not (tmp_path / NAME).exists():
            (tmp_path / NAME).mkdir()
            (tmp_path / NAME / "theirs").write_text("x")

    with pytest.raises(CheckpointError, match="exists already"):
        download(rest, PATH, tmp_path, progress=other)
    assert left_in(tmp_path / NAME) == ["theirs"]
    assert left_in(tmp_path) == [NAME]


@pytest.mark.holds("F28")
def test_an_interrupted_download_continues_when_it_is_called_again(
    rest: RestClient, host: ArchiveHost, tmp_path: Path
) -> None:
    """F39: after Ctrl-C the target is not there, and the next call asks for the rest alone."""

    def interrupt(have: int, total: int | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download(rest, PATH, tmp_path, progress=interrupt)
    assert left_in(tmp_path) == [f".{NAME}.partial"]
    came = (tmp_path / f".{NAME}.partial" / "archive.tar.partial").stat().st_size
    assert_whole(download(rest, PATH, tmp_path).folder)
    assert host.headers("range") == [None, f"bytes={came}-"]
    assert left_in(tmp_path) == [NAME]


@pytest.mark.parametrize(
    "error", [BrokenPipeError("closed"), httpx.ConnectError("no"), KeyError("total")], ids=repr
)
def test_an_error_of_the_callback_comes_out_as_it_is(
    rest: RestClient, host: ArchiveHost, tmp_path: Path, error: Exception
) -> None:
    """It is neither taken for a full disk nor for a broken connection; the next call goes on."""

    def progress(have: int, total: int | None) -> None:
        raise error from LookupError("why")

    with pytest.raises(type(error)) as caught:
        download(rest, PATH, tmp_path, progress=progress)
    assert caught.value is error
    assert isinstance(error.__cause__, LookupError)
    assert len(host.requests) == 1
    assert left_in(tmp_path) == [f".{NAME}.partial"]
    assert_whole(download(rest, PATH, tmp_path).folder)


@pytest.mark.holds("F39")
def test_an_interrupted_unpacking_needs_no_byte_again(
    rest: RestClient, host: ArchiveHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F39: a whole archive that was not unpacked is taken as it is, if its version still holds."""

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(sys.modules["tinkex.checkpoints.download"], "unpack", crash)
        with pytest.raises(KeyboardInterrupt):
            download(rest, PATH, tmp_path)
    host.statuses, host.unsatisfied = [416], f"bytes */{len(WHOLE)}"
    assert_whole(download(rest, PATH, tmp_path).folder)
    assert len(host.requests) == 2


@pytest.mark.holds("F36", "F39")
def test_what_was_left_without_its_version_is_not_gone_on_with(
    rest: RestClient, host: ArchiveHost, tmp_path: Path
) -> None:
    """F36, F39: bytes whose notes are damaged, and a half unpacked folder, are thrown away."""
    left = tmp_path / f".{NAME}.partial"
    (left / "new-old" / "files").mkdir(parents=True)
    (left / "archive.tar.partial").write_bytes(b"x" * 100)
    (left / "archive.tar.partial.json").write_text("[")
    assert_whole(download(rest, PATH, tmp_path).folder)
    assert host.headers("range") == [None]
    assert left_in(tmp_path) == [NAME]


@pytest.mark.holds("F39")
def test_a_second_download_of_the_same_is_refused_while_one_runs(
    rest: RestClient, host: ArchiveHost, tmp_path: Path
) -> None:
    """F39: the lock is the system's, so that another process meets it and a crash frees it."""
    holder = (
        "import sys, pathlib; from tinkex.checkpoints.staging import staging\n"
        f"with staging(pathlib.Path({str(tmp_path)!r}), {NAME!r}):\n"
        "    print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", holder], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout
        assert other.stdout.readline().strip() == b"held"
        with pytest.raises(CheckpointError, match="another process"):
            download(rest, PATH, tmp_path)
        assert host.requests == []
        other.kill()
    assert_whole(download(rest, PATH, tmp_path).folder)


@pytest.mark.holds("S11")
def test_a_planted_link_is_no_place_to_download_into(rest: RestClient, tmp_path: Path) -> None:
    """S11: the hidden folder must be a folder of this user, never a link."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / f".{NAME}.partial").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CheckpointError, match="remove it first"):
        download(rest, PATH, tmp_path)
    assert left_in(tmp_path / "elsewhere") == []


@pytest.mark.holds("F39")
def test_a_place_that_cannot_be_written_is_one_clear_error(
    rest: RestClient, tmp_path: Path
) -> None:
    """F39: the error says where nothing could be written."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(CheckpointError, match="cannot be written"):
        download(rest, PATH, tmp_path / "file")


def digest(algorithm: str) -> str:
    return base64.b64encode(hashlib.new(algorithm, WHOLE).digest()).decode()


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("Repr-Digest", f"sha-256=:{digest('sha256')}:"),
        ("Repr-Digest", f"sha-512=:{digest('sha512')}:"),
        ("x-amz-checksum-sha256", digest("sha256")),
        ("x-goog-hash", f"crc32c=AAAAAA==,md5={digest('md5')}"),
    ],
)
def test_an_announced_checksum_is_compared(
    rest: RestClient, host: ArchiveHost, tmp_path: Path, header: str, value: str
) -> None:
    """A right checksum passes; bytes that differ from it are never shown as a checkpoint."""
    host.extra = {header: value}
    assert_whole(download(rest, PATH, tmp_path / "right").folder)
    host.content = WHOLE[:-1] + b"x"
    with pytest.raises(DownloadIncompleteError, match="checksum"):
        download(rest, PATH, tmp_path / "wrong")
    assert left_in(tmp_path / "wrong") == []
    assert host.headers("range") == [None] * 6


@pytest.mark.holds("F40")
def test_an_archive_that_is_being_made_is_waited_for(
    rest: RestClient, script: Script, host: ArchiveHost, tmp_path: Path
) -> None:
    """F40: 503 and 409 are asked again for minutes, and progress hears that nothing came yet."""
    busy = [(503, {"detail": "being made"}, {"Retry-After": "60"})] * 3
    busy += [(409, {"detail": "being made"}, {"Retry-After": "60"})] * 2
    script.on(ARCHIVE, *busy, (302, b"", {"Location": f"{host.url}/archive"}))
    heard: list[tuple[int, int | None]] = []
    got = download(rest, PATH, tmp_path, progress=lambda *said: heard.append(said))
    assert_whole(got.folder)
    assert sum(rest.clock.slept) >= 300
    assert heard.count((0, None)) == 5


@pytest.mark.holds("F40")
def test_an_archive_that_never_comes_ends_at_the_deadline(
    rest: RestClient, script: Script, tmp_path: Path
) -> None:
    """F40: after the patience the server's own error comes through."""
    script.on(ARCHIVE, (409, {"detail": "being made"}, {"Retry-After": "60"}))
    with pytest.raises(ConflictError, match="being made"):
        download(rest, PATH, tmp_path, patience=200)
    assert 100 <= sum(rest.clock.slept) <= 200
    assert left_in(tmp_path) == []


def test_an_archive_can_stay_packed(rest: RestClient, tmp_path: Path) -> None:
    """With extract=False the folder holds the archive as it came, and force replaces it."""
    for force in (False, True):
        got = rest.download_checkpoint(PATH, tmp_path, force=force, extract=False)
        assert [file.name for file in got.files] == ["archive.tar"]
        assert got.files[0].read_bytes() == WHOLE


@pytest.mark.holds("S5")
def test_a_url_with_a_user_name_is_refused(
    rest: RestClient, host: ArchiveHost, tmp_path: Path
) -> None:
    """S5: a redirect cannot make the client send a name and a password."""
    host.statuses, host.location = [302], host.url.replace("//", "//user:word@") + "/x"
    with pytest.raises(CheckpointError, match="user name") as caught:
        download(rest, PATH, tmp_path)
    assert "word" not in str(caught.value)


@pytest.mark.holds("F38")
def test_a_disk_that_is_too_small_is_noticed_before_writing(
    rest: RestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F38: the error says how much is needed and how much is free."""
    usage = SimpleNamespace(total=10**6, used=10**6 - 1000, free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(CheckpointError, match="1000 free"):
        download(rest, PATH, tmp_path)
    assert left_in(tmp_path) == []


@pytest.mark.holds("S5")
@pytest.mark.parametrize("answered", ["redirect", "body"])
def test_an_encrypted_server_cannot_send_us_to_an_open_one(tmp_path: Path, answered: str) -> None:
    """S5: https to http is refused before anything is fetched."""
    url = "http://store.example/archive?signature=secret"
    body = {"url": url, "expires": "2027-01-01T00:00:00Z"}
    script = Script().on(ARCHIVE, (302, b"", {"Location": url}) if answered == "redirect" else body)
    with (
        scripted_service(
            script, base_url="https://tinker.example/prefix", api_key="tml-x"
        ) as service,
        pytest.raises(CheckpointError, match="without encryption") as caught,
    ):
        download(service.create_rest_client(), PATH, tmp_path)
    assert "secret" not in str(caught.value)
    assert left_in(tmp_path) == []


@pytest.mark.parametrize(
    "url", ["ftp://store/x", "file:///etc/passwd", "", "http://[", "/relative"]
)
def test_an_url_that_is_none_is_refused(
    rest: RestClient, script: Script, tmp_path: Path, url: str
) -> None:
    """An answer with an unusable URL is an error of ours, not of a library."""
    script.on(ARCHIVE, {"url": url, "expires": "2027-01-01T00:00:00Z"})
    with pytest.raises(CheckpointError, match="not http"):
        download(rest, PATH, tmp_path)
    assert left_in(tmp_path) == []


def test_a_checkpoint_of_the_local_server_comes_home(
    nano_service: ServiceClient, tmp_path: Path
) -> None:
    """Sampler and training checkpoints are downloaded with what they hold."""
    training = nano_service.create_lora_training_client(NANO, rank=2)
    rest = nano_service.create_rest_client()
    sampler = download(rest, training.save_weights_for_sampler("s").result().path, tmp_path)
    state = download(rest, training.save_state("t").result().path, tmp_path)
    assert {"adapter_config.json", "adapter_model.safetensors"} <= {f.name for f in sampler.files}
    assert len(state.files) > len(sampler.files)
    assert len(left_in(tmp_path)) == 2


def test_a_folder_has_a_name_that_every_system_accepts(
    rest: RestClient, script: Script, host: ArchiveHost, tmp_path: Path
) -> None:
    """Ids hold colons, and so may the name of a checkpoint on some server."""
    script.on(
        "GET training_runs/S:train:0/checkpoints/sampler_weights/a:b/archive",
        (302, b"", {"Location": f"{host.url}/archive?signature=secret"}),
    )
    folder = download(rest, "tinker://S:train:0/sampler_weights/a:b", tmp_path).folder
    assert folder == tmp_path / "S_train_0_sampler_weights_a_b"
    assert_whole(folder)
