"""`SafetensorsFile.reading`: all arrays at once, while another thread reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from test_safetensors import assert_same, container

from dsconv.weights.safetensors import SafetensorsFile, write_safetensors

DTYPES = ["<f4", "<f8", "<f2", "<i8", "<i4", "<i2", "i1", "<u8", "<u4", "<u2", "u1", "?"]
LONG = 2 << 20  # floats: more than a page, a buffer or a cache


@st.composite
def some_arrays(draw: Any) -> np.ndarray:
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5))
    return draw(hnp.arrays(np.dtype(draw(st.sampled_from(DTYPES))), shape))


def read_at_once(path: Path) -> dict[str, np.ndarray]:
    with SafetensorsFile(path) as file:
        with file.reading() as arrays:
            assert [(n, a.shape, a.dtype) for n, a in arrays.items()] == [
                (name, file.shape(name), file.dtype(name)) for name in file.names()
            ]
        return arrays


@given(content=st.lists(some_arrays(), max_size=6))
def test_content(tmp_path: Path, content: list[np.ndarray]) -> None:
    """Every dtype, also for no array, for empty ones, and again from the same file."""
    path = tmp_path / "a.safetensors"
    write_safetensors(path, {f"a{i}": array for i, array in enumerate(content)})
    with SafetensorsFile(path) as file:
        expected = file.read_all()
        for _ in range(2):
            with file.reading() as arrays:
                assert list(arrays) == list(expected)
            assert_same(arrays, expected)
    for array in arrays.values():
        assert array.flags.c_contiguous and array.flags.aligned and not array.flags.writeable
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


def test_a_long_file(tmp_path: Path) -> None:
    """Its content is complete once the block has ended; it stays when the file goes."""
    path = tmp_path / "a.safetensors"
    expected = {name: np.arange(LONG, dtype=np.float32) + i for i, name in enumerate("ab")}
    write_safetensors(path, expected)
    arrays = read_at_once(path)
    path.write_bytes(b"")
    assert_same(arrays, expected)
    assert arrays["a"].ctypes.data % 64 == 0
    assert arrays["b"].ctypes.data - arrays["a"].ctypes.data == 4 * LONG


@pytest.mark.parametrize("shape", [[], [2], [0]])
def test_bfloat16(tmp_path: Path, shape: list[int]) -> None:
    """It would have to be converted."""
    size = 2 * int(np.prod(shape))
    header = {"a": {"dtype": "BF16", "shape": shape, "data_offsets": [0, size]}}
    (tmp_path / "a.safetensors").write_bytes(container(header, bytes(size)))
    with SafetensorsFile(tmp_path / "a.safetensors") as file:
        assert file.read("a").dtype == np.float32
        with pytest.raises(ValueError, match="a.safetensors: "), file.reading():
            raise AssertionError("the block must not be entered")


@pytest.mark.parametrize("start", [1, 2, 3, 4])
def test_arrays_that_lie_askew(tmp_path: Path, start: int) -> None:
    """Wherever the header ends: only the distance from the first array counts."""
    header = {
        "a": {"dtype": "U8", "shape": [start], "data_offsets": [0, start]},
        "b": {"dtype": "F32", "shape": [2], "data_offsets": [start, start + 8]},
    }
    for spaces in range(4):
        text = json.dumps(header).encode() + b" " * spaces
        data = bytes(start) + np.float32([1, 2]).tobytes()
        path = tmp_path / "a.safetensors"
        path.write_bytes(container(text, data))
        if start % 4 == 0:
            assert read_at_once(path)["b"].tolist() == [1, 2]
            continue
        with SafetensorsFile(path) as file:
            assert file.read("b").tolist() == [1, 2]
            with pytest.raises(ValueError, match="a.safetensors: arrays must begin at multiples"):
                with file.reading():
                    raise AssertionError("the block must not be entered")


@pytest.mark.parametrize("error", [KeyError("a"), ValueError("b"), KeyboardInterrupt()])
def test_errors_in_the_block(tmp_path: Path, error: BaseException) -> None:
    """They come out as they are; then the file can be read again, and closed."""
    path = tmp_path / "a.safetensors"
    write_safetensors(path, {"a": np.ones(LONG, np.float32)})
    file = SafetensorsFile(path)
    with pytest.raises(type(error)) as raised, file.reading():
        raise error
    assert raised.value is error
    with file.reading() as arrays:
        pass
    assert (arrays["a"] == 1).all() and (file.read("a") == 1).all()
    file.close()


@pytest.mark.parametrize("left", [0, 1, 4, 4 * LONG - 1])
def test_truncated_after_it_was_opened(tmp_path: Path, left: int) -> None:
    path = tmp_path / "a.safetensors"
    write_safetensors(path, {"a": np.ones(LONG, np.float32)})
    with SafetensorsFile(path) as file:
        with open(path, "r+b") as other:
            other.truncate(file.file_bytes - 4 * LONG + left)
        with pytest.raises(ValueError, match="a.safetensors: the file is truncated"):
            with file.reading():
                pass
        error = KeyError("of the block")
        with pytest.raises(KeyError) as raised, file.reading():
            raise error
        assert raised.value is error


def test_a_closed_file(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    write_safetensors(path, {"a": np.ones(3, np.float32)})
    file = SafetensorsFile(path)
    file.close()
    with pytest.raises(ValueError, match="closed"), file.reading():
        pass
