"""Read and write .safetensors: a length, a JSON header and raw bytes.

    8 bytes      length of the header, little-endian
    header       {"__metadata__": {"key": "text", ...},
                  "name": {"dtype": "F32", "shape": [3, 3], "data_offsets": [0, 36]}, ...}
    raw bytes    little-endian, C order; offsets count from here

The tensors cover the raw bytes exactly: no overlap, no hole, nothing behind. All of that is checked
when a file is opened. Format: https://github.com/huggingface/safetensors#format.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from dsconv.weights.file import (
    BFLOAT16,
    Entry,
    WeightFile,
    are_naturals,
    array_bytes,
    errors_name,
    fill_from,
    shorten,
)
from dsconv.weights.json_text import MAX_BYTES, parse_json

__all__ = ["SafetensorsFile", "write_safetensors"]

_METADATA = "__metadata__"
_STORED: dict[str, np.dtype] = {
    "BOOL": np.dtype("?"), "U8": np.dtype("u1"), "I8": np.dtype("i1"), "U16": np.dtype("<u2"),
    "I16": np.dtype("<i2"), "U32": np.dtype("<u4"), "I32": np.dtype("<i4"), "U64": np.dtype("<u8"),
    "I64": np.dtype("<i8"), "F16": np.dtype("<f2"), "F32": np.dtype("<f4"), "F64": np.dtype("<f8"),
}  # fmt: skip
_CODES = {stored: code for code, stored in _STORED.items()}
_STORED["BF16"] = BFLOAT16  # read, not written
_ALIGNMENT = 64  # bytes; where the writer begins the raw bytes


class SafetensorsFile(WeightFile):
    """Read a .safetensors file; see `WeightFile`.

    Dtypes: bool, integers, float16, float32, float64, and bfloat16, which is read as float32.
    """

    def _scan(self) -> dict[str, Entry]:
        header, self._data_start = self._header()
        self.metadata = _checked_metadata(header.pop(_METADATA, {}))
        entries = {}
        for name, description in header.items():
            with errors_name(f"array {shorten(name)}"):
                entries[name] = self._entry_of(description)
        self._check_cover(entries)
        return entries

    def _header(self) -> tuple[dict[str, Any], int]:
        """Return the parsed header, and where the raw bytes begin."""
        length = int.from_bytes(self._file.read(8), "little")
        if self.file_bytes < 8 or length > self.file_bytes - 8:
            raise ValueError(f"a header of {length} bytes in a file of {self.file_bytes}")
        if length > MAX_BYTES:
            raise ValueError(f"a header of {length} bytes; at most {MAX_BYTES} are allowed")
        text = self._file.read(length)
        if not text.startswith(b"{"):
            raise ValueError("not a safetensors file: the header does not begin with {")
        return parse_json(text), 8 + length

    def _entry_of(self, description: Any) -> Entry:
        if type(description) is not dict or set(description) != {"dtype", "shape", "data_offsets"}:
            raise ValueError('must be described by "dtype", "shape" and "data_offsets"')
        code, shape, offsets = (description[key] for key in ("dtype", "shape", "data_offsets"))
        if type(code) is not str or code not in _STORED:
            raise ValueError(f"dtype {shorten(code)}; allowed are {', '.join(_STORED)}")
        if not are_naturals(shape, list):
            raise ValueError("the shape must be a list of integers from 0 up")
        if not are_naturals(offsets, list) or len(offsets) != 2 or offsets[0] > offsets[1]:
            raise ValueError("data_offsets must be two ascending integers from 0 up")
        stored = _STORED[code]
        shape, there = tuple(shape), offsets[1] - offsets[0]
        declared = array_bytes(shape, stored)
        if declared != there:
            raise ValueError(f"shape {shape} of {code} takes {declared} bytes, not {there}")
        return Entry(shape, stored, there, self._data_start + offsets[0])

    def _check_cover(self, entries: dict[str, Entry]) -> None:
        """Check that every raw byte belongs to exactly one array."""
        end = self._data_start
        in_order = sorted(entries.items(), key=lambda item: (item[1].place, item[1].raw_bytes))
        for name, entry in in_order:
            if entry.place != end:
                what = "overlaps the array before it" if entry.place < end else "lies behind a hole"
                raise ValueError(f"array {shorten(name)} {what}")
            end += entry.raw_bytes
        if end != self.file_bytes:
            what = "is truncated" if end > self.file_bytes else "has bytes behind the last array"
            raise ValueError(f"the file {what}: {self.file_bytes} bytes, the arrays end at {end}")

    def _fill(self, place: int, raw: np.ndarray) -> None:
        fill_from(self._file, place, raw)


def write_safetensors(
    path: str | os.PathLike[str],
    arrays: Mapping[str, np.ndarray],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write arrays as a .safetensors file.

    Parameters
    ----------
    path
        The file; one that is there is replaced once the new one is complete.
    arrays
        Array by name: bool, integers, float16, float32 or float64, any byte order and strides.
        The header lists them in this order; their bytes follow each other by falling size of the
        elements, so that each begins at a multiple of its element's size.
    metadata
        Text by key, for the header.

    Raises
    ------
    TypeError, ValueError
        For a name that is empty, not printable or "__metadata__", another dtype, metadata that are
        no texts, or a header beyond 4 MB.
    """
    from dsconv.files.writing import replacing
    from dsconv.weights.writing import checked

    contents = checked(arrays)
    if _METADATA in contents:
        raise ValueError(f"no array can be named {_METADATA!r}")
    order = sorted(contents, key=lambda name: -contents[name].dtype.itemsize)
    starts, end = {}, 0
    for name in order:
        starts[name] = end
        end += contents[name].nbytes
    header: dict[str, Any] = {_METADATA: _checked_metadata(dict(metadata))} if metadata else {}
    for name, array in contents.items():
        offsets = (starts[name], starts[name] + array.nbytes)
        code = _CODES[array.dtype]
        header[name] = {"dtype": code, "shape": array.shape, "data_offsets": offsets}
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-(8 + len(text)) % _ALIGNMENT)
    if len(text) > MAX_BYTES:
        raise ValueError(f"the header would have {len(text)} bytes, at most {MAX_BYTES} can be")
    with replacing(path) as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        for name in order:
            file.write(contents[name].data)


def _checked_metadata(metadata: Any) -> dict[str, str]:
    """Return the metadata if they map texts to texts."""
    if type(metadata) is not dict or any(
        type(text) is not str for item in metadata.items() for text in item
    ):
        raise ValueError("the metadata must map texts to texts")
    return metadata
