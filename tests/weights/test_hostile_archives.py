"""Zip archives and .npz files made to harm, and files of any format that were damaged."""

from __future__ import annotations

import io
import os
import pickle
import struct
import tempfile
import warnings
import zipfile
import zlib

import numpy as np
import pytest
import torch_files as torch
from hostile import MEGABYTE, at_most, read, refused

from dsconv import weights


def npy(shape: object, descr: object = "<f4", data: bytes = b"", version: int = 1) -> bytes:
    """Write an .npy whose header declares what it likes."""
    text = repr({"descr": descr, "fortran_order": False, "shape": shape}).encode() + b"\n"
    length = struct.pack("<H" if version == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes([version, 0]) + length + text + data


def archive(members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytearray:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return bytearray(out.getvalue())


def patched(data: bytearray, field: int, value: int, size: int = 4, entry: int = 0) -> bytearray:
    """Replace a field of one entry of the archive's directory (APPNOTE 4.3.12)."""
    at = -1
    for _ in range(entry + 1):
        at = data.index(b"PK\x01\x02", at + 1)
    data[at + field : at + field + size] = value.to_bytes(size, "little")
    return data


FLAGS, METHOD, CRC, STORED, SIZE, HEADER = 8, 10, 16, 20, 24, 42  # fields of an entry
SMALL = {"a.npy": npy((3,), data=bytes(12)), "b.npy": npy((1, 2), data=bytes(8))}


def test_a_long_member_of_a_sparse_archive() -> None:
    """Do not read what a member declares beyond all that it can unpack to: 300 MB of nothing."""
    hole = 300 * 2**20
    data = archive({"a.npy": npy((3,), data=bytes(12))}, zipfile.ZIP_DEFLATED)
    at = data.index(b"PK\x01\x02")
    head, directory = data[:at], patched(data[at:], STORED, at - 39 + hole)
    end = directory.index(b"PK\x05\x06")
    directory[end + 16 : end + 20] = (at + hole).to_bytes(4, "little")
    with tempfile.NamedTemporaryFile(suffix="weights") as file:
        file.write(head)
        file.seek(at + hole)
        file.write(directory)
        file.flush()
        with at_most(4 * MEGABYTE), pytest.raises(ValueError, match="is longer in the file than"):
            weights.read(file.name)


class TestArchive:
    def test_the_pieces_are_sound_before_they_are_spoilt(self):
        assert [a.shape for a in read(archive(SMALL)).values()] == [(3,), (1, 2)]

    @pytest.mark.parametrize(
        ("field", "value", "size", "message"),
        [
            (FLAGS, 1, 2, "encrypted"),
            (METHOD, 12, 2, "compression method 12"),
            (METHOD, 8, 2, "damaged|unpack"),
            (CRC, 1, 4, "CRC"),
            (STORED, 10**9, 4, "beyond its place"),
            (SIZE, 10**9, 4, "two sizes"),
            (SIZE, 0xFFFFFFFF, 4, "4 GB"),
            (HEADER, 10**9, 4, "beyond its place"),
            (HEADER, 0, 4, "beyond its place"),  # both members in one place
        ],
    )
    def test_directory_entry(self, field, value, size, message):
        refused(patched(archive(SMALL), field, value, size, entry=1), message)

    def test_same_name_twice(self):
        data = archive(SMALL)
        refused(data.replace(b"b.npy", b"a.npy"), "'a.npy' is there twice")

    def test_names_of_directory_and_header_differ(self):
        data = archive(SMALL)
        data[30 : 30 + 5] = b"c.npy"
        refused(data, "another name")

    def test_members_are_compared_with_bytes_there(self):
        data = archive({"a.npy": npy((3,), data=bytes(12))})
        size = len(SMALL["a.npy"]) + 100  # runs into the directory
        refused(patched(patched(data, STORED, size), SIZE, size), "beyond its place")

    def test_other_compression(self):
        refused(archive(SMALL, zipfile.ZIP_BZIP2), "compression method 12")

    def test_deflate_bomb(self):
        size = 10**9  # honest in directory and header, a thousandfold of the file
        packer = zlib.compressobj(wbits=-15)
        packed = packer.compress(npy((size // 4,))) + packer.flush()
        data = archive({"a.npy": packed})
        data = patched(patched(data, METHOD, 8, 2), SIZE, size + len(npy((size // 4,))))
        refused(data, "would take 1000000")

    def test_stream_longer_or_shorter_than_declared(self):
        data = npy((1000,), data=bytes(4000))
        for size, shape in ((len(data) - 400, 900), (len(data) + 4000, 2000)):
            spoilt = archive({"a.npy": npy((shape,), data=bytes(4000))}, zipfile.ZIP_DEFLATED)
            extra = len(npy((shape,))) - len(npy((1000,)))
            refused(patched(spoilt, SIZE, size + extra), "declared size")

    def test_deflate_stream_spoilt(self):
        data = archive({"a.npy": npy((999,), data=os.urandom(3996))}, zipfile.ZIP_DEFLATED)
        data[60:80] = bytes(20)
        refused(data)

    @pytest.mark.parametrize(
        ("at", "value", "message"),
        [(4, 1, "parts"), (8, 9, "parts"), (12, 10**6, "outside"), (16, 10**6, "outside")],
    )
    def test_end_of_directory(self, at, value, message):
        data = archive(SMALL)
        size = 2 if at < 12 else 4
        data[-22 + at : -22 + at + size] = value.to_bytes(size, "little")
        refused(data, message)

    def test_zip64_and_bytes_around(self):
        data = archive(SMALL)
        refused(data + b"x", "does not end")
        data[-22 + 8 : -22 + 12] = b"\xff" * 4
        refused(data, "ZIP64")


class TestNpy:
    @pytest.mark.parametrize(
        ("data", "message"),
        [
            (npy((10**12,), data=bytes(12)), "takes 4000000000000 bytes"),
            (npy((2, 1), data=bytes(12)), "takes 8 bytes, there are 12"),
            (npy((2**62, 2**62)), "address space"),
            (npy((0, 2**70)), "address space"),
            (npy((-1,)), "negative"),
            (npy((1,) * 40, data=bytes(4)), "40 dimensions"),
            (npy((3.0,), data=bytes(12)), "header"),
            (npy(3, data=bytes(12)), "header"),
            (npy((1,), "|O", data=pickle.dumps([1])), "dtype 'object'"),
            (npy((1,), "<U3", data=bytes(12)), "dtype"),
            (npy((1,), "<c8", data=bytes(8)), "dtype"),
            (npy((1,), [("x", "<f4")], data=bytes(4)), "dtype"),
            (npy((1,), ("<f4", (2,)), data=bytes(8)), "dtype"),
            (npy((1,), "no such type", data=bytes(8)), "header"),
            (npy((3,), data=bytes(12), version=3), "version"),
            (b"\x93NUMPY\x02\x00\xff\xff\xff\xff", "4294967295 bytes"),
            (b"\x93NUMPY\x01\x00\x10\x00{", "16 bytes; at most 11"),
            (b"\x93NUM", "ends early"),
            (b"not an array", "not an .npy"),
            (b"\x93NUMPY\x01\x00\x10\x27" + b"(" * 10_000, "header"),
            (b"\x93NUMPY\x01\x00\x10\x27" + b"-" * 10_000, "header"),
        ],
    )
    def test_header(self, data, message):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # numpy's, on headers of Python 2
            refused(archive({"a.npy": data}), f"array 'a'.*{message}")

    def test_a_member_that_is_no_array(self):
        refused(archive(SMALL | {"run.py": b"print()"}), "'run.py' is not an .npy")


def _small_files() -> dict[str, bytes]:
    root = {"w": torch.full("Float", "0", [[1, 2], [3, 4]]), "n": torch.full("Long", "1", 9)}
    root["empty"] = torch.full("Float", "2", [])
    return {
        "legacy": torch.legacy(root),
        "zip": torch.zipped(root),
        "deflated zip": torch.zipped(root, compression=zipfile.ZIP_DEFLATED),
        "npz": bytes(archive(SMALL)),
        "deflated npz": bytes(archive(SMALL, zipfile.ZIP_DEFLATED)),
    }


@pytest.mark.parametrize("kind", _small_files())
def test_truncated_anywhere(kind, tmp_path):
    data = _small_files()[kind]
    path = tmp_path / "weights"
    path.write_bytes(data)
    assert weights.read(path)
    for length in reversed(range(len(data))):
        os.truncate(path, length)
        with pytest.raises(ValueError, match="weights: "):
            weights.read(path)


@pytest.mark.parametrize("kind", _small_files())
def test_every_flipped_bit(kind, tmp_path):
    """Rely on checksums; the legacy format has none, so its numbers may change silently."""
    data = _small_files()[kind]
    path = tmp_path / "weights"
    path.write_bytes(data)
    whole = weights.read(path)
    for i in range(len(data)):
        for bit in (i % 8, (i + 3) % 8):
            path.write_bytes(data[:i] + bytes([data[i] ^ 1 << bit]) + data[i + 1 :])
            try:
                ours = weights.read(path)
            except ValueError:
                continue
            assert sum(array.nbytes for array in ours.values()) <= len(data)
            if kind != "legacy":
                assert list(ours) == list(whole)
                for name in whole:
                    np.testing.assert_array_equal(ours[name], whole[name], strict=True)
