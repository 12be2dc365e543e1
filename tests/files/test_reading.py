"""Files that are none: FIFOs, devices, sockets and folders are refused at once by all readers."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hostile import MEGABYTE, at_most

import dsconv
from dsconv import images, weights
from dsconv.arguments.files import open_file, read_bytes
from dsconv.files.load import load
from dsconv.onnx.reading.model import read_onnx

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no such files")

SUFFIXES = ("dsconv", "onnx", "npz", "safetensors", "pth", "h5", "keras", "")


def special(folder: Path, name: str) -> dict[str, Path]:
    """Make a special file of each kind and a link to it, and say what an error calls it."""
    made = {"a FIFO": folder / f"fifo.{name}", "a socket": folder / f"socket.{name}"}
    os.mkfifo(made["a FIFO"])
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(made["a socket"]))
    device = folder / f"device.{name}"
    device.symlink_to("/dev/zero")
    link = folder / f"link.{name}"
    link.symlink_to(made["a FIFO"])
    return {**made, "a device": device, "a FIFO ": link}


READERS: list[Callable[[Path], Any]] = [
    load,
    weights.read,
    weights.open_weights,
    images.load,
    read_onnx,
    open_file,
    lambda path: read_bytes(path, 100),
]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_special_files(tmp_path: Path, suffix: str) -> None:
    """Refuse them by what they are, where reading would wait or have no end."""
    for what, path in special(tmp_path, suffix).items():
        for read in READERS:
            if read is images.load:
                pytest.importorskip("PIL")
            with pytest.raises(
                ValueError, match=f"must be a regular file, got {what.strip()}"
            ) as e:
                read(path)
            assert str(e.value).startswith(str(path))


def test_folders(tmp_path: Path) -> None:
    for read in READERS:
        with pytest.raises(IsADirectoryError):
            read(tmp_path)


def test_labels(tmp_path: Path) -> None:
    path = tmp_path / "model.npz"
    dsconv.save(dsconv.models.mobilenet_v1(0.25, 32, 5).compile(), path)
    (tmp_path / "long").write_bytes(b"")
    os.truncate(tmp_path / "long", 1 << 40)
    with pytest.raises(ValueError, match="long: 1099511627776 bytes; at most 4194304 are allowed"):
        load(path, labels=tmp_path / "long")
    for what, labels in special(tmp_path, "txt").items():
        with pytest.raises(ValueError, match=f"must be a regular file, got {what.strip()}"):
            load(path, labels=labels)


@pytest.mark.parametrize("name", ["model.onnx", "model"])
@pytest.mark.parametrize(
    "head",
    [b"", b"\x08\x08", b"PK\x03\x04", b"\x89HDF\r\n\x1a\n", b"\xff" * 8, b"dsconv 6 1 1 0 0\n"],
)
def test_sparse_files(tmp_path: Path, name: str, head: bytes) -> None:
    """Refuse a file of 1 TB without reading it into memory."""
    path = tmp_path / name
    path.write_bytes(head)
    os.truncate(path, 1 << 40)
    pytest.importorskip("onnx")
    pytest.importorskip("h5py")
    with at_most(20 * MEGABYTE), pytest.raises(ValueError, match=name):
        load(path)


def test_a_link_to_a_file_is_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("file")
    assert read_bytes(tmp_path / "link", 7) == b"content"
    with pytest.raises(ValueError, match="link: 7 bytes; at most 6 are allowed"):
        read_bytes(tmp_path / "link", 6)
