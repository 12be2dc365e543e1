"""Keras files made to harm: links, data elsewhere, absurd sizes, bombs, strange dtypes."""

from __future__ import annotations

import sys
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

h5py = pytest.importorskip("h5py")

import keras_files  # noqa: E402
from hostile import MEGABYTE, refused  # noqa: E402
from keras_files import Layer, h5  # noqa: E402

from dsconv import weights  # noqa: E402


def array(*shape: int) -> np.ndarray:
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


def small() -> list[Layer]:
    arrays = {"conv1/kernel": array(3, 3, 3, 4), "d/kernel": array(6, 5), "d/bias": array(5)}
    return keras_files.network(arrays)


def soft(file: Any) -> None:
    file["l/b"] = array(2)
    file["l/a"] = h5py.SoftLink("/l/b")


def hard(file: Any) -> None:
    file["l/b"] = array(2)
    file["l/a"] = file["l/b"]


def cycle(file: Any) -> None:
    file["l/m/a"] = array(2)
    file["l/m/l"] = file["l"]


def virtual(file: Any) -> None:
    layout = h5py.VirtualLayout((2,), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "a", (2,))
    file.create_virtual_dataset("l/a", layout)


def compact(file: Any) -> None:
    options = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    options.set_layout(h5py.h5d.COMPACT)
    kind, space = h5py.h5t.NATIVE_FLOAT, h5py.h5s.create_simple((2,))
    h5py.h5d.create(file.create_group("l").id, b"a", kind, space, options)


def dataset(shape: Any, dtype: Any = "f4", **options: Any) -> Any:
    return lambda file: file.create_dataset("l/a", shape, dtype, **options)


def content(value: Any, path: str = "l/a") -> Any:
    return lambda file: file.__setitem__(path, value)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (content(h5py.ExternalLink("/etc/passwd", "/a")), "'l/a' is a soft or external link"),
        (soft, "'l/a' is a soft or external link"),
        (hard, "second link to one object"),
        (cycle, "second link to one object"),
        (dataset((4,), external=[("/etc/passwd", 0, 16)]), "array 'l/a': .* data in another file"),
        (virtual, "virtual or compact"),
        (compact, "virtual or compact"),
        (content(h5py.Empty("f4")), "without a shape"),
        (dataset((10**12,)), "would take 4000000000000 bytes"),
        (dataset((1000, 1000), chunks=(100, 100)), "chunk at .0, 0. is not in the file"),
        (dataset((10**7,), chunks=(1,)), "10000000 chunks in a file"),
        (
            dataset((1,), chunks=(10**8,), maxshape=(None,), compression="gzip"),
            "would take 400000000 bytes",
        ),
        (
            dataset((5 * 10**7,), data=np.zeros(5 * 10**7, "f4"), compression="gzip"),
            "would take 200000000 bytes",
        ),
        (dataset((8,), data=array(8), fletcher32=True), r"filters \[3\]"),
        (content(array(2), "/".join("g" * 40)), "nested 32 deep"),
        (content(np.dtype("f4")), "neither a group nor a dataset"),
        (dataset((2,), h5py.string_dtype()), "integers and floats"),
        (dataset((2,), h5py.vlen_dtype(np.int32)), "integers and floats"),
        (dataset((2,), h5py.ref_dtype), "integers and floats"),
        (dataset((2,), "S4"), "integers and floats"),
        (dataset((2,), "c8"), "integers and floats"),
        (dataset((2,), "?"), "integers and floats"),
        (dataset((2,), [("x", "f4")]), "integers and floats"),
        (dataset((2,), ("f4", (2,))), "integers and floats"),
    ],
)
def test_what_is_refused(write: Any, message: str) -> None:
    refused(h5(write), message)


@pytest.mark.parametrize(
    ("chunk", "message"),
    [
        (zlib.compress(bytes(4 * 10**7)), "a chunk has 401 bytes, not 400"),  # read no further
        (bytes(2**17), "the chunk at .0,. is longer in the file than unpacked"),
        (b"no deflate stream", "deflate"),
        (zlib.compress(bytes(396)), "396 bytes, not 400"),
    ],
    ids=["too much", "too long", "spoilt", "short"],
)
def test_a_chunk_that_does_not_unpack_to_its_size(chunk: bytes, message: str) -> None:
    def write(file: Any) -> None:
        a = file.create_dataset("l/a", (100,), "f4", chunks=(100,), compression="gzip")
        a.id.write_direct_chunk((0,), chunk)

    refused(h5(write), message)


class TestArchive:
    def test_missing_members(self) -> None:
        data = keras_files.keras(small())
        refused(data.replace(b"model.weights.h5", b"model.weights.hX"), "weights.h5 is missing")
        refused(data.replace(b"config.json", b"confix.json"), "config.json is missing")

    @pytest.mark.parametrize(
        ("config", "message"),
        [
            (b"", "malformed JSON"),
            (b"[" * 10**5, "nested too deeply|malformed"),
            (b"[]", "describes no model"),
            (b'{"config": 3}', "describes no model"),
            (b'{"config": {"layers": 3}}', "no list"),
            (b'{"config": {"layers": [3]}}', "without class and name"),
            (b'{"config": {"layers": [{"class_name": "Conv2D"}]}}', "without class and name"),
            (b'{"a": 1, "a": 2}', "'a' is there twice"),
            (b" " * 5 * MEGABYTE, "larger than"),
        ],
    )
    def test_config(self, config: bytes, message: str) -> None:
        refused(keras_files.keras(small(), config=config), f"config.json.*{message}")

    def test_two_layers_of_one_name(self) -> None:
        layers = [Layer("Dense", "dense", {"kernel": array(2)})] * 2
        refused(keras_files.keras(layers), "two arrays are named 'dense/kernel'")

    def test_deflate_bomb(self) -> None:
        data = keras_files.keras(small(), zipfile.ZIP_DEFLATED, weights=bytes(70 * MEGABYTE))
        assert len(data) < MEGABYTE
        refused(data, "would take 734")

    def test_weights_that_are_no_hdf5(self) -> None:
        refused(keras_files.keras(small(), weights=b"PK\x03\x04"), "damaged HDF5")


def test_not_hdf5_behind_its_signature() -> None:
    refused(b"\x89HDF\r\n\x1a\n", "damaged HDF5")
    refused(b"\x89HDF\r\n\x1a\n" + bytes(1000), "damaged HDF5")


def test_without_h5py(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "w.h5"
    path.write_bytes(keras_files.old(small()))
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ImportError, match=r"pip install 'dsconv\[keras\]'"):
        weights.open_weights(path)
