"""Downloads that have no end by themselves end at their deadline."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from loopback import DATA, Server, pinned, refused, serve
from processes import LIMIT

TOO_LONG = "it took longer than 0.5 seconds"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    yield from serve(monkeypatch)


def drip(send: Callable[[bytes], Any], data: bytes) -> bool:
    """Send a byte now and then until the other side hangs up; return true if it does."""
    end = time.monotonic() + LIMIT
    try:
        while time.monotonic() < end:
            send(data)
            time.sleep(0.05)
    except OSError:
        return True
    return False


@pytest.mark.parametrize("where", ["body", "headers", "status"])
def test_bytes_that_drip(server: Server, tmp_path: Path, where: str) -> None:
    hung_up = threading.Event()

    def answer(handler: Any) -> None:
        if where == "status":
            end = drip(handler.wfile.write, b"HTTP/1.1 100 Continue\r\n\r\n")
        else:
            handler.send_response(200)
            handler.send_header("Content-Length", str(len(DATA)))
            if where == "body":
                handler.end_headers()
            else:
                handler.flush_headers()
            end = drip(handler.wfile.write, b"x")
        if end:
            hung_up.set()

    server.answer = answer
    refused(pinned(server.address), tmp_path, TOO_LONG, timeout=LIMIT, deadline=0.5)
    assert hung_up.wait(LIMIT)


def test_a_handshake_that_drips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the other side of https send the beginning of an endless record."""
    monkeypatch.setenv("no_proxy", "*")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

        def answer() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.sendall(b"\x16\x03\x03\x40\x00")
                drip(connection.sendall, b"\x02")

        thread = threading.Thread(target=answer)
        thread.start()
        address = f"https://127.0.0.1:{port}/file"
        refused(pinned(address), tmp_path, TOO_LONG, timeout=LIMIT, deadline=0.5)
        thread.join(LIMIT)
        assert not thread.is_alive()


def test_a_redirect_with_an_endless_body(server: Server, tmp_path: Path) -> None:
    """Follow it at once: the body is not read, so neither memory nor the deadline is needed."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        sent = []

        def answer(handler: Any) -> None:
            handler.send_response(302)
            handler.send_header("Location", f"https://127.0.0.1:{port}/x")
            handler.end_headers()
            try:
                for _ in range(1000):
                    sent.append(handler.wfile.write(bytes(1 << 20)))
            except OSError:
                pass

        server.answer = answer
        refused(pinned(server.address), tmp_path, "Connection refused", deadline=LIMIT)
    assert len(sent) < 1000
