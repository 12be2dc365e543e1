"""Damaged weight files of every format: a ValueError that names the file, or arrays as declared.

Real small files are changed at random: bits, sizes, places swapped, parts cut out. Changes of what
an array holds may pass where a format has no checksum; then every array still is what it declares.
`python -m tools.torture` does the same for longer.
"""

from __future__ import annotations

import contextlib
import importlib.util
import tempfile
from functools import cache
from pathlib import Path
from random import Random

import pytest
from damage import damaged
from file_formats import FORMATS, read_weights
from hostile import MEGABYTE, at_most
from hypothesis import given
from hypothesis import strategies as st

WEIGHTS = ("npz", "safetensors", "pth", "keras")


@cache
def sound(kind: str) -> list[bytes]:
    if kind == "keras" and not importlib.util.find_spec("h5py"):
        pytest.skip("h5py is not installed")
    return FORMATS[kind].sound()


def read(data: bytes) -> int:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights"
        path.write_bytes(data)
        return read_weights(path)


@pytest.mark.parametrize("kind", WEIGHTS)
@given(random=st.randoms(use_true_random=False), number=st.integers(0, 3))
def test_damaged_files(kind: str, random: Random, number: int) -> None:
    files = sound(kind)
    data = files[number % len(files)]
    assert read(data) >= 252
    # It may unpack to 64 MB, and the reader holds it about once.
    with at_most(70 * MEGABYTE), contextlib.suppress(ValueError):
        read(damaged(data, random))


@pytest.mark.parametrize("head", [b"PK\x03\x04", b"\x89HDF\r\n\x1a\n", b"\x08\0\0\0\0\0\0\0{", b""])
@given(tail=st.binary(max_size=200))
def test_any_bytes_behind_a_signature(head: bytes, tail: bytes) -> None:
    if head.startswith(b"\x89HDF") and not importlib.util.find_spec("h5py"):
        pytest.skip("h5py is not installed")
    with contextlib.suppress(ValueError):
        read(head + tail)
