"""Find trained weights by name: in the user's cache, or downloaded from their publisher.

Each file is pinned by its size and SHA-256, and no file is used before it has them. They are
checked every time that a path is asked for, not once after the download, so that a file that was
changed later is noticed as well: that costs about 10 ms for 14 MB.

The cache is the folder that the environment variable DSCONV_HOME names, else `dsconv` in the user's
folder for caches. Files put there by hand count like downloaded ones.
"""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path
from typing import NamedTuple

from dsconv.arguments.files import open_file

__all__ = ["PINNED", "PinnedFile", "fetch", "home", "names", "path_of"]


class PinnedFile(NamedTuple):
    """Describe a file that is known to the last bit."""

    name: str  # in the cache
    size: int  # bytes
    sha256: str
    addresses: tuple[str, ...]  # at its publisher, tried in this order; () if it is not published
    licence: str
    note: str = ""  # says where such a file comes from


# torchvision names its files after the first eight digits of their SHA-256.
PINNED = {
    "mobilenet_v1": PinnedFile(
        "mobilenet_v1_1.0_224_google_slim.npz",
        17_064_558,
        "8190387b69002fa1430d7d6ff9c53dd09d5734e8636becd51b66e48a56d835e5",
        (),
        "Apache-2.0",
        "this file cannot be downloaded: Google publishes the network as a TensorFlow checkpoint "
        "alone (mobilenet_v1_2018_08_02/mobilenet_v1_1.0_224.tgz), and the file is a conversion of "
        "it to an .npz of arrays under their TF-slim names; save the arrays of the checkpoint with "
        "numpy.savez and give dsconv.load the path of that file",
    ),
    "mobilenet_v2": PinnedFile(
        "mobilenet_v2-b0353104.pth",
        14_212_972,
        "b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889",
        ("https://download.pytorch.org/models/mobilenet_v2-b0353104.pth",),
        "BSD-3-Clause",
    ),
}


def names() -> tuple[str, ...]:
    """Return the names of all pretrained networks that can be downloaded."""
    return tuple(name for name, file in PINNED.items() if file.addresses)


def path_of(name: str, *, progress: bool | None = None) -> str:
    """Return the path of a pretrained network's weight file; download it if it is not there.

    Parameters
    ----------
    name
        One of `names()`, or "mobilenet_v1" if its file was put into the cache by hand.
    progress
        Show a bar on stderr while downloading; None: where stderr is a terminal.

    Returns
    -------
    str
        A file in `home()` with the pinned size and SHA-256.

    Raises
    ------
    FileNotFoundError
        If the file is not there and cannot be downloaded; says which file to put where.
    ValueError
        If the name is unknown, or another file has the file's name. That one is left alone.
    """
    if not isinstance(name, str):
        raise TypeError(f"name must be a string, got {type(name).__name__}")
    if name not in PINNED:
        known = ", ".join(names())
        raise ValueError(f"there are no pretrained weights {name!r}; known are {known}")
    return fetch(PINNED[name], home(), progress=progress)


def home() -> Path:
    """Return the folder of the cache, which need not exist."""
    try:
        if folder := os.environ.get("DSCONV_HOME"):
            return Path(folder).expanduser().absolute()
        return Path(_caches()).expanduser() / "dsconv"
    except RuntimeError as error:
        raise FileNotFoundError(
            f"no folder for pretrained weights: {error} Set DSCONV_HOME to one"
        ) from error


def _caches() -> str:
    """Return the user's folder for caches on this platform."""
    if sys.platform == "win32":
        return os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    if sys.platform == "darwin":
        return "~/Library/Caches"
    caches = os.environ.get("XDG_CACHE_HOME", "")
    return (
        caches if os.path.isabs(caches) else "~/.cache"
    )  # the standard says to ignore relative ones


def fetch(
    file: PinnedFile,
    folder: str | os.PathLike[str],
    *,
    progress: bool | None = None,
    timeout: float = 30.0,
    deadline: float = 3600.0,
) -> str:
    """Return the path of a pinned file in a folder; download it if it is not there, as `path_of`.

    A server counts as dead after `timeout` seconds without a byte, and no download takes longer
    than `deadline` seconds.
    """
    path = Path(folder) / file.name
    if path.exists():
        _verify(path, file)
        return str(path)
    failures = []
    for address in file.addresses:
        from dsconv.files.download import download  # with half of the standard library

        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            download(
                address,
                path,
                file.size,
                file.sha256,
                progress=progress,
                timeout=timeout,
                deadline=deadline,
            )
            return str(path)
        except (OSError, ValueError) as error:
            failures.append(f"download from {address} failed: {error}")
    raise FileNotFoundError(
        "; ".join(
            [
                f"{file.name} is not in the folder {path.parent} (DSCONV_HOME names another)",
                *failures,
                f"put the file there as {path}: {file.size:,} bytes, SHA-256 {file.sha256}",
                *([file.note] if file.note else []),
            ]
        )
    )


def _verify(path: Path, file: PinnedFile) -> None:
    """Raise ValueError unless the file has the pinned size and hash."""
    size = path.stat().st_size
    if size != file.size:
        found = f"{size:,} bytes instead of {file.size:,}"
    else:
        with open_file(path) as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
        if digest == file.sha256:
            return
        found = f"SHA-256 {digest} instead of {file.sha256}"
    remedy = "delete it, and it is downloaded" if file.addresses else "replace it"
    raise ValueError(f"{path}: not the file that is pinned under this name: {found}; {remedy}")
