"""The .safetensors reader and writer: against the safetensors package, and hostile headers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoint_files import some_arrays
from hostile import MEGABYTE, read, refused
from hypothesis import given
from hypothesis import strategies as st

from dsconv import weights
from dsconv.weights.npz import write_npz
from dsconv.weights.safetensors import SafetensorsFile, write_safetensors

NAMES = st.text("abc/._:0é", min_size=1, max_size=8)


def assert_same(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> None:
    """Compare names, shapes, dtypes but for the byte order, and bits."""
    assert set(ours) == set(theirs)
    for name, array in theirs.items():
        native = array.astype(array.dtype.newbyteorder("="))
        assert ours[name].dtype == native.dtype and ours[name].shape == array.shape
        assert ours[name].tobytes() == native.tobytes()


@given(st.dictionaries(NAMES, some_arrays(), max_size=5))
def test_round_trip(tmp_path_factory: Any, arrays: dict[str, np.ndarray]) -> None:
    folder = tmp_path_factory.mktemp("round")
    write_safetensors(folder / "a.safetensors", arrays)
    ours = weights.read(folder / "a.safetensors")
    assert list(ours) == list(arrays)
    assert_same(ours, arrays)
    for array in ours.values():
        assert array.flags.c_contiguous and array.flags.writeable
    if arrays:
        write_npz(folder / "a.npz", arrays)
        ours = weights.read(folder / "a.npz")
        assert list(ours) == list(arrays)
        assert_same(ours, arrays)
        with np.load(folder / "a.npz", allow_pickle=False) as theirs:
            assert_same(dict(theirs), arrays)


@given(st.dictionaries(NAMES, some_arrays(), max_size=5))
def test_their_reader_reads_ours(tmp_path_factory: Any, arrays: dict[str, np.ndarray]) -> None:
    numpy = pytest.importorskip("safetensors.numpy")
    path = tmp_path_factory.mktemp("theirs") / "a.safetensors"
    write_safetensors(path, arrays, {"format": "np", "é": "ü\n"})
    assert_same(numpy.load_file(path), arrays)
    with pytest.importorskip("safetensors").safe_open(path, "np") as file:
        assert file.metadata() == {"format": "np", "é": "ü\n"}


@given(st.dictionaries(NAMES, some_arrays(), max_size=5))
def test_our_reader_reads_theirs(arrays: dict[str, np.ndarray]) -> None:
    numpy = pytest.importorskip("safetensors.numpy")
    native = {n: np.array(a, a.dtype.newbyteorder("="), order="C") for n, a in arrays.items()}
    assert_same(read(numpy.save(native)), native)


def test_bfloat16_is_read_as_float32() -> None:
    values = np.float32([1, -2.5, 3e38, np.inf, 0])  # 3e38 is rounded to a multiple of 2**120
    upper = (values.view(np.uint32) >> 16).astype("<u2")
    header = {"a": {"dtype": "BF16", "shape": [5], "data_offsets": [0, 10]}}
    ours = read(container(header, upper.tobytes()))["a"]
    expected = (upper.astype(np.uint32) << 16).view(np.float32)
    np.testing.assert_array_equal(ours, expected, strict=True)
    np.testing.assert_array_equal(ours[[0, 1, 3, 4]], values[[0, 1, 3, 4]])


def test_order_alignment_and_metadata(tmp_path: Path) -> None:
    """Keep the order of arrays in the header; each begins at a multiple of its element's size."""
    arrays = {
        "a": np.ones(3, np.uint8), "b": np.ones(2), "c": np.ones(1, bool), "d": np.ones(5, "f2")
    }  # fmt: skip
    path = tmp_path / "a.safetensors"
    write_safetensors(path, arrays, {"k": "v"})
    length = int.from_bytes(path.read_bytes()[:8], "little")
    assert (8 + length) % 64 == 0
    header = json.loads(path.read_bytes()[8 : 8 + length])
    assert list(header) == ["__metadata__", "a", "b", "c", "d"]
    for name, array in arrays.items():
        assert header[name]["data_offsets"][0] % array.itemsize == 0
    with weights.open_weights(path) as file:
        assert isinstance(file, SafetensorsFile)
        assert file.metadata == {"k": "v"} and file.names() == list(arrays)


def container(header: Any, data: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def one(**changes: Any) -> dict[str, Any]:
    return {"a": {"dtype": "F32", "shape": [2, 1], "data_offsets": [0, 8]} | changes}


def two(first: list[int], second: list[int]) -> dict[str, Any]:
    return {
        name: {"dtype": "U8", "shape": [end - start], "data_offsets": [start, end]}
        for name, (start, end) in (("a", first), ("b", second))
    }


def test_the_pieces_are_sound_before_they_are_spoilt() -> None:
    assert read(container(one(), bytes(8)))["a"].shape == (2, 1)
    assert len(read(container(two([0, 4], [4, 8]), bytes(8)))) == 2
    assert len(read(container(two([4, 8], [0, 4]), bytes(8)))) == 2
    assert len(read(container(two([0, 0], [0, 8]), bytes(8)))) == 2
    assert len(read(container(two([8, 8], [0, 8]), bytes(8)))) == 2
    assert read(container({})) == {}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (container(b"{}", length=3), "header of 3 bytes in a file of 10"),
        (container(b"{}", length=2**32 - 1), "header of 4294967295 bytes"),
        (container(b"{}", length=2**63), "unknown format"),
        (container(b"{" + b" " * 5 * MEGABYTE), "at most 4194304"),
        (container(b"{"), "malformed JSON"),
        (container(b'{"a": NaN}'), "NaN in JSON"),
        (container(b'{"a": Infinity}'), "Infinity in JSON"),
        (container(b'{"\xff": 1}'), "not UTF-8"),
        (container(b'{"a":' + b"[" * 10**5), "nested too deeply"),
        (container(b'{"a": {"dtype": "U8"}, "a": 1}'), "'a' is there twice"),
        (container(b'{"a": {"dtype": "U8", "dtype": "U8"}}'), "'dtype' is there twice"),
        (container(b'{"a": ' + b"9" * 5000 + b"}"), "integer of 5000 digits"),
        (container({"a": 3}), "array 'a': must be described"),
        (container({"a": {"dtype": "U8"}}), "must be described"),
        (container(one(more=1), bytes(8)), "must be described"),
        (container(one(dtype="F8_E4M3"), bytes(8)), "dtype 'F8_E4M3'; allowed are BOOL"),
        (container(one(dtype=["F32"]), bytes(8)), "dtype of type list"),
        (container(one(dtype="f32"), bytes(8)), "dtype 'f32'"),
        (container(one(shape=[2, -1]), bytes(8)), "from 0 up"),
        (container(one(shape=[2.0, 1]), bytes(8)), "from 0 up"),
        (container(one(shape=[True, 2]), bytes(8)), "from 0 up"),
        (container(one(shape="21"), bytes(8)), "from 0 up"),
        (container(one(shape=[2**62, 2**62]), bytes(8)), "address space"),
        (container(one(shape=[0, 2**63]), bytes(8)), "address space"),
        (container(one(shape=[1] * 33), bytes(8)), "33 dimensions"),
        (container(one(shape=[2**40]), bytes(8)), "takes 4398046511104 bytes, not 8"),
        (container(one(shape=[3]), bytes(8)), "takes 12 bytes, not 8"),
        (container(one(data_offsets=[0]), bytes(8)), "two ascending integers"),
        (container(one(data_offsets=[8, 0]), bytes(8)), "two ascending integers"),
        (container(one(data_offsets=[-8, 0]), bytes(8)), "two ascending integers"),
        (container(one(data_offsets=[0.0, 8]), bytes(8)), "two ascending integers"),
        (container(one(data_offsets=[2**63, 2**63 + 8]), bytes(8)), "behind a hole"),
        (container(one(data_offsets=[1, 9]), bytes(9)), "array 'a' lies behind a hole"),
        (container(one(), bytes(7)), "truncated"),
        (container(one(), bytes(9)), "bytes behind the last array"),
        (container({}, b"x"), "bytes behind the last array"),
        (container(two([0, 5], [4, 8]), bytes(8)), "array 'b' overlaps"),
        (container(two([0, 4], [0, 4]), bytes(4)), "array 'b' overlaps"),
        (container(two([0, 3], [4, 8]), bytes(8)), "array 'b' lies behind a hole"),
        (container({"__metadata__": 3}), "map texts to texts"),
        (container({"__metadata__": {"a": 3}}), "map texts to texts"),
        (container({"__metadata__": None}), "map texts to texts"),
    ],
)
def test_hostile_headers(data: bytes, message: str) -> None:
    refused(data, message)


@pytest.mark.parametrize("write", [write_safetensors, write_npz])
class TestWriters:
    @pytest.mark.parametrize(
        ("arrays", "error", "message"),
        [
            ([1], TypeError, "must map names to arrays, got list"),
            ({1: np.ones(1)}, TypeError, "must be strings, got 1"),
            ({"": np.ones(1)}, ValueError, "not empty"),
            ({"a\0": np.ones(1)}, ValueError, "printable"),
            ({"\ud800": np.ones(1)}, ValueError, "printable"),
            ({"a": [1.0]}, TypeError, "'a' must be an ndarray, got list"),
            ({"a": np.array([None])}, TypeError, "'a' has dtype object"),
            ({"a": np.ones(1, complex)}, TypeError, "'a' has dtype complex"),
            ({"a": np.array(["x"])}, TypeError, "'a' has dtype <U1"),
            ({"a": np.zeros(1, "f4,f4")}, TypeError, "'a' has dtype"),
        ],
    )
    def test_bad_arguments(
        self, tmp_path: Path, write: Any, arrays: Any, error: Any, message: str
    ) -> None:
        with pytest.raises(error, match=message):
            write(tmp_path / "w", arrays)
        assert not list(tmp_path.iterdir())

    def test_names_that_numpy_cannot_take_as_keywords(self, tmp_path: Path, write: Any) -> None:
        arrays = {name: np.ones(2) for name in ("file", "allow_pickle", "a/b.npy", "../c", "/d")}
        write(tmp_path / "w", arrays)
        assert_same(weights.read(tmp_path / "w"), arrays)
        assert [path.name for path in tmp_path.iterdir()] == ["w"]

    def test_views_and_read_only_arrays(self, tmp_path: Path, write: Any) -> None:
        base = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
        arrays = {"t": base.transpose(2, 0, 1), "f": np.asfortranarray(base), "s": base[:, ::-2]}
        for array in arrays.values():
            array.flags.writeable = False
        write(tmp_path / "w", arrays)
        assert_same(weights.read(tmp_path / "w"), arrays)

    def test_same_arrays_same_bytes(self, tmp_path: Path, write: Any) -> None:
        for name in "ab":
            write(tmp_path / name, {"x": np.arange(5), "y": np.ones((2, 2), np.float32)})
        assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()

    def test_an_old_file_is_replaced_or_stays(self, tmp_path: Path, write: Any) -> None:
        path = tmp_path / "w"
        write(path, {"a": np.ones(3)})
        with pytest.raises(TypeError):
            write(path, {"a": np.array([None])})
        assert weights.read(path)["a"].sum() == 3
        write(path, {"a": np.ones(5)})
        assert weights.read(path)["a"].sum() == 5
        assert list(tmp_path.iterdir()) == [path]

    def test_through_a_link(self, tmp_path: Path, write: Any) -> None:
        (tmp_path / "w").symlink_to(tmp_path / "real")
        write(tmp_path / "w", {"a": np.ones(3)})
        assert (tmp_path / "w").is_symlink() and not (tmp_path / "real").is_symlink()

    def test_no_folder(self, tmp_path: Path, write: Any) -> None:
        with pytest.raises(FileNotFoundError):
            write(tmp_path / "no" / "w", {"a": np.ones(3)})

    def test_a_folder_in_the_place(self, tmp_path: Path, write: Any) -> None:
        (tmp_path / "w").mkdir()
        with pytest.raises(OSError):
            write(tmp_path / "w", {"a": np.ones(3)})
        assert [path.name for path in tmp_path.iterdir()] == ["w"]


def test_metadata_that_are_no_texts(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="map texts to texts"):
        write_safetensors(tmp_path / "w", {}, {"a": 1})  # type: ignore[dict-item]
    with pytest.raises(ValueError, match="__metadata__"):
        write_safetensors(tmp_path / "w", {"__metadata__": np.ones(1)})
    with pytest.raises(ValueError, match="header would have"):
        write_safetensors(tmp_path / "w", {}, {"a": "x" * 5 * MEGABYTE})
    assert not list(tmp_path.iterdir())


def test_a_file_cut_off_after_it_was_opened(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    write_safetensors(path, {"a": np.ones(99_999)})
    with weights.open_weights(path) as file:
        path.write_bytes(path.read_bytes()[:1000])
        with pytest.raises(ValueError, match=r"w\.safetensors: array 'a': .*truncated"):
            file.read("a")
