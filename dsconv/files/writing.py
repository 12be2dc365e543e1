"""Write files that appear whole or not at all. Every file that the package writes is written here.

A new file is written beside the old one, under a name of its own, and renamed at the end. Its
writer holds a lock on it. If the process is killed, the system drops the lock and the part of a
file stays; whoever writes the same file next removes it.

    model.dsconv                    the old file, or nothing
    .model.dsconv.1a2b3c4d.part     the new one, as far as it is written; locked
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from typing import BinaryIO

from dsconv.arguments.files import check_regular

try:
    import fcntl
except ImportError:  # Windows, which lets nobody remove a file that is open
    fcntl = None  # type: ignore[assignment]

__all__ = ["replacing"]

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
_OLD = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)
_MODE = 0o666  # of a new file, less what the umask takes away


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a new file that takes the place of `path` when the block ends without an exception.

    There is the old file or the whole new one, and never a part. The new file has the mode of the
    old one. If `path` is a link, the file behind it is replaced.

    Raises
    ------
    OSError
        If the file cannot be written, or is a folder.
    ValueError
        If `path` is a FIFO, a device or a socket, or a link to one; it is left alone.
    """
    target = os.path.realpath(os.fspath(path))
    mode = None
    with contextlib.suppress(FileNotFoundError):
        status = os.stat(target)
        check_regular(os.fspath(path), status)
        mode = status.st_mode & 0o777
    start = os.path.join(os.path.dirname(target), f".{os.path.basename(target)[:100]}.")
    _remove_left_parts(start)
    temporary, handle = _new_part(start, _MODE if mode is None else mode & _MODE)
    try:
        with open(handle, "wb") as file:
            yield file
            file.flush()
            if mode is not None:
                with contextlib.suppress(OSError):  # some file systems have no modes
                    os.chmod(temporary, mode)
            os.fsync(file.fileno())
            if fcntl is not None:  # Windows renames no open file
                os.replace(temporary, target)
        if fcntl is None:
            os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _new_part(start: str, mode: int) -> tuple[str, int]:
    """Create a part whose name begins with `start`, and lock it; return path and handle."""
    while True:
        path = f"{start}{os.urandom(4).hex()}.part"
        handle = os.open(path, _NEW, mode)
        if fcntl is None:
            return path, handle
        with contextlib.suppress(OSError):  # some network file systems have no locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        if os.fstat(handle).st_nlink:  # else another process removed it before it was locked
            return path, handle
        os.close(handle)


def _remove_left_parts(start: str) -> None:
    """Remove the parts whose names begin with `start` and whose writers are dead."""
    folder, name = os.path.split(start)
    parts = re.compile(re.escape(name) + r"[0-9a-f]{8}\.part")
    with contextlib.suppress(OSError):
        for entry in os.listdir(folder):
            if parts.fullmatch(entry):
                _remove_unless_locked(os.path.join(folder, entry))


def _remove_unless_locked(path: str) -> None:
    with contextlib.suppress(OSError):
        if fcntl is None:
            os.unlink(path)
            return
        handle = os.open(path, _OLD)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(path)
        finally:
            os.close(handle)
