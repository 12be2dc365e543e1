"""Read and write NumPy's .npz, a zip archive of .npy arrays, without pickle.

Three sizes must agree before an array is allocated: what its .npy header declares, what the zip
directory declares, and what the file really holds. Only plain numbers (bool, integers, floats) are
allowed. Layout of .npy: numpy.lib.format.
"""

from __future__ import annotations

import io
import math
import os
from collections.abc import Mapping

import numpy as np
from numpy.lib import format as npy

from dsconv.files.writing import replacing
from dsconv.weights.file import Entry, WeightFile, array_bytes, errors_name, shorten
from dsconv.weights.writing import checked
from dsconv.weights.zip_archive import Archive, Stream

__all__ = ["NpzFile", "write_npz"]

_MAX_HEADER = 10_000  # bytes; numpy's own limit
_HEADERS = {  # version of .npy: bytes of the header's length, its parser
    (1, 0): (2, npy.read_array_header_1_0),
    (2, 0): (4, npy.read_array_header_2_0),
}


class NpzFile(WeightFile):
    """Read an .npz file; see `WeightFile`. Names are those of the members without ".npy"."""

    def _scan(self) -> dict[str, Entry]:
        self._archive = Archive(self._file, self.file_bytes)
        self._parsed: dict[bytes, tuple[tuple[int, ...], bool, np.dtype, int]] = {}
        entries = {}
        for member in self._archive.members.values():
            if not member.name.endswith(".npy"):
                raise ValueError(f"zip member {shorten(member.name)} is not an .npy array")
            with errors_name(f"array {shorten(member.name[:-4])}"):
                entries[member.name[:-4]] = self._entry_of(member.name, member.size)
        return entries

    def _entry_of(self, member: str, size: int) -> Entry:
        header = _header(self._archive.open(member), size)
        if header not in self._parsed:  # a network has few different shapes
            self._parsed[header] = _parse(header)
        shape, fortran, stored, declared = self._parsed[header]
        if declared != size - len(header):
            raise ValueError(
                f"shape {shape} of {stored} takes {declared} bytes, there are {size - len(header)}"
            )
        strides = tuple(math.prod(shape[:axis]) for axis in range(len(shape))) if fortran else None
        return Entry(shape, stored, declared, (member, len(header)), strides=strides)

    def _fill(self, place: tuple[str, int], raw: np.ndarray) -> None:
        member, header_bytes = place
        self._archive.readinto(member, raw.data, header_bytes)


def write_npz(path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays as an uncompressed .npz file; the same arrays give the same bytes.

    Parameters
    ----------
    path
        The file; one that is there is replaced once the new one is complete.
    arrays
        Array by name: bool, integers, float16, float32 or float64, any byte order and strides.
        Unlike `numpy.savez` it takes names such as "file".

    Raises
    ------
    TypeError, ValueError
        For a name that is empty or not printable, another dtype, or 4 GB and more.
    """
    import zipfile  # slow to import, and readers do without

    contents = checked(arrays)
    if sum(array.nbytes + _MAX_HEADER for array in contents.values()) >= 2**32:
        raise ValueError("an .npz file takes less than 4 GB; .safetensors takes more")
    with replacing(path) as file, zipfile.ZipFile(file, "w") as archive:
        for name, array in contents.items():
            with archive.open(f"{name}.npy", "w", force_zip64=array.nbytes >= 2**31) as member:
                npy.write_array(member, array, allow_pickle=False)


def _header(stream: Stream, size: int) -> bytes:
    """Return everything in front of an array's numbers."""
    start = bytearray(8)
    stream.readinto(start)
    if not start.startswith(b"\x93NUMPY"):
        raise ValueError("not an .npy array")
    version = (start[6], start[7])
    if version not in _HEADERS:
        raise ValueError(f".npy version {version} is not supported; allowed are {list(_HEADERS)}")
    length = bytearray(_HEADERS[version][0])
    stream.readinto(length)
    count = int.from_bytes(length, "little")
    if count > (allowed := min(_MAX_HEADER, size)):
        raise ValueError(f"an .npy header of {count} bytes; at most {allowed} are allowed")
    text = bytearray(count)
    stream.readinto(text)
    return bytes(start + length + text)


def _parse(header: bytes) -> tuple[tuple[int, ...], bool, np.dtype, int]:
    """Return shape, Fortran order, dtype and size in bytes, out of an .npy header."""
    try:
        parser = _HEADERS[header[6], header[7]][1]
        shape, fortran, dtype = parser(io.BytesIO(header[8:]))
    except Exception as error:  # the literal may fail to parse in many ways
        raise ValueError(f"unreadable .npy header ({type(error).__name__})") from error
    if dtype.kind not in "biuf" or dtype.subdtype:
        raise ValueError(f"dtype {shorten(str(dtype))}; allowed are bool, integers and floats")
    shape = tuple(int(extent) for extent in shape)
    return shape, fortran, dtype, array_bytes(shape, dtype)
