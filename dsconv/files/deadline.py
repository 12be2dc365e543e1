"""End connections that take too long altogether, however often a byte arrives."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import urllib.request
from types import TracebackType
from typing import Any, Self


class Deadline:
    """Within its block, end all connections once so many seconds have passed.

    A timeout of a socket counts silence alone, so a server that sends a byte now and then could
    hold its caller for ever. A look at the clock between two reads does not help while headers are read.
    So a timer shuts the connections down, and whatever waits for one of them goes on with an error.

    Raises
    ------
    TimeoutError
        At the end of a block that failed after its time was over.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._over = False
        self._lock = threading.Lock()
        self._connections: list[socket.socket] = []  # duplicates, which nobody else closes
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True

    def connect(self, *arguments: Any, **options: Any) -> socket.socket:
        """Connect as `socket.create_connection` does."""
        connection = socket.create_connection(*arguments, **options)
        with self._lock:
            self._connections.append(connection.dup())
            if self._over:
                connection.shutdown(socket.SHUT_RDWR)
        return connection

    def handlers(self) -> list[urllib.request.BaseHandler]:
        """Return handlers of http and https for urllib whose connections end in time."""
        connect = self.connect

        class Watched(urllib.request.AbstractHTTPHandler):
            def do_open(
                self, http_class: Any, req: urllib.request.Request, **options: Any
            ) -> http.client.HTTPResponse:
                def connection(*arguments: Any, **more: Any) -> http.client.HTTPConnection:
                    made: http.client.HTTPConnection = http_class(*arguments, **more)
                    made._create_connection = connect  # type: ignore[attr-defined]
                    return made

                return super().do_open(connection, req, **options)  # type: ignore[arg-type]

        class Http(Watched, urllib.request.HTTPHandler):
            pass

        class Https(Watched, urllib.request.HTTPSHandler):
            pass

        return [Http(), Https()]

    def _end(self) -> None:
        with self._lock:
            self._over = True
            for connection in self._connections:
                with contextlib.suppress(OSError):  # the other side was faster
                    connection.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._timer.cancel()
        with self._lock:
            for connection in self._connections:
                connection.close()
            self._connections.clear()
        if self._over and isinstance(error, Exception):
            raise TimeoutError(f"it took longer than {self._seconds:g} seconds") from error
