"""Arrays read straight into memory of the caller: what `read` gives, in every format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch_files as torch
from hypothesis import given
from hypothesis import strategies as st
from test_safetensors import container
from test_weights import arrays, npz, view

from dsconv.weights import open_weights
from dsconv.weights.safetensors import write_safetensors


def assert_reads_into(path: Path, expected: dict[str, np.ndarray]) -> None:
    """Each array on its own, between bytes that stay as they are."""
    with open_weights(path) as file:
        assert file.names() == list(expected)
        for name, array in expected.items():
            memory = np.full(array.nbytes + 128, 0xA5, np.uint8)
            room = memory[64 : 64 + array.nbytes]
            file.read_into(name, room.view(array.dtype).reshape(array.shape))
            assert room.tobytes() == array.tobytes() == file.read(name).tobytes()
            assert (memory[:64] == 0xA5).all() and (memory[64 + array.nbytes :] == 0xA5).all()


def native(array: np.ndarray) -> np.ndarray:
    return np.array(array, array.dtype.newbyteorder("="), order="C")


@given(st.lists(arrays(), max_size=3), st.booleans(), st.booleans())
def test_npz(tmp_path: Path, content: list[np.ndarray], compressed: bool, fortran: bool) -> None:
    """Also in Fortran order and big-endian, compressed or not."""
    named = {f"a{i}": np.array(a, order="F" if fortran else "C") for i, a in enumerate(content)}
    (tmp_path / "a.npz").write_bytes(npz(named, compressed))
    assert_reads_into(tmp_path / "a.npz", {name: native(a) for name, a in named.items()})


@given(st.lists(arrays(), max_size=3))
def test_safetensors(tmp_path: Path, content: list[np.ndarray]) -> None:
    named = {f"a{i}": native(a) for i, a in enumerate(content)}
    write_safetensors(tmp_path / "a.safetensors", named)
    assert_reads_into(tmp_path / "a.safetensors", named)


@given(st.data(), st.sampled_from([torch.legacy, torch.zipped]))
def test_pth(tmp_path: Path, data: st.DataObject, write: Any) -> None:
    """Also views of a storage, and bfloat16."""
    root, expected = {}, {}
    for i in range(data.draw(st.integers(1, 3))):
        kind, flat, offset, shape, strides, expected[f"{i}"] = view(data.draw)
        root[f"{i}"] = torch.tensor(torch.Storage(kind, f"{i}", flat), offset, shape, strides)
    (tmp_path / "a.pth").write_bytes(write(root))
    assert_reads_into(tmp_path / "a.pth", expected)


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", "<f2", ">i4"])
@pytest.mark.parametrize("options", [{}, {"chunks": (3, 4, 2)}, {"chunks": True, "shuffle": True}])
@pytest.mark.parametrize("compression", [None, "gzip"])
def test_h5(tmp_path: Path, dtype: str, options: dict[str, Any], compression: str | None) -> None:
    h5py = pytest.importorskip("h5py", reason="h5py is not installed")
    values = np.arange(7 * 5 * 3).astype(dtype).reshape(7, 5, 3)
    if compression:
        options = {**options, "compression": compression}
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("l/a", data=values, **options)
    assert_reads_into(tmp_path / "a.h5", {"l/a": native(values)})


def test_bfloat16(tmp_path: Path) -> None:
    upper = np.arange(0x3F80, 0x3F86, dtype="<u2")  # from 1 up, by 2**-7
    header = {"a": {"dtype": "BF16", "shape": [2, 3], "data_offsets": [0, 12]}}
    (tmp_path / "a.safetensors").write_bytes(container(header, upper.tobytes()))
    expected = np.float32([[0, 1, 2], [3, 4, 5]]) / 128 + 1
    assert_reads_into(tmp_path / "a.safetensors", {"a": expected})


@pytest.mark.parametrize("suffix", ["npz", "safetensors"])
def test_other_shapes_and_dtypes(tmp_path: Path, suffix: str) -> None:
    """Refused, and nothing is written."""
    path = tmp_path / f"a.{suffix}"
    content = {"a": np.ones((2, 3), np.float32)}
    if suffix == "npz":
        path.write_bytes(npz(content))
    else:
        write_safetensors(path, content)
    with open_weights(path) as file:
        for out in (
            np.zeros((3, 2), np.float32), np.zeros(6, np.float32), np.zeros((2, 4), np.float32),
            np.zeros((2, 3)), np.zeros((2, 3), np.int32), np.zeros((2, 3), ">f4"),
            np.zeros((2, 3), np.uint8),
        ):  # fmt: skip
            with pytest.raises(ValueError, match=f"a.{suffix}: array 'a' of shape .* does not fit"):
                file.read_into("a", out)
            assert not out.any()
        with pytest.raises(ValueError, match=f"a.{suffix}: no array is named 'b'"):
            file.read_into("b", np.zeros((2, 3), np.float32))
