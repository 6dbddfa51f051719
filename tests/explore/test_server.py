"""The live page over real HTTP, and who is kept out."""

import io
import json
import re
import socket
import stat
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace

import httpx
import numpy as np
import pytest
import torch
from explore_studies import BUILT
from PIL import Image
from served import TOKEN, alone, served  # pyright: ignore[reportMissingImports]

from vaescape.errors import OptionError
from vaescape.explore import answers, server
from vaescape.explore import connection as connections
from vaescape.explore.blobs import array
from vaescape.explore.handover import handed_over
from vaescape.explore.live import Live
from vaescape.explore.page import live as live_page
from vaescape.explore.payload import Payload

pytestmark = pytest.mark.network


@pytest.fixture(scope="module")
def content(study) -> Payload:
    return Payload({"schema": 1, "title": "t"}, {"latents": array(np.arange(6.0), "f32")})


@pytest.fixture(scope="module")
def page(study, content):
    """A live page with a small payload: what is tested here is the rest."""
    shown = Live.__new__(Live)
    shown.study, shown.networks, shown.step = study, [], None
    shown.step = shown.newest()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vaescape.explore.page.runtime", dict)
        shown.page, shown.blobs = live_page(BUILT, content), content.blobs
    return shown


@contextmanager
def serving(page) -> Iterator[int]:
    """Serve a page; give the port."""
    with served(partial(server.application, page)) as address:
        yield int(address.split(":")[2].split("/")[0])


@pytest.fixture(scope="module")
def client(page):
    """A browser's view of the server: its own origin, the token in the address."""
    with (
        serving(page) as port,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as found,
    ):
        yield found


def raw(client, sent: str) -> bytes:
    """Send bytes as they are; return the answer."""
    with socket.create_connection(("127.0.0.1", client.base_url.port), timeout=20) as connection:
        connection.sendall(sent.encode())
        answer = b""
        while part := connection.recv(65536):
            answer += part
    return answer


@pytest.mark.parametrize(
    "line", ["OPTIONS *", "GET *", "CONNECT h:443", "GET http://127.0.0.1/x", "DELETE /", "GET /é"]
)
def test_requests_without_a_path_are_refused_with_all_headers(client, line):
    host = f"127.0.0.1:{client.base_url.port}"
    answer = raw(client, f"{line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
    head = answer.partition(b"\r\n\r\n")[0].decode().lower()
    assert int(head.split()[1]) in (400, 404, 405)
    if "invalid http" not in answer.decode().lower():
        for name, value in server.HEADERS.items():
            assert f"{name}: {value.lower()}" in head
        assert "content-security-policy" in head


def test_idle_connections_keep_nobody_out(client):
    address = ("127.0.0.1", client.base_url.port)
    idle = [socket.create_connection(address, timeout=20) for _ in range(200)]
    try:
        with httpx.Client(base_url=client.base_url, timeout=20) as fresh:
            assert fresh.get(f"/{TOKEN}/blob/latents").status_code == 200
        assert idle[0].recv(1) == b""  # the oldest made room
    finally:
        for each in idle:
            each.close()


def test_a_head_that_never_ends_is_not_waited_for(client, monkeypatch):
    monkeypatch.setattr(connections, "HEAD_PATIENCE", 0.5)
    address = ("127.0.0.1", client.base_url.port)
    with socket.create_connection(address, timeout=20) as connection:
        connection.sendall(f"GET /{TOKEN}/ HTTP/1.1\r\nX: ".encode())
        begun, closed = time.monotonic(), False
        while not closed and time.monotonic() - begun < 10:
            try:
                connection.sendall(b"y")
                connection.settimeout(0.1)
                closed = connection.recv(1) == b""
            except TimeoutError:
                pass
            except OSError:
                closed = True
    assert closed
    assert client.get(f"/{TOKEN}/blob/latents").status_code == 200


def test_many_listeners_read_the_log_once_for_all(monkeypatch):
    reads, state = [], SimpleNamespace(status="training")
    follow = SimpleNamespace(
        folder=state, step=1, newest=lambda: 1, crowd=None,
        news=lambda after: (reads.append(after), [{"step": 1}] if after < 1 else [])[1],
    )  # fmt: skip
    monkeypatch.setattr(server, "PAUSE", 0.5)
    with serving(follow) as port:

        def listen(heard: list[str]) -> None:
            with httpx.stream("GET", f"http://127.0.0.1:{port}/{TOKEN}/events", timeout=30) as it:
                heard += it.iter_lines()

        heard = [[] for _ in range(30)]
        threads = [threading.Thread(target=listen, args=(each,), daemon=True) for each in heard]
        for thread in threads:
            thread.start()
        begun = time.monotonic()
        while not all("event: tick" in each for each in heard) and time.monotonic() - begun < 20:
            time.sleep(0.05)
        time.sleep(1)
        state.status = "finished"
        for thread in threads:
            thread.join(20)
        looks = 3 + (time.monotonic() - begun) / 0.5
    assert all(each.count("event: tick") == 1 for each in heard)
    assert all("event: end" in each for each in heard)
    assert 1 <= len(reads) <= looks


def test_the_page_comes_with_its_policy_as_a_header(client):
    answer = client.get(f"/{TOKEN}/")
    told = answer.headers["content-security-policy"]
    (meta,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', answer.text)
    assert told == f"{meta}; frame-ancestors 'none'"
    assert "connect-src 'self'" in told


def test_a_browser_may_come_from_the_file_that_hands_over_the_address_but_to_the_page_only(client):
    coming = {
        "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"
    }  # fmt: skip
    assert client.get(f"/{TOKEN}/", headers=coming).status_code == 200
    assert client.get("/guess/", headers=coming).status_code == 403
    assert client.get(f"/{TOKEN}/blob/latents", headers=coming).status_code == 403
    framed = coming | {"sec-fetch-dest": "iframe"}
    assert client.get(f"/{TOKEN}/", headers=framed).status_code == 403


def test_the_file_that_hands_over_an_address_is_its_owners_and_goes(tmp_path):
    with handed_over("http://127.0.0.1:1/a&b/", tmp_path) as file:
        assert file is not None
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert 'content="0; url=http://127.0.0.1:1/a&amp;b/"' in file.read_text()
    assert list(tmp_path.iterdir()) == []
    with handed_over("http://127.0.0.1:1/", tmp_path / "missing") as file:
        assert file is None


ROUTES = [
    ("GET", "/"), ("GET", "/blob/latents"), ("POST", "/decode"), ("POST", "/encode"),
    ("POST", "/geodesic"), ("GET", "/regions"), ("PUT", "/regions"), ("GET", "/checkpoint"),
    ("GET", "/events"), ("POST", "/codes"), ("GET", "/original/0"),
]  # fmt: skip
JSON = {"content-type": "application/json"}


def test_the_page_is_live_and_may_talk_to_its_server_only(client):
    answer = client.get(f"/{TOKEN}/")
    assert answer.status_code == 200
    assert "connect-src 'self'" in answer.text
    assert "connect-src 'none'" not in answer.text
    assert '"live":true' in answer.text


def test_blobs_come_by_name_unpacked_as_the_manifest_says(client):
    page, answer = client.get(f"/{TOKEN}/"), client.get(f"/{TOKEN}/blob/latents")
    (told,) = re.findall('id="manifest">({.*?})</script>', page.text)
    entry = json.loads(told)["blobs"]["latents"]
    assert entry["codec"] == "raw"
    assert len(answer.content) == entry["bytes"]
    assert zlib.crc32(answer.content) == entry["crc32"]
    for path in ("nothing", "..%2f..%2frun.json", "%2e%2e/run.json", "../run.json", "latents%00"):
        assert client.get(f"/{TOKEN}/blob/{path}").status_code == 404


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example"}, 421),
        ({"host": "127.0.0.1.nip.io"}, 421),
        ({"host": "localhost@evil"}, 421),
        ({"host": ""}, 421),
        ({"host": "127.0.0.1:1"}, 421),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "https://127.0.0.1"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
    ],
)
def test_other_sites_and_other_names_are_refused_on_every_route(
    client, method, path, headers, status
):
    answer = client.request(method, f"/{TOKEN}{path}", headers=headers)
    assert answer.status_code == status
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize("token", ["wrong", "", "Secret", "secret%20", "secre", "s%C3%A9cret"])
def test_without_the_token_there_is_nothing(client, method, path, token):
    assert client.request(method, f"/{token}{path}").status_code == 404


def test_two_hosts_are_one_too_many(client):
    port = client.base_url.port
    with socket.create_connection(("127.0.0.1", port)) as raw:
        raw.sendall(
            f"GET /{TOKEN}/ HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nHost: evil\r\n\r\n".encode()
        )
        assert raw.recv(100).split()[1] in (b"421", b"400")


def test_the_own_origin_is_let_in(client):
    origin = str(client.base_url).rstrip("/")
    headers = {"origin": origin, "sec-fetch-site": "same-origin"}
    assert client.get(f"/{TOKEN}/regions", headers=headers).status_code == 200


def test_no_site_is_invited_and_no_type_guessed(client):
    for path in (f"/{TOKEN}/", f"/{TOKEN}/nothing", "/wrong/"):
        answer = client.options(path, headers={"access-control-request-method": "POST"})
        assert not [name for name in answer.headers if name.startswith("access-control")]
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize("path", ["/decode", "/geodesic", "/encode", "/codes"])
@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
)
def test_what_a_form_could_send_is_refused(client, path, kind):
    answer = client.post(f"/{TOKEN}{path}", content=b"{}", headers={"content-type": kind})
    assert answer.status_code == 415


def test_bodies_are_bounded_whatever_they_say_of_their_length(client, monkeypatch):
    monkeypatch.setattr(answers, "MOST_JSON", 1000)
    big = b'{"z": "' + b"x" * 2000 + b'"}'
    assert client.post(f"/{TOKEN}/decode", content=big, headers=JSON).status_code == 413
    chunks = (big[i : i + 100] for i in range(0, len(big), 100))
    assert client.post(f"/{TOKEN}/decode", content=chunks, headers=JSON).status_code == 413


def test_a_body_that_never_ends_is_given_up(client, monkeypatch):
    monkeypatch.setattr(answers, "PATIENCE", 0.2)
    port = client.base_url.port
    with socket.create_connection(("127.0.0.1", port), timeout=30) as raw:
        raw.sendall(
            f"POST /{TOKEN}/decode HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
            "Content-Type: application/json\r\nContent-Length: 10\r\n\r\n{".encode()
        )
        assert raw.recv(100).split()[1] == b"408"


def test_decoding_gives_the_studys_pixels(client, study):
    z = torch.tensor([[0.5, -1.0], [2.0, 0.0]])
    answer = client.post(f"/{TOKEN}/decode", json={"z": z.tolist()})
    pixels = np.frombuffer(answer.content, "<f4").reshape(2, 1, 28, 28)
    np.testing.assert_allclose(pixels, study.decode(z).numpy(), atol=1e-6)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"{", b"{}", b"\xff", b"[" * 100_000, b'{"z": [[NaN, 0]]}',
        b'{"z": [[1e999, 0]]}', b'{"z": [[1e30, 0]]}', b'{"z": [[1, 2, 3]]}', b'{"z": [1, 2]}',
        b'{"z": [["a", 0]]}', b'{"z": []}', b'{"z": {"a": 1}}', b'{"z": null}',
        b'{"z": [[1], [1, 2]]}',
        json.dumps({"z": [[0, 0]] * 1025}).encode(),
    ],
)  # fmt: skip
def test_impossible_codes_are_answered_with_a_sentence(client, body):
    answer = client.post(f"/{TOKEN}/decode", content=body, headers=JSON)
    assert answer.status_code == 400
    assert set(answer.json()) == {"error"}
    assert "Traceback" not in answer.text


@pytest.mark.parametrize(
    "change",
    [
        {"steps": 2}, {"steps": 10**9}, {"steps": 5.5}, {"steps": True}, {"weight": -1},
        {"weight": "1"}, {"weight": 1e9}, {"a": [0]}, {"b": None},
    ],
)  # fmt: skip
def test_impossible_paths_are_refused_before_any_work(client, change):
    body = {"a": [0, 0], "b": [1, 1], "steps": 5, "weight": 0} | change
    assert client.post(f"/{TOKEN}/geodesic", json=body).status_code == 400


@pytest.mark.parametrize("weight", [0, 1.0])
def test_a_geodesic_has_its_ends_and_is_no_longer_than_the_straight_line(client, weight):
    a, b = [0.5, -1.0], [-1.0, 1.0]
    body = {"a": a, "b": b, "steps": 9, "weight": weight}
    found = client.post(f"/{TOKEN}/geodesic", json=body).json()
    assert len(found["path"]) == 9
    assert found["path"][0] == pytest.approx(a)
    assert found["path"][-1] == pytest.approx(b)
    if not weight:
        assert found["lengths"]["geodesic"] <= found["lengths"]["linear"] * 1.01


def test_a_picture_is_encoded(client, study):
    buffer = io.BytesIO()
    Image.fromarray(study.test.pixels[0, 0].numpy()).save(buffer, "PNG")
    answer = client.post(
        f"/{TOKEN}/encode", content=buffer.getvalue(), headers={"content-type": "image/png"}
    ).json()
    assert answer["mean"] == pytest.approx(study.encode(study.test[:1])[0].tolist(), abs=1e-5)
    assert answer["error"] >= 0
    assert len(answer["pixels"]) == 784


def floats(client, x: np.ndarray) -> httpx.Response:
    headers = {"content-type": "application/octet-stream"}
    return client.post(f"/{TOKEN}/codes", content=x.astype("<f4").tobytes(), headers=headers)


def test_pixels_are_encoded_means_first(client, study):
    answer = floats(client, study.test.floats()[:3].numpy())
    mean, log_var = np.frombuffer(answer.content, "<f4").reshape(2, 3, 2)
    expected = study.encode_with_variance(study.test[:3])
    np.testing.assert_allclose(mean, expected[0].numpy(), atol=1e-5)
    np.testing.assert_allclose(log_var, expected[1].numpy(), atol=1e-5)


@pytest.mark.parametrize(
    "x", [np.zeros(0), np.zeros(783), np.full(784, 1.5), np.full(784, np.nan), np.full(784, -1)]
)
def test_what_are_no_pixels_is_refused(client, x):
    assert floats(client, x).status_code == 400


def test_every_original_is_there_and_no_other(client, study):
    count = len(study.train)
    for index, images, at in (
        (0, study.train, 0),
        (count, study.test, 0),
        (count + 5, study.test, 5),
    ):
        answer = client.get(f"/{TOKEN}/original/{index}")
        assert answer.content == images.pixels[at].numpy().tobytes()
    for wrong in (count + len(study.test), 10**30, "-1", "x"):
        assert client.get(f"/{TOKEN}/original/{wrong}").status_code == 404


def test_a_checkpoint_is_the_newest_checkpoint_in_one_piece(client, study):
    answer = client.get(f"/{TOKEN}/checkpoint")
    assert int(answer.headers["x-step"]) == study.folder.history()[-1]["step"]
    mean, log_var = np.frombuffer(answer.content, "<f4").reshape(2, -1, 2)
    np.testing.assert_allclose(
        mean[len(study.train) :], study.encode(study.test).numpy(), atol=1e-5
    )
    assert (log_var < 5).all()


def bomb(side: int) -> bytes:
    """A PNG of side² black pixels in a few bytes per row."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes(1 + side // 8) * 64, 9)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


@pytest.mark.parametrize("picture", [bomb(20_000), bomb(5_000), b"", b"<svg/>", b"GIF89a", b"BM"])
def test_bombs_and_what_is_no_picture_are_refused(client, picture):
    answer = client.post(f"/{TOKEN}/encode", content=picture, headers={"content-type": "image/png"})
    assert answer.status_code == 400
    assert "picture" in answer.json()["error"]


def test_a_picture_of_too_many_bytes_is_not_read(client, monkeypatch):
    monkeypatch.setattr(server, "MOST_PICTURE", 1000)
    answer = client.post(
        f"/{TOKEN}/encode", content=bytes(2000), headers={"content-type": "image/png"}
    )
    assert answer.status_code == 413


def test_regions_are_kept_in_the_run_and_nowhere_else(client, run):
    given = {"regions": [{"name": "</script>../../x", "points": [[0, 1]]}]}
    before = {path.name for path in run.iterdir()}
    try:
        assert client.put(f"/{TOKEN}/regions", json=given).status_code == 200
        assert json.loads((run / "regions.json").read_text()) == given
        assert client.get(f"/{TOKEN}/regions").json() == given
        assert {path.name for path in run.iterdir()} - before == {"regions.json"}
    finally:
        (run / "regions.json").unlink(missing_ok=True)


@pytest.mark.parametrize(
    "body",
    [
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b"[1]",
        b"{",
        b'{"a": 1e999}',
        b'{"a": "\\ud800"}',
        b'{"\\udfff": 1}',
    ],
)
def test_regions_that_are_no_json_object_are_refused(client, run, body):
    assert client.put(f"/{TOKEN}/regions", content=body, headers=JSON).status_code == 400
    assert not (run / "regions.json").exists()


def test_getting_changes_nothing(client):
    for method, path in ROUTES:
        if method == "POST":
            assert client.get(f"/{TOKEN}{path}").status_code == 405


def test_news_of_a_finished_training_are_its_log_and_the_end(client, study):
    text = client.get(f"/{TOKEN}/events").text
    rows = [json.loads(line[6:]) for line in text.splitlines() if line.startswith('data: {"s')]
    assert [row["step"] for row in rows] == [row["step"] for row in study.folder.history()]
    assert text.rstrip().endswith("event: end\ndata: {}")


def test_a_running_training_is_followed_as_its_log_grows(monkeypatch):
    """No server: the generator itself, its log growing between two looks."""

    rows = [{"step": 1, "epoch": 1.0, "held_out": {"loss": 2.0}}]
    state = SimpleNamespace(status="training")
    follow = SimpleNamespace(
        folder=state,
        step=1,
        newest=lambda: len(rows),
        news=lambda after: [row for row in rows if row["step"] > after],
    )

    class Open:
        async def is_disconnected(self) -> bool:
            return False

    monkeypatch.setattr(server, "PAUSE", 0)

    async def watch() -> list[str]:
        heard, feed = [], server.Feed(follow)  # pyright: ignore
        async for told in server._events(feed, Open()):  # pyright: ignore
            heard.append(told)
            if len(heard) == 2:
                rows.append({"step": 2, "epoch": 2.0, "held_out": {"loss": 1.0}})
            if len(heard) == 5:
                state.status = "finished"
        return heard

    heard = alone(watch())
    ticks = [json.loads(t.split("data: ")[1]) for t in heard if t.startswith("event: tick")]
    assert [tick["step"] for tick in ticks] == [1, 2]
    assert [t for t in heard if t.startswith("event: checkpoint")] == [
        'event: checkpoint\ndata: {"step": 2}\n\n'
    ]
    assert heard[-1].startswith("event: end")


def test_only_this_machine_is_listened_to_unless_told_otherwise():
    with server.listen(port=0) as found:
        assert found.getsockname()[0] == "127.0.0.1"
    assert server.names("127.0.0.1", 5) == {"127.0.0.1:5", "localhost:5"}
    assert server.names("10.0.0.1", 5) == {"10.0.0.1:5"}
    assert server.names("::1", 5) == {"[::1]:5"}


@pytest.mark.parametrize(
    "host",
    ["0.0.0.0", "::", "", "198.51.100.1", "0", "0x0", "::0", "0.0", "::ffff:0.0.0.0", "a..b"],
)
def test_hosts_that_no_page_could_be_asked_of_are_refused(host):
    with pytest.raises(OptionError):
        server.listen(host, port=0)


def test_a_taken_port_is_told_and_by_default_another_is_found(monkeypatch):
    with server.listen(port=0) as first:
        taken = first.getsockname()[1]
        with pytest.raises(OptionError, match="in use"):
            server.listen(port=taken)
        monkeypatch.setattr(server, "FIRST_PORT", taken)
        with server.listen() as second:
            assert second.getsockname()[1] not in (0, taken)
