"""`vaescape explore`: a file, a check of one, and a server that Ctrl-C ends."""

import signal
import sys
import webbrowser

import pytest

from vaescape.cli import exploring, main
from vaescape.explore import page, server
from vaescape.explore.live import open_run
from vaescape.explore.sections import networks
from vaescape.pipeline import start


def told(monkeypatch, capsys, *arguments) -> tuple[int | str | None, str, str]:
    monkeypatch.setattr(sys, "argv", ["vaescape", *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        main()
    said = capsys.readouterr()
    return left.value.code, said.out, said.err


@pytest.fixture(autouse=True)
def opened(monkeypatch) -> list[str]:
    addresses = []
    monkeypatch.setattr(webbrowser, "open", addresses.append)
    monkeypatch.setattr(networks, "networks", lambda *_, **__: [])
    return addresses


def test_a_saved_page_is_checked_and_opened(run, built, tmp_path, monkeypatch, capsys, opened):
    path = tmp_path / "page.html"
    code, out, _ = told(monkeypatch, capsys, "explore", run, "--save", path, "--title", "Mine")
    assert code == 0
    assert str(path) in out
    assert page.check(path)["title"] == "Mine"
    code, out, _ = told(monkeypatch, capsys, "explore", path)
    assert code == 0
    assert "Mine" in out
    assert opened == [path.as_uri()]
    path.write_text(path.read_text()[:-200])
    code, _, err = told(monkeypatch, capsys, "explore", path)
    assert code == 2
    assert "incomplete" in err


def test_serving_opens_the_browser_and_ends_with_ctrl_c(run, built, monkeypatch, capsys, opened):
    def until_stopped(config, sockets):
        signal.raise_signal(signal.SIGINT)  # as uvicorn does when it has stopped

    monkeypatch.setattr(server.uvicorn.Server, "run", until_stopped)
    code, out, err = told(monkeypatch, capsys, "explore", run)
    assert code == 0
    assert opened[0].startswith("file:")  # the address is not in the browser's arguments
    assert "http://127.0.0.1:" in out
    assert not list(run.glob("open-*"))
    assert err == "Preparing the page …\n"


def test_a_taken_port_is_told_before_the_page_is_made(run, built, monkeypatch, capsys):
    monkeypatch.setattr(exploring, "Live", None)
    with server.listen() as taken:
        port = taken.getsockname()[1]
        code, out, err = told(monkeypatch, capsys, "explore", run, "--port", port)
    assert (code, out) == (2, "")
    assert f"port {port}: the port is in use" in err


def test_a_mistake_is_a_sentence(run, built, tmp_path, monkeypatch, capsys):
    for arguments in (
        ("explore", tmp_path / "none"),
        ("explore", run, "--host", "0.0.0.0"),
    ):
        code, _, err = told(monkeypatch, capsys, *arguments)
        assert code == 2
        assert err.startswith("vaescape: ")


def test_a_run_in_training_is_shown_by_its_newest_checkpoint(run, study, tmp_path):
    folder, _ = start(study.configuration, root=tmp_path)
    with pytest.raises(page.VaescapeError, match="no checkpoint yet"):
        open_run(folder.path)
    (folder / "checkpoints").mkdir()
    for path in (run / "checkpoints").iterdir():
        (folder / "checkpoints" / path.name).write_bytes(path.read_bytes())
    (folder / "checkpoints" / ".being-written.part").write_text("x")
    shown = open_run(folder.path)
    assert (shown.encode(study.test) == study.encode(study.test)).all()
    assert (folder / "checkpoints" / ".being-written.part").exists()


def test_importing_vaescape_loads_none_of_it():
    import subprocess

    heavy = ("torch", "starlette", "uvicorn", "onnx", "PIL")
    code = f"import sys, vaescape; print([m for m in {heavy} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert found.stdout.strip() == "[]"
