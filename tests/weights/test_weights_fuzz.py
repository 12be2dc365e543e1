"""Damaged weight files of every format: a ValueError that names the file, or arrays as declared.

Real small files are changed at random: bits, sizes, places swapped, parts cut out. Changes of what
an array holds may pass where a format has no checksum; then every array still is what it declares.
"""

from __future__ import annotations

import importlib.util
import tempfile
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch_files
from checkpoint_files import npz
from hostile import MEGABYTE, at_most
from hypothesis import given
from hypothesis import strategies as st

from dsconv import weights
from dsconv.weights.safetensors import write_safetensors

ARRAYS = {
    "conv1/kernel": np.arange(54, dtype=np.float32).reshape(3, 3, 3, 2),
    "conv1_bn/gamma": np.ones(2, np.float32),
    "conv1_bn/beta": np.zeros(2, np.float32),
    "predictions/bias": np.arange(5, dtype=np.float32),
}


def _safetensors() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        write_safetensors(Path(folder) / "w", ARRAYS, {"format": "np"})
        return (Path(folder) / "w").read_bytes()


def _keras(kind: str) -> bytes:
    import keras_files

    return getattr(keras_files, kind)(keras_files.network(ARRAYS))


def _chunked() -> bytes:
    import keras_files

    def write(file: Any) -> None:
        for i in range(12):
            values = np.arange(63, dtype=np.float32).reshape(7, 9) * i
            file.create_dataset(f"l{i}/a", data=values, chunks=(3, 4), compression="gzip")

    return keras_files.h5(write, libver="earliest")  # has no checksums


def _tensors() -> dict[str, Any]:
    return {n: torch_files.full("Float", str(i), a) for i, (n, a) in enumerate(ARRAYS.items())}


FILES: dict[str, Callable[[], bytes]] = {
    "npz": lambda: npz(ARRAYS),
    "safetensors": _safetensors,
    "legacy pth": lambda: torch_files.legacy(_tensors()),
    "zip pth": lambda: torch_files.zipped(_tensors(), compression=zipfile.ZIP_DEFLATED),
    "old h5": lambda: _keras("old"),
    "new h5": lambda: _keras("new"),
    "keras": lambda: _keras("keras"),
    "chunked h5": _chunked,
}
NUMBERS = [0, 1, 8, 255, 2**16 - 1, 2**31 - 1, 2**32 - 1, 2**63 - 1, 2**64 - 1]


@cache
def sound(kind: str) -> bytes:
    return FILES[kind]()


@st.composite
def damaged(draw: Any, data: bytes) -> bytes:
    out = bytearray(data)
    for _ in range(draw(st.integers(1, 4))):
        if not out:
            break
        at = draw(st.integers(0, len(out) - 1))
        match draw(st.sampled_from(["bit", "byte", "number", "copy", "cut", "insert", "truncate"])):
            case "bit":
                out[at] ^= 1 << draw(st.integers(0, 7))
            case "byte":
                out[at] = draw(st.integers(0, 255))
            case "number":
                size = draw(st.sampled_from([2, 4, 8]))
                number = draw(st.sampled_from(NUMBERS) | st.integers(0, len(data)))
                out[at : at + size] = (number % 256**size).to_bytes(size, "little")
            case "copy":
                start, size = draw(st.integers(0, len(out) - 1)), draw(st.sampled_from([4, 8, 40]))
                out[at : at + size] = out[start : start + size]
            case "cut":
                del out[at : at + draw(st.sampled_from([1, 8, 64]))]
            case "insert":
                out[at:at] = draw(st.binary(min_size=1, max_size=8))
            case "truncate":
                del out[at:]
    return bytes(out)


def read(data: bytes) -> int:
    """Return the bytes of all arrays; 0 where the file is refused."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights"
        path.write_bytes(data)
        try:
            with weights.open_weights(path) as file:
                arrays = file.read_all()
                for name, array in arrays.items():
                    assert array.shape == file.shape(name) and array.dtype == file.dtype(name)
        except ValueError as error:
            assert str(error).startswith(str(path))
            return 0
        return sum(array.nbytes for array in arrays.values())


@pytest.mark.parametrize("kind", FILES)
@given(data=st.data())
def test_damaged_files(kind: str, data: Any) -> None:
    if ("h5" in kind or kind == "keras") and not importlib.util.find_spec("h5py"):
        pytest.skip("h5py is not installed")
    assert read(sound(kind)) >= 252
    content = data.draw(damaged(sound(kind)))
    with at_most(70 * MEGABYTE):  # it may unpack to 64 MB, and the reader holds it about once
        read(content)


@pytest.mark.parametrize("head", [b"PK\x03\x04", b"\x89HDF\r\n\x1a\n", b"\x08\0\0\0\0\0\0\0{", b""])
@given(tail=st.binary(max_size=200))
def test_any_bytes_behind_a_signature(head: bytes, tail: bytes) -> None:
    if head.startswith(b"\x89HDF") and not importlib.util.find_spec("h5py"):
        pytest.skip("h5py is not installed")
    read(head + tail)
