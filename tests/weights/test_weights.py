"""Weight files that are as they should be: read exactly, whole or one array at a time."""

from __future__ import annotations

import hashlib
import io
import math
import os
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch_files as torch
from checkpoint_files import npz, some_arrays
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dsconv import weights


def read(data: bytes) -> dict[str, np.ndarray]:
    """Read a real file, whole and one by one; both must agree."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights"
        path.write_bytes(data)
        arrays = weights.read(path)
        with weights.open_weights(path) as file:
            assert file.names() == list(arrays)
            for name, array in arrays.items():
                assert file.shape(name) == array.shape
                assert file.dtype(name) == array.dtype
                np.testing.assert_array_equal(file.read(name), array, strict=True)
                for a in (array, file.read(name)):
                    assert a.flags.c_contiguous and a.flags.writeable and a.dtype.isnative
    return arrays


def test_the_v1_file_equals_what_numpy_reads(shared):
    path = shared / "weights" / "mobilenet_v1_1.0_224_google_slim.npz"
    ours = weights.read(path)
    with np.load(path, allow_pickle=False) as theirs:
        assert list(ours) == theirs.files
        for name in theirs.files:
            np.testing.assert_array_equal(ours[name], theirs[name], strict=True)


def test_the_v2_file(shared):
    path = shared / "weights" / "mobilenet_v2-b0353104.pth"
    assert hashlib.sha256(path.read_bytes()).hexdigest().startswith("b0353104")
    ours = weights.read(path)
    assert ours["features.0.0.weight"].shape == (32, 3, 3, 3)
    assert ours["classifier.1.weight"].shape == (1000, 1280)
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    trainable = sum(a.size for name, a in ours.items() if not name.endswith(statistics))
    assert trainable == 3_504_872  # published
    for name, array in ours.items():
        if name.endswith("num_batches_tracked"):
            assert array.dtype == np.int64 and array.shape == ()
        else:
            assert array.dtype == np.float32 and np.isfinite(array).all()
        if name.endswith("running_var"):
            assert (array > 0).all()


@given(st.dictionaries(st.text("abc/._", min_size=1), some_arrays(), max_size=4), st.booleans())
def test_npz_round_trip(content, compressed):
    ours = read(npz(content, compressed))
    assert list(ours) == list(content)
    for name, array in content.items():
        np.testing.assert_array_equal(ours[name], array)
        assert ours[name].dtype == array.dtype.newbyteorder("=")
        assert ours[name].shape == array.shape


@pytest.mark.parametrize("compressed", [False, True])
def test_npz_in_fortran_order(compressed):
    array = np.asfortranarray(np.arange(24, dtype=np.float32).reshape(2, 3, 4))
    assert b"'fortran_order': True" in npz({"a": array})
    np.testing.assert_array_equal(read(npz({"a": array}, compressed))["a"], array)


def test_npz_larger_than_one_piece():
    noise = np.random.default_rng(0).normal(size=200_000).astype(np.float32)
    content = {"noise": noise, "zeros": np.zeros(3_000_000, np.uint8)}
    for compressed in (False, True):
        ours = read(npz(content, compressed))
        for name, array in content.items():
            np.testing.assert_array_equal(ours[name], array, strict=True)


def test_npz_of_npy_version_2():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive, archive.open("a.npy", "w") as member:
        np.lib.format.write_array(member, np.arange(5), version=(2, 0))
    np.testing.assert_array_equal(read(out.getvalue())["a"], np.arange(5))


def test_zip_with_comment_and_data_descriptors():
    class Unseekable(io.BytesIO):  # makes zipfile write sizes behind the members
        def seekable(self):
            return False

        def seek(self, *_):
            raise io.UnsupportedOperation

    out = Unseekable()
    with zipfile.ZipFile(out, "w") as archive:
        for name in "ab":
            member = io.BytesIO()
            np.save(member, np.arange(7))
            archive.writestr(f"{name}.npy", member.getvalue())
        archive.comment = b"made by hand"
    ours = read(out.getvalue())
    assert list(ours) == ["a", "b"]
    np.testing.assert_array_equal(ours["b"], np.arange(7))


def view(draw):
    """Draw a tensor that is a strided view of a storage, and what it should read as."""
    kind = draw(st.sampled_from(sorted(torch.STORAGES)))
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3))
    strides = tuple(draw(st.integers(0, 4)) for _ in shape)
    offset = draw(st.integers(0, 3))
    span = 0 if 0 in shape else 1 + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
    length = offset + span + draw(st.integers(0, 2))
    flat = draw(hnp.arrays(np.dtype(torch.STORAGES[kind]), length))
    expected = np.empty(shape, flat.dtype)
    for index in np.ndindex(*shape):
        expected[index] = flat[offset + sum(i * s for i, s in zip(index, strides, strict=True))]
    if kind == "BFloat16":
        # the definition: float32's upper half
        bits = np.asarray(expected.astype(np.uint32) * np.uint32(65536))
        expected = bits.view(np.float32)
    return kind, flat, offset, shape, strides, expected


@given(st.data(), st.sampled_from([torch.legacy, torch.zipped]), st.integers(2, 5))
def test_pth_round_trip(data, write, protocol):
    root, expected = {}, {}
    for i in range(data.draw(st.integers(0, 3))):
        kind, flat, offset, shape, strides, array = view(data.draw)
        storage = torch.Storage(kind, str(i), flat)
        root[f"layer.{i}"] = torch.tensor(storage, offset, shape, strides)
        if data.draw(st.booleans()):
            root[f"layer.{i}"] = torch.parameter(root[f"layer.{i}"])
        expected[f"layer.{i}"] = array
    ours = read(write(root, protocol))
    assert list(ours) == list(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(ours[name], array, strict=True)


class TestPth:
    """Parts of checkpoints that are no tensors."""

    @pytest.mark.parametrize("write", [torch.legacy, torch.zipped])
    def test_state_dict_with_versions_of_modules(self, write):
        root = torch.OrderedDict(w=torch.full("Float", "0", [1.0, 2.0]))
        root._metadata = torch.OrderedDict({"": {"version": 1}})
        np.testing.assert_array_equal(read(write(root))["w"], np.float32([1, 2]), strict=True)

    @pytest.mark.parametrize("write", [torch.legacy, torch.zipped])
    def test_state_dict_inside_a_training_checkpoint(self, write):
        root = {
            "epoch": 90,
            "loss": 0.25,
            "history": [1, 2**40, -3, None, True, ("a",)],
            "state_dict": {"w": torch.full("Int", "0", [[1, 2, 3]])},
            "optimizer": {"state": {0: {"momentum": torch.full("Float", "1", [0.5])}}},
        }
        ours = read(write(root))
        assert list(ours) == ["w"]
        np.testing.assert_array_equal(ours["w"], np.int32([[1, 2, 3]]), strict=True)

    @pytest.mark.parametrize("write", [torch.legacy, torch.zipped])
    def test_tied_tensors_are_read_apart(self, write):
        storage = torch.Storage("Float", "0", np.arange(6))
        root = {
            "a": torch.tensor(storage, 0, (2, 3), (3, 1)),
            "b": torch.tensor(storage, 0, (3, 2), (1, 3)),
        }
        ours = read(write(root))
        np.testing.assert_array_equal(ours["a"], ours["b"].T)
        ours["a"][:] = 0
        assert ours["b"].sum() == 15

    def test_parts_of_one_large_storage(self):
        flat = np.arange(4_000_000, dtype=np.float32)  # 16 MB, 100 times: too much if read whole
        storage = torch.Storage("Float", "0", flat)
        root = {f"{i}": torch.tensor(storage, i * 40_000, (40_000,), (1,)) for i in range(100)}
        ours = read(torch.legacy(root))
        np.testing.assert_array_equal(np.concatenate(list(ours.values())), flat)

    def test_files_of_python_2(self):
        storage = torch.Storage("Byte", "0", [7, 8])
        tensor = torch.Call(torch.REBUILD_OLD, storage, 1, (1,), (1,))
        text = torch.legacy(torch.Call(torch.OrderedDict, [["name", tensor]]))
        old = text.replace(b"X\x04\x00\x00\x00name", b"U\x04name")
        assert old != text
        np.testing.assert_array_equal(read(old)["name"], np.uint8([8]), strict=True)

    def test_compressed_archive_without_byteorder(self):
        data = torch.zipped(
            {"w": torch.full("Half", "0", np.ones(99))},
            byteorder=None,
            compression=zipfile.ZIP_DEFLATED,
        )
        np.testing.assert_array_equal(read(data)["w"], np.ones(99, np.float16), strict=True)

    def test_bools_that_are_neither_0_nor_1_become_true(self):
        data = torch.legacy({"w": torch.full("Byte", "0", [0, 1, 7])})
        ours = read(data.replace(b"ByteStorage", b"BoolStorage"))["w"]
        assert ours.dtype == np.bool_ and ours.view(np.uint8).tolist() == [0, 1, 1]


class TestInterface:
    """Wrong calls, and where each error comes from."""

    def test_missing_file(self, tmp_path):
        for function in (weights.read, weights.open_weights):
            with pytest.raises(FileNotFoundError, match="nothing.npz"):
                function(tmp_path / "nothing.npz")

    def test_a_number_is_no_path(self):
        with pytest.raises(TypeError):
            weights.read(0)  # would be standard input

    @pytest.mark.parametrize(
        ("data", "message"),
        [
            (b"", "empty"),
            (b"hello world", "unknown format.*hello"),
            (b"\x93NUMPY\x01\x00", "single .npy"),
            (b"\x80\x04\x95", "pickle, but not"),
            (b"\x0a\x07\x12\x04", "unknown format.*allowed are .npz, .safetensors"),
            (b"\x08\x07\x12\x04", "an ONNX file is a whole network"),
            (b"dsconv 3 ", "a compiled model, not only weights: dsconv.load opens it"),
        ],
    )
    def test_unknown_formats(self, data, message):
        with pytest.raises(ValueError, match=message):
            read(data)

    def test_an_unknown_format_under_the_name_of_onnx(self, tmp_path):
        (tmp_path / "net.ONNX").write_bytes(b"no protobuf")
        with pytest.raises(ValueError, match=r"net\.ONNX: an ONNX file .* dsconv\.load opens it"):
            weights.open_weights(tmp_path / "net.ONNX")

    def test_unknown_name_and_closed_file(self, tmp_path):
        path = tmp_path / "w.npz"
        path.write_bytes(npz({"a": np.ones(3)}))
        with weights.open_weights(path) as file:
            for call in (file.read, file.shape, file.dtype):
                for name in ("b", None, []):
                    with pytest.raises(ValueError, match=r"w\.npz: no array is named"):
                        call(name)
            array = file.read("a")
        assert array.sum() == 3
        with pytest.raises(ValueError, match="array 'a'.*closed"):
            file.read("a")

    @pytest.mark.parametrize("write", [torch.legacy, torch.zipped])
    def test_a_file_cut_off_after_it_was_opened(self, tmp_path, write):
        path = tmp_path / "w.pth"
        data = write({"a": torch.full("Double", "0", np.ones(99_999))})
        path.write_bytes(data)
        with weights.open_weights(path) as file:
            os.truncate(path, len(data) // 2)
            with pytest.raises(ValueError, match=r"w\.pth: array 'a'"):
                file.read("a")

    def test_arrays_that_share_a_block_do_not_overlap(self):
        content = {str(n): np.full(n, n, np.uint8) for n in (1, 63, 64, 65, 7, 0, 130)}
        ours = read(npz(content))
        for array in ours.values():
            array[...] = 255 - array
        for name, array in content.items():
            np.testing.assert_array_equal(ours[name], 255 - array)
        assert sum(a.size for a in ours.values()) == math.fsum(map(int, content))
