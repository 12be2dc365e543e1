"""Read Keras's weights in HDF5: old .h5, Keras 3's .weights.h5, and .keras, under one scheme.

**Names are "layer/parameter"** in all three forms, e.g. "conv1/kernel", "conv1_bn/gamma",
"conv_dw_1/depthwise_kernel", "predictions/bias":

- *parameter* is Keras's word, without ":0": kernel, bias, gamma, beta, moving_mean,
  moving_variance. The depthwise kernel is "depthwise_kernel" in files of Keras 1 and 2 and "kernel"
  in files of Keras 3, as their own variables are called. Arrays are laid out as Keras has them:
  kernel (KH, KW, Cin, Cout), depthwise (KH, KW, C, multiplier), dense (Cin, Cout).
- *layer* is the layer's name where the file knows it: always in old files (the group; a scope
  such as "conv1_1" of a model that was built twice is not part of the name), and in a .keras (by
  its config.json).
- In a .weights.h5, *layer* is what Keras 3 calls it there: the class and a counter over the layers
  of that class in the order of the model, the first without a number: "conv2d", "conv2d_1",
  "depthwise_conv2d_12", "batch_normalization", "dense". Some versions skip numbers. (Newer files
  have the layer's name in an attribute. It is a string of variable length, and on damaged files
  the HDF5 library hangs in reading these, so that no attribute is read at all.)
- Layers of a model inside the model have its name in front: "mobilenet_1.00_224/conv1/kernel".
- Parameters of a class that is not in the table below keep their number: "my_layer/0".

State of training (optimizer, metrics, random generators) is left out.
"""

from __future__ import annotations

import importlib
import io
import math
import zlib
from itertools import product
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from dsconv.weights.file import (
    Entry,
    WeightFile,
    array_bytes,
    check_expansion,
    errors_name,
    fill_from,
    shorten,
)
from dsconv.weights.json_text import MAX_BYTES, parse_json
from dsconv.weights.keras_names import Path, names
from dsconv.weights.zip_archive import Archive

__all__ = ["H5File", "KerasFile"]

CONFIG, WEIGHTS = "config.json", "model.weights.h5"  # members of a .keras

_MAX_OBJECTS = 100_000
_MAX_DEPTH = 32
_CHUNK_RECORD = 16  # bytes; less than an index needs for each chunk
_SMALL = 2**16  # bytes
_DEFLATE, _SHUFFLE = 1, 2  # HDF5's numbers of filters
_PIPELINES: tuple[list[int], ...] = ([], [_DEFLATE], [_SHUFFLE], [_SHUFFLE, _DEFLATE])


class _Chunk(NamedTuple):
    """Describe where the bytes of one chunk are."""

    corner: tuple[int, ...]  # of the array, where the chunk begins
    start: int  # offset in the file
    stored: int  # bytes in the file


class _Chunks(NamedTuple):
    """Describe a dataset in chunks of one shape."""

    shape: tuple[int, ...]
    stored: np.dtype
    filters: list[int]
    chunk_shape: tuple[int, ...]
    chunks: list[_Chunk]


class H5File(WeightFile):
    """Read a Keras .h5 or .weights.h5; see `WeightFile`.

    The HDF5 library reads the directory of the file and nothing else; it never opens another file.
    The arrays are then read from their places in the file, which are checked, by this class.
    Refused are links other than plain ones, data in other files, virtual and compact datasets,
    filters other than deflate and shuffle, and dtypes other than integers and IEEE floats.
    """

    def _scan(self) -> dict[str, Entry]:
        return self._scan_h5(self._file, self.file_bytes)

    def _scan_h5(self, data: BinaryIO, size: int, config: Any = None) -> dict[str, Entry]:
        self._data = data
        h5py = _h5py()
        entries: dict[str, Entry] = {}
        try:
            with h5py.File(data, "r") as file:
                datasets = _walk(h5py, file)
                for path, name in names(sorted(datasets), config).items():
                    if name in entries:
                        raise ValueError(f"two arrays are named {shorten(name)}")
                    with errors_name(f"array {shorten(name)}"):
                        entries[name] = _entry(h5py, datasets[path], size)
        except ValueError:
            raise
        except Exception as error:  # the library fails on damaged files in many ways
            raise ValueError(f"damaged HDF5 file ({type(error).__name__}: {error})") from error
        return entries

    def _fill(self, place: int | _Chunks, raw: np.ndarray) -> None:
        if isinstance(place, int):
            fill_from(self._data, place, raw)
            return
        out = raw.view(place.stored).reshape(place.shape)
        size = array_bytes(place.chunk_shape, place.stored)
        for chunk in place.chunks:
            self._data.seek(chunk.start)
            content = self._data.read(chunk.stored)
            if _DEFLATE in place.filters:
                content = _inflated(content, size)
            if len(content) != size:
                raise ValueError(f"a chunk has {len(content)} bytes, not {size}")
            if _SHUFFLE in place.filters:  # all first bytes, all second bytes, ...
                planes = np.frombuffer(content, np.uint8).reshape(place.stored.itemsize, -1)
                content = planes.T.tobytes()
            values = np.frombuffer(content, place.stored).reshape(place.chunk_shape)
            box = zip(chunk.corner, place.chunk_shape, strict=True)
            inside = out[tuple(slice(corner, corner + length) for corner, length in box)]
            inside[...] = values[tuple(map(slice, inside.shape))]


class KerasFile(H5File):
    """Read a .keras file, a zip archive; see `H5File`. The weights in it are held in memory."""

    def _scan(self) -> dict[str, Entry]:
        archive = Archive(self._file, self.file_bytes)
        for name in (CONFIG, WEIGHTS):
            if name not in archive.members:
                raise ValueError(f"not a Keras model with HDF5 weights: {name} is missing")
        if archive.members[CONFIG].size > MAX_BYTES:
            raise ValueError(f"{CONFIG} is larger than {MAX_BYTES} bytes")
        with errors_name(CONFIG):
            config = parse_json(archive.read(CONFIG))
        weights = archive.read(WEIGHTS)
        return self._scan_h5(io.BytesIO(weights), len(weights), config)


def _h5py() -> Any:
    try:
        return importlib.import_module("h5py")
    except ImportError:
        raise ImportError(
            "reading Keras files takes h5py, which is not installed: pip install 'dsconv[keras]'"
        ) from None


def _walk(h5py: Any, file: Any) -> dict[Path, Any]:
    """Return all datasets by path."""
    datasets: dict[Path, Any] = {}
    seen = set()
    todo: list[tuple[Path, Any]] = [((), file.id)]
    while todo:
        path, group = todo.pop()
        for raw_name in sorted(group, reverse=True):
            inner = (*path, raw_name.decode())
            where = shorten("/".join(inner))
            if group.links.get_info(raw_name).type != h5py.h5l.TYPE_HARD:
                raise ValueError(f"{where} is a soft or external link, which is refused")
            info = h5py.h5o.get_info(group, raw_name)
            if info.addr in seen:
                raise ValueError(f"{where} is a second link to one object, which is refused")
            seen.add(info.addr)
            if len(seen) > _MAX_OBJECTS or len(inner) > _MAX_DEPTH:
                raise ValueError(
                    f"more than {_MAX_OBJECTS} objects, or groups nested {_MAX_DEPTH} deep"
                )
            if info.type == h5py.h5o.TYPE_GROUP:
                todo.append((inner, h5py.h5o.open(group, raw_name)))
            elif info.type == h5py.h5o.TYPE_DATASET:
                datasets[inner] = h5py.h5o.open(group, raw_name)
            else:
                raise ValueError(f"{where} is neither a group nor a dataset")
    return datasets


def _entry(h5py: Any, dataset: Any, size: int) -> Entry:
    """Return shape, dtype and place of a dataset in a file of `size` bytes."""
    kind = dataset.get_type()
    if kind.get_class() not in (h5py.h5t.INTEGER, h5py.h5t.FLOAT):
        raise ValueError("it holds something other than integers and floats")
    stored = np.dtype(kind.dtype)
    if stored.kind not in "iuf" or stored.itemsize > 8 or h5py.h5t.py_create(stored) != kind:
        raise ValueError("it has a dtype that NumPy does not have")
    if dataset.get_space().get_simple_extent_type() == h5py.h5s.NULL:
        raise ValueError("it is a dataset without a shape")
    shape = tuple(map(int, dataset.shape))
    declared = array_bytes(shape, stored)
    check_expansion((declared,), size)
    options = dataset.get_create_plist()
    layout = options.get_layout()
    if options.get_external_count():
        raise ValueError("it has its data in another file")
    if layout == h5py.h5d.CONTIGUOUS:
        place: Any = dataset.get_offset() if declared else 0
        if place is None or place + declared > size:
            raise ValueError(f"its {declared} bytes are not in the file")
    elif layout == h5py.h5d.CHUNKED:
        place = _chunked(h5py, dataset, options, stored, shape, size)
    else:
        raise ValueError("it is a virtual or compact dataset")
    return Entry(shape, stored, declared, place)


def _chunked(
    h5py: Any, dataset: Any, options: Any, stored: np.dtype, shape: tuple[int, ...], size: int
) -> _Chunks:
    """Return the places of a dataset's chunks, all of which must be in the file."""
    filters = [options.get_filter(i)[0] for i in range(options.get_nfilters())]
    if filters not in _PIPELINES:
        raise ValueError(f"it has the filters {filters}; allowed are deflate (1) and shuffle (2)")
    chunk_shape = tuple(map(int, options.get_chunk()))
    if len(chunk_shape) != len(shape) or 0 in chunk_shape:
        raise ValueError(f"it has chunks of shape {chunk_shape}")
    check_expansion((array_bytes(chunk_shape, stored),), size)
    corners = [range(0, extent, step) for extent, step in zip(shape, chunk_shape, strict=True)]
    count = math.prod(map(len, corners))
    if count * _CHUNK_RECORD > size:
        raise ValueError(f"it has {count} chunks in a file of {size} bytes")
    chunks = []
    most = 2 * array_bytes(chunk_shape, stored) + _SMALL  # deflate adds less than a thousandth
    for corner in product(*corners):
        info = dataset.get_chunk_info_by_coord(corner)
        if info.byte_offset is None or info.byte_offset + info.size > size:
            raise ValueError(f"the chunk at {corner} is not in the file")
        if info.size > most:
            raise ValueError(f"the chunk at {corner} is longer in the file than unpacked")
        if info.filter_mask:
            raise ValueError(f"the chunk at {corner} is stored without some filter")
        chunks.append(_Chunk(corner, info.byte_offset, info.size))
    return _Chunks(shape, stored, filters, chunk_shape, chunks)


def _inflated(packed: bytes, size: int) -> bytes:
    """Return what a deflated chunk unpacks to, at most one byte more than `size`."""
    inflater = zlib.decompressobj()
    try:
        content = inflater.decompress(packed, size + 1)
        if inflater.eof or len(content) > size:
            return content
    except zlib.error:
        pass
    raise ValueError("a chunk is damaged (deflate)")
