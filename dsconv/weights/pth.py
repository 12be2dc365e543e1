"""PyTorch checkpoints (.pth, .pt) without PyTorch: a state dict of tensors, legacy or zip format.

Both formats are a pickle that describes the tensors and, apart from it, the raw bytes of their
storages. The pickle is read by `unpickle` (which says why not by the standard library); it lets
the names through that rebuild tensors, and nothing else. A tensor here is a view of a storage
(offset, shape, strides in elements). Every view is checked against its storage, and every storage
against the file, before memory is asked for.

- *legacy*: five pickles (magic number, protocol version, system information, the object, the keys
  of the storages), then each storage as its number of elements (int64) and its bytes;
- *zip*: members `NAME/data.pkl`, `NAME/data/KEY` and `NAME/byteorder`.

Big-endian files are refused. Layout: torch/serialization.py, torch/_utils.py.
"""

from __future__ import annotations

import io
from typing import Any, NamedTuple

import numpy as np

from dsconv.weights.file import Entry, WeightFile, array_bytes, numbers, shorten, widened
from dsconv.weights.unpickle import unpickle
from dsconv.weights.zip_archive import Archive

__all__ = ["PthFile"]

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_WRAPPERS = ("state_dict", "model_state_dict", "model")  # under which trainers put a state dict


class _Element(NamedTuple):
    """The numbers in a storage."""

    stored: np.dtype
    dtype: np.dtype  # as they are read: bfloat16 widens exactly to float32


class _Storage:
    """A run of numbers in the file, named by its key."""

    __slots__ = ("element", "key", "length", "place")

    def __init__(self, element: _Element, key: str, length: int) -> None:
        self.element = element
        self.key = key
        self.length = length  # elements
        self.place: int | str = 0  # offset in the file, or the member of the archive

    @property
    def raw_bytes(self) -> int:
        return self.length * self.element.stored.itemsize


class _Tensor:
    """A view of a storage: offset, strides and the span from first to last are in elements."""

    __slots__ = ("offset", "shape", "span", "storage", "strides")

    def __init__(
        self, storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]
    ) -> None:
        self.storage = storage
        self.offset = offset
        self.shape = shape
        self.strides = strides
        self.span = 0
        if 0 not in shape:
            self.span = 1 + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))


def _storage_types() -> dict[str, _Element]:
    types = {
        "FloatStorage": "<f4",
        "DoubleStorage": "<f8",
        "HalfStorage": "<f2",
        "LongStorage": "<i8",
        "IntStorage": "<i4",
        "ByteStorage": "u1",
        "BoolStorage": "?",
    }
    elements = {}
    for name, stored in types.items():
        dtype = np.dtype(stored)
        elements[f"torch.{name}"] = _Element(dtype, dtype.newbyteorder("="))
    elements["torch.BFloat16Storage"] = _Element(np.dtype("<u2"), np.dtype(np.float32))
    return elements


def _rebuild_tensor(arguments: tuple[Any, ...]) -> _Tensor:
    """torch._utils._rebuild_tensor(storage, offset, shape, strides), checked."""
    if len(arguments) != 4 or type(arguments[0]) is not _Storage:
        raise ValueError("malformed tensor: wrong arguments")
    storage, offset, shape, strides = arguments
    if not _naturals(shape) or not _naturals(strides) or not _naturals((offset,)):
        raise ValueError("malformed tensor: offset, shape and strides must be integers from 0 up")
    if len(shape) != len(strides):
        raise ValueError(f"malformed tensor: {len(shape)} extents and {len(strides)} strides")
    array_bytes(shape, storage.element.dtype)
    tensor = _Tensor(storage, offset, shape, strides)
    if offset + tensor.span > storage.length:
        raise ValueError(
            f"a tensor reaches element {offset + tensor.span} of storage {shorten(storage.key)}, "
            f"which has {storage.length}"
        )
    return tensor


def _rebuild_tensor_v2(arguments: tuple[Any, ...]) -> _Tensor:
    """The same with requires_grad, hooks and, in newer files, metadata behind."""
    if not 6 <= len(arguments) <= 7:
        raise ValueError("malformed tensor: wrong arguments")
    if any(more is not None and more != {} for more in arguments[5:]):
        raise ValueError("a tensor with hooks or metadata is refused")
    return _rebuild_tensor(arguments[:4])


def _rebuild_parameter(arguments: tuple[Any, ...]) -> _Tensor:
    """torch._utils._rebuild_parameter(tensor, requires_grad, hooks): the tensor itself."""
    if len(arguments) != 3 or type(arguments[0]) is not _Tensor:
        raise ValueError("malformed parameter: wrong arguments")
    return arguments[0]


def _ordered_dict(arguments: tuple[Any, ...]) -> dict[Any, Any]:
    """collections.OrderedDict(), filled by the pickle afterwards; Python 2: of a list of pairs."""
    result: dict[Any, Any] = {}
    if not arguments:
        return result
    pairs = arguments[0]
    if len(arguments) != 1 or type(pairs) is not list:
        raise ValueError("malformed OrderedDict: wrong arguments")
    for item in pairs:
        if type(item) is not list or len(item) != 2 or type(item[0]) is not str:
            raise ValueError("malformed OrderedDict: an item that is no pair of a name and a value")
        result[item[0]] = item[1]
    pairs.clear()  # so that no list is copied over and over
    return result


_NAMES: dict[str, Any] = {
    "torch._utils._rebuild_tensor": _rebuild_tensor,
    "torch._utils._rebuild_tensor_v2": _rebuild_tensor_v2,
    "torch._utils._rebuild_parameter": _rebuild_parameter,
    "collections.OrderedDict": _ordered_dict,
    **_storage_types(),
}


class PthFile(WeightFile):
    """An open PyTorch checkpoint; see `WeightFile`.

    The checkpoint is a dict of tensors, or a dict with such a dict under "state_dict",
    "model_state_dict" or "model". Dtypes: float64, float32, float16, bfloat16 (read as float32),
    int64, int32, uint8, bool.
    """

    def _scan(self) -> dict[str, Entry]:
        self._archive: Archive | None = None
        self._storages: dict[str, _Storage] = {}
        is_zip = self._file.read(4) == b"PK\x03\x04"
        self._file.seek(0)
        root = self._scan_zip() if is_zip else self._scan_legacy()
        entries = {}
        for name, tensor in _state_dict(root).items():
            storage = tensor.storage
            # an archive has a checksum for the whole storage, so that all of it has to be read
            raw_bytes = storage.length if is_zip else tensor.span
            raw_bytes *= storage.element.stored.itemsize
            entries[name] = Entry(tensor.shape, storage.element.dtype, raw_bytes, tensor)
        return entries

    def _scan_legacy(self) -> Any:
        if unpickle(self._file, {}) != _MAGIC:
            raise ValueError("not a PyTorch checkpoint: another magic number")
        if unpickle(self._file, {}) != _PROTOCOL:
            raise ValueError(f"an unknown version of the legacy format, not {_PROTOCOL}")
        system = unpickle(self._file, {})
        if type(system) is not dict or system.get("little_endian") is not True:
            raise ValueError("a big-endian checkpoint is not supported")
        root = unpickle(self._file, _NAMES, self._storage)
        keys = unpickle(self._file, {})
        if type(keys) is not list or any(type(key) is not str for key in keys):
            raise ValueError("the keys of the storages are not a list of strings")
        if len(keys) != len(self._storages) or set(keys) != set(self._storages):
            raise ValueError("the tensors' storages are not those that follow in the file")
        for key in keys:
            storage = self._storages[key]
            header = self._file.read(8)
            if len(header) != 8:
                raise ValueError(f"the file is truncated before storage {shorten(key)}")
            length = int.from_bytes(header, "little", signed=True)
            storage.place = self._file.tell()
            if length != storage.length:
                raise ValueError(
                    f"storage {shorten(key)} has {length} elements, its tensors say "
                    f"{storage.length}"
                )
            if storage.raw_bytes > self.file_bytes - storage.place:
                raise ValueError(f"the file is truncated in storage {shorten(key)}")
            self._file.seek(storage.place + storage.raw_bytes)
        if self._file.tell() != self.file_bytes:
            raise ValueError(f"{self.file_bytes - self._file.tell()} bytes follow the last storage")
        return root

    def _scan_zip(self) -> Any:
        archive = self._archive = Archive(self._file, self.file_bytes)
        pickles = [name for name in archive.members if f"/{name}".endswith("/data.pkl")]
        if len(pickles) != 1:
            raise ValueError(
                f"not a PyTorch checkpoint: {len(pickles)} members named data.pkl, one is needed"
            )
        prefix = pickles[0].removesuffix("data.pkl")
        order = f"{prefix}byteorder"
        if order in archive.members and archive.read(order) != b"little":
            raise ValueError("a big-endian checkpoint is not supported")
        root = unpickle(io.BytesIO(archive.read(pickles[0])), _NAMES, self._storage)
        for storage in self._storages.values():
            storage.place = f"{prefix}data/{storage.key}"
            member = archive.members.get(storage.place)
            if member is None:
                raise ValueError(f"storage {shorten(storage.key)} is missing")
            if member.size != storage.raw_bytes:
                raise ValueError(
                    f"storage {shorten(storage.key)} has {member.size} bytes, its tensors say "
                    f"{storage.raw_bytes}"
                )
        return root

    def _storage(self, identity: Any) -> _Storage:
        """A persistent id: ("storage", type, key, device, elements[, None])."""
        if type(identity) is not tuple or len(identity) not in (5, 6) or identity[0] != "storage":
            raise ValueError("a persistent id that is not a storage is refused")
        _, element, key, _, length = identity[:5]
        if type(element) is not _Element or type(key) is not str or not _naturals((length,)):
            raise ValueError("malformed storage: wrong type, key or number of elements")
        if identity[5:] not in ((), (None,)):
            raise ValueError("a view of a storage is not supported")
        storage = self._storages.setdefault(key, _Storage(element, key, length))
        if storage.element is not element or storage.length != length:
            raise ValueError(f"storage {shorten(key)} is described in two ways")
        return storage

    def _fetch(self, entry: Entry, raw: np.ndarray) -> np.ndarray:
        tensor: _Tensor = entry.place
        storage = tensor.storage
        if self._archive is None:
            self._file.seek(int(storage.place) + tensor.offset * storage.element.stored.itemsize)
            if self._file.readinto(raw.data) != len(raw):
                raise ValueError("the file is truncated")
            start = 0
        else:
            stream = self._archive.open(str(storage.place))
            stream.readinto(raw.data)
            stream.finish()
            start = tensor.offset
        if 0 in entry.shape:
            return np.empty(entry.shape, entry.dtype)
        flat = _numbers(raw, storage.element)
        strides = tuple(step * flat.itemsize for step in tensor.strides)
        # this constructor checks once more that the view stays inside the buffer
        view = np.ndarray(entry.shape, flat.dtype, flat.data, start * flat.itemsize, strides)
        return np.require(view, requirements=["C"])


def _state_dict(root: Any) -> dict[str, _Tensor]:
    """The tensors of a checkpoint by name."""
    if type(root) is dict:
        root = next((root[key] for key in _WRAPPERS if type(root.get(key)) is dict), root)
    if type(root) is not dict:
        raise ValueError(f"the checkpoint is {shorten(root)}, not a dict of tensors")
    for name, tensor in root.items():
        if type(name) is not str or type(tensor) is not _Tensor:
            raise ValueError(f"entry {shorten(name)} is {shorten(tensor)}, not a tensor")
    return root


def _numbers(raw: np.ndarray, element: _Element) -> np.ndarray:
    """The bytes of a storage as a flat array."""
    if element.stored.kind == "u" and element.dtype.kind == "f":  # bfloat16: float32's upper half
        return widened(numbers(raw, element.stored))
    return numbers(raw, element.stored)


def _naturals(values: Any) -> bool:
    """Whether this is a tuple of integers from 0 up."""
    return type(values) is tuple and all(type(value) is int and value >= 0 for value in values)
