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
    arrays = {"kernel": array(6, 5), "bias": array(5)}
    return [Layer("Conv2D", "conv1", {"kernel": array(3, 3, 3, 4)}), Layer("Dense", "d", arrays)]


def external(file: Any) -> None:
    file["l/a"] = h5py.ExternalLink("/etc/passwd", "/a")


def soft(file: Any) -> None:
    file["l/b"] = array(2)
    file["l/a"] = h5py.SoftLink("/l/b")


def hard(file: Any) -> None:
    file["l/b"] = array(2)
    file["l/a"] = file["l/b"]


def cycle(file: Any) -> None:
    file["l/m/a"] = array(2)
    file["l/m/l"] = file["l"]


def data_elsewhere(file: Any) -> None:
    file.create_dataset("l/a", (4,), "f4", external=[("/etc/passwd", 0, 16)])


def virtual(file: Any) -> None:
    layout = h5py.VirtualLayout((2,), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "a", (2,))
    file.create_virtual_dataset("l/a", layout)


def compact(file: Any) -> None:
    options = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    options.set_layout(h5py.h5d.COMPACT)
    kind, space = h5py.h5t.NATIVE_FLOAT, h5py.h5s.create_simple((2,))
    h5py.h5d.create(file.create_group("l").id, b"a", kind, space, options)


def without_shape(file: Any) -> None:
    file["l/a"] = h5py.Empty("f4")


def never_written(file: Any) -> None:
    file.create_dataset("l/a", (10**12,), "f4")


def chunks_never_written(file: Any) -> None:
    file.create_dataset("l/a", (1000, 1000), "f4", chunks=(100, 100))


def endless_chunks(file: Any) -> None:
    file.create_dataset("l/a", (10**7,), "f4", chunks=(1,))


def huge_chunk(file: Any) -> None:
    file.create_dataset("l/a", (1,), "f4", chunks=(10**8,), maxshape=(None,), compression="gzip")


def bomb(file: Any) -> None:
    file.create_dataset("l/a", data=np.zeros(5 * 10**7, "f4"), compression="gzip")


def foreign_filter(file: Any) -> None:
    file.create_dataset("l/a", data=array(8), fletcher32=True)


def group_deep(file: Any) -> None:
    file["/".join("g" * 40)] = array(2)


def named_type(file: Any) -> None:
    file["l/a"] = np.dtype("f4")


def stored_as(dtype: Any) -> Any:
    return lambda file: file.create_dataset("l/a", (2,), dtype)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (external, "'l/a' is a soft or external link"),
        (soft, "'l/a' is a soft or external link"),
        (hard, "second link to one object"),
        (cycle, "second link to one object"),
        (data_elsewhere, "array 'l/a': .* data in another file"),
        (virtual, "virtual or compact"),
        (compact, "virtual or compact"),
        (without_shape, "without a shape"),
        (never_written, "would take 4000000000000 bytes"),
        (chunks_never_written, "chunk at .0, 0. is not in the file"),
        (endless_chunks, "10000000 chunks in a file"),
        (huge_chunk, "would take 400000000 bytes"),
        (bomb, "would take 200000000 bytes"),
        (foreign_filter, r"filters \[3\]"),
        (group_deep, "nested 32 deep"),
        (named_type, "neither a group nor a dataset"),
        (stored_as(h5py.string_dtype()), "integers and floats"),
        (stored_as(h5py.vlen_dtype(np.int32)), "integers and floats"),
        (stored_as(h5py.ref_dtype), "integers and floats"),
        (stored_as("S4"), "integers and floats"),
        (stored_as("c8"), "integers and floats"),
        (stored_as("?"), "integers and floats"),
        (stored_as([("x", "f4")]), "integers and floats"),
        (stored_as(("f4", (2,))), "integers and floats"),
    ],
)
def test_what_is_refused(write: Any, message: str) -> None:
    refused(h5(write), message)


def test_a_chunk_that_unpacks_to_more_than_it_declares() -> None:
    """The stream of a larger chunk in the place of a smaller one: read to its size, not further."""

    def write(file: Any) -> None:
        small = file.create_dataset("l/a", (1000,), "f4", chunks=(1000,), compression="gzip")
        large = np.zeros(10**7, np.float32).tobytes()
        small.id.write_direct_chunk((0,), zlib.compress(large))

    refused(h5(write), "a chunk has 4001 bytes, not 4000")


def test_a_chunk_spoilt_or_short() -> None:
    def spoilt(file: Any) -> None:
        a = file.create_dataset("l/a", (100,), "f4", chunks=(100,), compression="gzip")
        a.id.write_direct_chunk((0,), b"no deflate stream")

    def short(file: Any) -> None:
        a = file.create_dataset("l/a", (100,), "f4", chunks=(100,), compression="gzip")
        a.id.write_direct_chunk((0,), zlib.compress(bytes(396)))

    refused(h5(spoilt), "deflate")
    refused(h5(short), "396 bytes, not 400")


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
