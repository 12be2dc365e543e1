"""A server on loopback, and a pinned file to get from it."""

from __future__ import annotations

import hashlib
import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dsconv.files.pretrained import PinnedFile, fetch

DATA = np.random.default_rng(0).bytes(300_000)
NAME = "weights.bin"


def pinned(*addresses: str, data: bytes = DATA, note: str = "") -> PinnedFile:
    digest = hashlib.sha256(data).hexdigest()
    return PinnedFile(NAME, len(data), digest, addresses, "CC0-1.0", note)


class Server:
    """Answers every request on loopback with `answer`, which is given the handler."""

    def __init__(self) -> None:
        self.answer: Callable[[http.server.BaseHTTPRequestHandler], None] = give(DATA)
        self.requests: list[str] = []
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.requests.append(self.path)
                server.answer(self)

            def log_message(self, *_: Any) -> None:
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.address = f"http://127.0.0.1:{self.http.server_port}/{NAME}"
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.01,))
        self.thread.start()

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


def give(data: bytes, length: int | None = None) -> Callable[[Any], None]:
    """Answer with these bytes; `length` is what the header claims."""

    def answer(handler: Any) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data) if length is None else length))
        handler.end_headers()
        handler.wfile.write(data)

    return answer


def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Yield a server for a fixture, reached without a proxy."""
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "*")
    server = Server()
    yield server
    server.close()


def assert_nothing_left(folder: Path) -> None:
    assert list(folder.iterdir()) == []


def refused(file: PinnedFile, folder: Path, message: str, **options: Any) -> None:
    """Check that no file comes, and that the message says why, and which file to put where."""
    with pytest.raises(FileNotFoundError, match=message) as caught:
        fetch(file, folder, **options)
    text = str(caught.value)
    for part in (str(folder / NAME), file.sha256, f"{file.size:,} bytes", *file.addresses):
        assert part in text
    assert "DSCONV_HOME" in text and "\n" not in text
    assert_nothing_left(folder)
