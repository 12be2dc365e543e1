"""Downloads from a server on loopback, and whatever may go wrong there."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from loopback import DATA, NAME, Server, assert_nothing_left, give, pinned, refused, serve
from processes import LIMIT

import dsconv
from dsconv.files.download import download
from dsconv.files.pretrained import fetch


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    yield from serve(monkeypatch)


# Downloads


def test_download(server: Server, tmp_path: Path) -> None:
    folder = tmp_path / "not" / "yet"
    path = fetch(pinned(server.address), folder)
    assert path == str(folder / NAME)
    assert Path(path).read_bytes() == DATA
    assert os.listdir(folder) == [NAME]
    assert server.requests == [f"/{NAME}"]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (give(DATA[:-1]), "ended after 299,999 of 300,000 bytes"),
        (give(DATA[:1000], len(DATA)), "ended after 1,000 of 300,000 bytes"),
        (give(b""), "ended after 0 of"),
        (give(DATA[:-1] + bytes([DATA[-1] ^ 1])), "the file there has the SHA-256 [0-9a-f]{64}"),
        (give(DATA + b"\0"), "larger than 300,000 bytes"),
        (lambda handler: handler.send_error(404), "404"),
        (lambda handler: handler.send_error(503), "503"),
        (lambda handler: handler.wfile.write(b"hello\r\n\r\n"), "broke the protocol"),
        (lambda handler: handler.connection.shutdown(socket.SHUT_RDWR), "failed"),
    ],
    ids=["short", "aborted", "empty", "tampered", "long", "404", "503", "no-http", "closed"],
)
def test_wrong_answers(server: Server, tmp_path: Path, answer: Any, message: str) -> None:
    server.answer = answer
    refused(pinned(server.address), tmp_path, message)
    assert len(server.requests) == 1


def test_chunks_that_end_early(server: Server, tmp_path: Path) -> None:
    def answer(handler: Any) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.write(b"%x\r\n" % len(DATA) + DATA[:5000])

    server.answer = answer
    refused(pinned(server.address), tmp_path, "failed")


def test_no_end_of_bytes(server: Server, tmp_path: Path) -> None:
    """Leave an endless answer as soon as it is longer than the file may be."""
    given_up = threading.Event()

    def answer(handler: Any) -> None:
        handler.send_response(200)
        handler.end_headers()
        try:
            while True:
                handler.wfile.write(bytes(1 << 16))
        except OSError:
            given_up.set()

    server.answer = answer
    refused(pinned(server.address), tmp_path, "larger than 300,000 bytes")
    assert given_up.wait(LIMIT)


def test_a_server_that_falls_silent(server: Server, tmp_path: Path) -> None:
    done = threading.Event()

    def answer(handler: Any) -> None:
        give(DATA[:1000], len(DATA))(handler)
        done.wait(LIMIT)

    server.answer = answer
    try:
        refused(pinned(server.address), tmp_path, "timed out", timeout=0.2)
    finally:
        done.set()


def test_no_server(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        refused(pinned(f"http://127.0.0.1:{port}/{NAME}"), tmp_path, "Connection refused")


def test_no_address(tmp_path: Path) -> None:
    refused(pinned(note="Made by hand"), tmp_path, "Made by hand")


def test_the_next_address(server: Server, tmp_path: Path) -> None:
    """Take the first of several addresses that has the file; tell all failures."""
    answers = {"/a": give(b"wrong"), "/b": give(DATA)}
    server.answer = lambda handler: answers[handler.path](handler)
    first, second = (server.address.replace(NAME, name) for name in "ab")
    assert Path(fetch(pinned(first, second), tmp_path)).read_bytes() == DATA
    (tmp_path / NAME).unlink()
    answers["/b"] = give(b"also wrong")
    refused(pinned(first, second), tmp_path, "/a failed: .* 5 of .*/b failed: .* 10 of ")


def test_a_folder_that_cannot_be_made(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FileNotFoundError, match="failed: .*file"):
        fetch(pinned(server.address), tmp_path / "file" / "folder")
    assert server.requests == []


# Addresses


@pytest.mark.parametrize(
    "address", ["http://example.org/w", "ftp://127.0.0.1/w", "file:///etc/passwd", "data:,w", "w"]
)
def test_only_https(tmp_path: Path, address: str) -> None:
    refused(pinned(address), tmp_path, "only https addresses are allowed")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects(server: Server, tmp_path: Path, status: int) -> None:
    """Follow redirects to https alone, where the server on loopback fails to answer as TLS."""

    def redirect(address: str) -> None:
        def answer(handler: Any) -> None:
            handler.send_response(status)
            handler.send_header("Location", address)
            handler.send_header("Content-Length", "0")
            handler.end_headers()

        server.answer = answer

    for address in (server.address, f"/{NAME}", "ftp://127.0.0.1/w", "file:///etc/passwd"):
        redirect(address)
        refused(pinned(server.address), tmp_path, "redirect|Redirect|FTP|allowed")
        assert len(server.requests) == 1  # the second address is not asked
        server.requests.clear()
    redirect(server.address.replace("http:", "https:"))
    refused(pinned(server.address), tmp_path, "(?i)ssl")


def test_a_proxy(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("http_proxy", server.address)
    beyond = "http://127.0.0.1:1/weights"
    assert Path(fetch(pinned(beyond), tmp_path)).read_bytes() == DATA
    assert server.requests == [beyond]


# Interruptions, several processes


def test_interrupted(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        fetch(pinned(server.address), tmp_path)
    assert_nothing_left(tmp_path)


DOWNLOAD = """
import sys
from dsconv.files.pretrained import PinnedFile, fetch
name, size, sha256, address, folder = sys.argv[1:]
print(fetch(PinnedFile(name, int(size), sha256, (address,), ""), folder))
"""


def process(address: str, folder: Path) -> subprocess.Popen[str]:
    file = pinned(address)
    path = os.pathsep.join([str(Path(dsconv.__file__).parents[1]), *sys.path])
    return subprocess.Popen(
        [sys.executable, "-c", DOWNLOAD, NAME, str(file.size), file.sha256, address, str(folder)],
        env=os.environ | {"PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_two_processes_at_once(server: Server, tmp_path: Path) -> None:
    """Both are in the middle of the file at the same time, and both end with the whole one."""
    together = threading.Barrier(2, timeout=LIMIT)

    def answer(handler: Any) -> None:
        give(DATA[:150_000], len(DATA))(handler)
        handler.wfile.flush()
        together.wait()
        handler.wfile.write(DATA[150_000:])

    server.answer = answer
    processes = [process(server.address, tmp_path) for _ in range(2)]
    for one in processes:
        out, err = one.communicate(timeout=LIMIT)
        assert (one.returncode, out, err) == (0, f"{tmp_path / NAME}\n", "")
    assert len(server.requests) == 2
    assert os.listdir(tmp_path) == [NAME]
    assert (tmp_path / NAME).read_bytes() == DATA


def test_killed_in_the_middle(server: Server, tmp_path: Path) -> None:
    """Check that what a killed process leaves is never taken for the file."""
    half, killed = threading.Event(), threading.Event()

    def answer(handler: Any) -> None:
        give(DATA[:150_000], len(DATA))(handler)
        half.set()
        killed.wait(LIMIT)

    server.answer = answer
    one = process(server.address, tmp_path)
    assert half.wait(LIMIT)
    end = time.monotonic() + LIMIT
    while not os.listdir(tmp_path) and time.monotonic() < end:
        time.sleep(0.01)
    one.kill()
    one.communicate(timeout=LIMIT)
    killed.set()
    assert not (tmp_path / NAME).exists()
    server.answer = give(DATA)
    assert Path(fetch(pinned(server.address), tmp_path)).read_bytes() == DATA


# The bar


def test_bar(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fetch(pinned(server.address), tmp_path)
    assert capsys.readouterr() == ("", "")  # not a terminal
    (tmp_path / NAME).unlink()
    fetch(pinned(server.address), tmp_path, progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"\r{NAME} [....") and "0.0/0.3 MB" in err
    assert err.endswith(" \r") and "\n" not in err
    (tmp_path / NAME).unlink()
    fetch(pinned(server.address), tmp_path, progress=False)
    assert capsys.readouterr() == ("", "")


def test_download_to_a_folder_that_is_not_there(server: Server, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        file = pinned()
        download(server.address, tmp_path / "none" / NAME, file.size, file.sha256)
    assert_nothing_left(tmp_path)
