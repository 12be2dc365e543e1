"""Download a file of known size and SHA-256, whole or not at all."""

from __future__ import annotations

import hashlib
import http.client
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from dsconv.files.deadline import Deadline
from dsconv.files.writing import replacing
from dsconv.text.terminal import Progress

_CHUNK = 1 << 16  # bytes
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def download(
    address: str,
    path: Path,
    size: int,
    sha256: str,
    *,
    progress: bool | None = None,
    timeout: float = 30.0,
    deadline: float = 3600.0,
) -> None:
    """Download `address` to `path`.

    The file appears whole or not at all, once it has the right length and hash; several processes
    may download it at once. No more than `size` bytes are kept, and none of an answer that only
    redirects. Proxies are those of the environment.

    Parameters
    ----------
    address
        https, or http on this machine itself; it may redirect to https alone.
    path
        Where to put the file; the folder exists.
    size, sha256
        Bytes of the file, and 64 lowercase hexadecimal digits.
    progress
        Show a bar on stderr; None: if stderr is a terminal.
    timeout
        Seconds without a byte after which the server counts as dead.
    deadline
        Seconds after which the download is given up, whatever arrives. (Looking up the server's
        name has the time limit of the system instead.)

    Raises
    ------
    OSError
        If the address cannot be reached or answers with an error, or the file cannot be written.
    ValueError
        If another file comes, or the address is not allowed.
    """
    _check(address)
    request = urllib.request.Request(address, headers={"User-Agent": "dsconv"})
    try:
        with Deadline(deadline) as limit:
            opener = urllib.request.build_opener(_OnlyToHttps, *limit.handlers())
            with (
                opener.open(request, timeout=timeout) as response,
                replacing(path) as file,
                Progress(path.name, size, "MB", progress) as bar,
            ):
                digest = hashlib.sha256()
                done = 0
                while chunk := response.read1(min(_CHUNK, size + 1 - done)):
                    done += len(chunk)
                    if done > size:
                        raise ValueError(f"the file there is larger than {size:,} bytes")
                    digest.update(chunk)
                    file.write(chunk)
                    bar.update(done)
                if done < size:
                    raise ValueError(f"it ended after {done:,} of {size:,} bytes")
                if digest.hexdigest() != sha256:
                    raise ValueError(f"the file there has the SHA-256 {digest.hexdigest()}")
    except http.client.HTTPException as error:
        raise OSError(f"the server broke the protocol: {error!r}") from error


def _check(address: str) -> None:
    """Raise ValueError for an address that is neither https nor http on this machine."""
    parts = urllib.parse.urlsplit(address)
    local = parts.scheme == "http" and parts.hostname in _LOOPBACK
    if parts.scheme != "https" and not local:
        raise ValueError("only https addresses are allowed")


class _OnlyToHttps(urllib.request.HTTPRedirectHandler):
    """Follow redirects to https only, also from http, without reading what else they answer."""

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        fp.close()  # else urllib reads the whole answer before it follows
        if urllib.parse.urlsplit(newurl).scheme != "https":
            raise ValueError(f"it redirects to {newurl!r}, and only https addresses are allowed")
        return super().redirect_request(req, fp, code, msg, headers, newurl)
