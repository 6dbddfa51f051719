"""The downloads, against a server of our own that does everything wrong that a server can."""

import gzip
import hashlib
import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from vaescape.data.download import cache_folder, fetch
from vaescape.data.mnist_like import FILES
from vaescape.errors import DataError

pytestmark = pytest.mark.network

CONTENT = np.random.default_rng(0).integers(0, 256, 300_000, np.uint8).tobytes()
CUT = 150_000
CAP = 400_000


class Server(ThreadingHTTPServer):
    """Serves CONTENT under /<behaviour>/<file> and remembers what was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, str | None]] = []
        self.files: dict[str, bytes] = {}
        self.endless = 0

    def url(self, behaviour: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{behaviour}/"

    def handle_error(self, request, client_address) -> None:
        """A client that goes away is no news."""


class Handler(BaseHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        assert isinstance(self.server, Server)
        _, behaviour, file = self.path.split("/")
        self.server.asked.append((behaviour, self.headers["Range"]))
        getattr(self, f"serve_{behaviour}")(self.server.files.get(file, CONTENT))

    def answer(self, content: bytes, *, ranges: bool = True, sent: int | None = None) -> None:
        """Send content, or what is asked of it, breaking off after some bytes."""
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "")
        first = int(wanted[1]) if wanted and ranges else 0
        if first >= len(content):
            self.send_error(416)
            return
        self.send_response(206 if first else 200)
        self.send_header("Content-Length", str(len(content) - first))
        self.end_headers()
        self.wfile.write(content[first:][:sent])
        self.wfile.flush()

    def serve_good(self, content: bytes) -> None:
        self.answer(content)

    def serve_missing(self, content: bytes) -> None:
        self.send_error(404)

    def serve_busy(self, content: bytes) -> None:
        self.send_error(503)

    def serve_wrong(self, content: bytes) -> None:
        self.answer(content[:-1] + bytes([content[-1] ^ 1]))

    def serve_html(self, content: bytes) -> None:
        self.answer(b"<!DOCTYPE html><title>Please log in</title>")

    def serve_cut(self, content: bytes) -> None:
        self.answer(content, sent=CUT)

    def serve_cut_without_ranges(self, content: bytes) -> None:
        self.answer(content, ranges=False, sent=CUT)

    def serve_good_without_ranges(self, content: bytes) -> None:
        self.answer(content, ranges=False)

    def serve_stalled(self, content: bytes) -> None:
        self.answer(content, sent=1000)
        time.sleep(1.5)

    def serve_slow(self, content: bytes) -> None:
        time.sleep(0.3)
        self.answer(content)

    def serve_endless(self, content: bytes) -> None:
        self.send_response(200)
        self.end_headers()
        assert isinstance(self.server, Server)
        for _ in range(1000):
            self.wfile.write(bytes(100_000))
            self.server.endless += 100_000


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


def check(path: Path) -> None:
    if not path.exists() or path.read_bytes() != CONTENT:
        raise DataError(f"{path} is not what it should be.")


def get(server: Server, folder: Path, *behaviours: str, timeout: float = 5.0) -> Path:
    mirrors = [server.url(behaviour) for behaviour in behaviours]
    return fetch(
        "file.gz", mirrors, folder, check=check, cap=CAP, timeout=(5.0, timeout), pause=0.0
    )


def resumed_at(asked: str | None) -> int:
    return int(asked[len("bytes=") : -1]) if asked else 0


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {".lock"}


def test_a_file_comes_whole_and_only_once(server, tmp_path):
    path = get(server, tmp_path, "good")
    assert path.read_bytes() == CONTENT
    assert names(tmp_path) == {"file.gz"}
    assert get(server, tmp_path, "missing") == path
    assert server.asked == [("good", None)]


def test_a_damaged_file_in_the_cache_is_replaced(server, tmp_path):
    (tmp_path / "file.gz").write_bytes(CONTENT[:100])
    assert get(server, tmp_path, "good").read_bytes() == CONTENT


@pytest.mark.parametrize("fault", ["missing", "busy", "wrong", "html", "endless"])
def test_the_next_mirror_is_tried(server, tmp_path, fault):
    assert get(server, tmp_path, fault, "good").read_bytes() == CONTENT
    assert server.asked == [(fault, None), ("good", None)]
    assert names(tmp_path) == {"file.gz"}


def test_no_more_is_taken_than_the_file_can_have(server, tmp_path):
    with pytest.raises(DataError, match="sends more than the 400,000 bytes"):
        get(server, tmp_path, "endless")
    assert server.endless < 3 * 30_000_000, "beyond the cap only what the sockets hold"


def test_a_mirror_that_stalls_is_left(server, tmp_path):
    assert get(server, tmp_path, "stalled", "good", timeout=0.3).read_bytes() == CONTENT
    assert [behaviour for behaviour, _ in server.asked] == ["stalled", "good"]


def test_a_transfer_cut_half_way_goes_on_where_it_stopped(server, tmp_path):
    assert get(server, tmp_path, "cut", "good").read_bytes() == CONTENT
    (_, nothing), (_, rest) = server.asked
    assert nothing is None
    assert 0 < resumed_at(rest) <= CUT


def test_it_goes_on_at_the_same_mirror_too(server, tmp_path):
    assert get(server, tmp_path, "cut").read_bytes() == CONTENT
    first, second, third = (resumed_at(asked) for _, asked in server.asked)
    assert 0 == first < second < third


def test_it_goes_on_the_next_time(server, tmp_path):
    (tmp_path / "file.gz.partial").write_bytes(CONTENT[:123_456])
    assert get(server, tmp_path, "good").read_bytes() == CONTENT
    assert server.asked == [("good", "bytes=123456-")]
    assert names(tmp_path) == {"file.gz"}


@pytest.mark.parametrize("first", ["cut", "cut_without_ranges"])
def test_a_server_without_ranges_begins_anew(server, tmp_path, first):
    assert get(server, tmp_path, first, "good_without_ranges").read_bytes() == CONTENT


@pytest.mark.parametrize("stale", [b"another edition", CONTENT + b"and more"])
def test_a_stale_part_does_not_stand_in_the_way(server, tmp_path, stale):
    (tmp_path / "file.gz.partial").write_bytes(stale)
    assert get(server, tmp_path, "good").read_bytes() == CONTENT


@pytest.mark.parametrize("fault", ["missing", "wrong", "html", "endless"])
def test_when_all_fail_each_mirror_is_told_and_nothing_is_left(server, tmp_path, fault):
    with pytest.raises(DataError, match="No mirror gave file.gz") as caught:
        get(server, tmp_path, fault, "busy")
    assert server.url(fault) in str(caught.value)
    assert server.url("busy") in str(caught.value)
    assert "503" in str(caught.value)
    assert names(tmp_path) == set()


def test_nothing_listening(tmp_path):
    with pytest.raises(DataError, match="No mirror gave"):
        fetch("f", ["http://127.0.0.1:9/"], tmp_path, check=check, cap=CAP, pause=0.0)
    assert names(tmp_path) == set()


def test_strays_of_a_killed_writer_are_swept(server, tmp_path):
    (tmp_path / ".file.gz.abc.part").write_bytes(b"half")
    get(server, tmp_path, "good")
    assert names(tmp_path) == {"file.gz"}


def test_a_cache_that_cannot_be_written(server, tmp_path):
    (tmp_path / "a-file").write_text("")
    with pytest.raises(DataError, match=r"cache folder .* cannot be written.*VAESCAPE_CACHE"):
        get(server, tmp_path / "a-file" / "cache", "good")


def test_of_two_at_once_one_downloads_and_one_waits(server, tmp_path):
    """The lock belongs to the open file, so that two threads meet it as two processes do."""
    with ThreadPoolExecutor(2) as pool:
        paths = list(pool.map(lambda _: get(server, tmp_path, "slow"), range(2)))
    assert [path.read_bytes() for path in paths] == [CONTENT] * 2
    assert server.asked == [("slow", None)]
    assert names(tmp_path) == {"file.gz"}


def test_no_progress_bar_without_a_terminal(server, tmp_path, capfd):
    get(server, tmp_path, "good")
    assert capfd.readouterr() == ("", "")


def test_a_whole_set_from_a_mirror(server, tmp_path, monkeypatch, tiny, tiny_content):
    """End to end: wrong bytes at the first mirror; at the second compressed anew, but right."""
    server.files = {f"{file}.gz": gzip.compress(tiny_content[file]) for file in FILES}
    monkeypatch.setattr(tiny, "mirrors", (server.url("wrong"), server.url("good")))
    data = tiny(cache=tmp_path)
    assert [len(data.load(split)) for split in tiny.counts] == list(tiny.counts.values())
    asked = len(server.asked)
    assert tiny(cache=tmp_path).digest() == data.digest()
    assert len(server.asked) == asked, "the second time everything comes from the cache"


def test_the_digest_of_the_file_as_published(server, tmp_path, monkeypatch, tiny, tiny_content):
    packed = {file: gzip.compress(content, mtime=0) for file, content in tiny_content.items()}
    server.files = {f"{file}.gz": content for file, content in packed.items()}
    monkeypatch.setattr(tiny, "mirrors", (server.url("good"),))
    monkeypatch.setattr(tiny, "sha256", ())
    digests = tuple(hashlib.sha256(content).hexdigest() for content in packed.values())
    monkeypatch.setattr(tiny, "sha256_gz", digests)
    assert len(tiny(cache=tmp_path / "right").load("train")) == 12
    monkeypatch.setattr(tiny, "sha256_gz", digests[::-1])
    monkeypatch.setattr("vaescape.data.download._ROUNDS", 1)
    with pytest.raises(DataError, match="not the file as published"):
        tiny(cache=tmp_path / "wrong").load("train")


def test_the_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("VAESCAPE_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("VAESCAPE_CACHE")
    assert cache_folder().name == "vaescape"
