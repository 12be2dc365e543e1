"""Open files for reading. Every file that a caller names is opened here, and only regular ones.

A FIFO would wait for a writer, a device may be endless, and opening one may have effects.
"""

from __future__ import annotations

import errno
import os
import stat
from io import BufferedReader

__all__ = ["check_regular", "open_file", "read_bytes"]

# If a FIFO takes the place of the file at the last moment, opening it does not wait either.
_NO_WAIT = getattr(os, "O_NONBLOCK", 0)
_KINDS = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


def open_file(path: str | os.PathLike[str]) -> BufferedReader:
    """Open a regular file for reading, or a link to one.

    Raises
    ------
    OSError
        If there is no such file, it may not be read, or it is a folder.
    ValueError
        If it is a FIFO, a device or a socket. It is refused at once.
    """
    name = os.fspath(path)
    check_regular(name, os.stat(name))
    return open(name, "rb", opener=_opener)


def read_bytes(path: str | os.PathLike[str], most: int) -> bytes:
    """Return the content of a regular file of at most `most` bytes.

    Raises
    ------
    OSError, ValueError
        See `open_file`; ValueError also for a longer file, of which nothing is read.
    """
    with open_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > most:
            raise ValueError(f"{os.fspath(path)}: {size} bytes; at most {most} are allowed")
        return file.read(size)


def check_regular(path: str, status: os.stat_result) -> None:
    """Raise IsADirectoryError or ValueError unless this is the status of a regular file."""
    kind = stat.S_IFMT(status.st_mode)
    if kind == stat.S_IFDIR:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if kind != stat.S_IFREG:
        raise ValueError(
            f"{path}: must be a regular file, got {_KINDS.get(kind, 'a special file')}"
        )


def _opener(path: str, flags: int) -> int:
    handle = os.open(path, flags | _NO_WAIT)
    try:
        check_regular(path, os.fstat(handle))
    except BaseException:
        os.close(handle)
        raise
    return handle
