"""Read PyTorch checkpoints (.pth, .pt) without PyTorch: a state dict of tensors, zip or legacy.

Both formats are a pickle that describes the tensors and, apart from it, the raw bytes of their
storages. The pickle is read by `unpickle` (which says why not by the standard library); it lets
the names through that rebuild tensors, and nothing else. A tensor here is a view of a storage
(offset, shape, strides in elements). Every view is checked against its storage, and every storage
against the file, before memory is asked for.

- *zip*: members `NAME/data.pkl`, `NAME/data/KEY` and `NAME/byteorder`;
- *legacy*: five pickles (magic number, protocol version, system information, the object, the keys
  of the storages), then each storage as its number of elements (int64) and its bytes.

Big-endian files are refused. Layout: torch/serialization.py, torch/_utils.py.
"""

from __future__ import annotations

import io
from typing import Any, NamedTuple

import numpy as np

from dsconv.weights.file import (
    BFLOAT16,
    Entry,
    WeightFile,
    are_naturals,
    array_bytes,
    dtype_of,
    fill_from,
    shorten,
)
from dsconv.weights.unpickle import unpickle
from dsconv.weights.zip_archive import Archive

__all__ = ["LegacyPthFile", "PthFile"]

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_WRAPPERS = ("state_dict", "model_state_dict", "model")  # under which trainers put a state dict


class _Storage:
    """Describe a run of numbers in the file, named by its key."""

    __slots__ = ("key", "length", "place", "stored")

    def __init__(self, stored: np.dtype, key: str, length: int) -> None:
        self.stored = stored
        self.key = key
        self.length = length  # elements
        self.place: Any = None  # offset in the file, or the member of the archive

    @property
    def raw_bytes(self) -> int:
        return self.length * self.stored.itemsize


class _Tensor(NamedTuple):
    """Describe a view of a storage, counted in elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    span: int  # from the first element to the last


def _rebuild_tensor(arguments: tuple[Any, ...]) -> _Tensor:
    """Stand for torch._utils._rebuild_tensor(storage, offset, shape, strides), checked."""
    if len(arguments) != 4 or type(arguments[0]) is not _Storage:
        raise ValueError("malformed tensor: wrong arguments")
    storage, offset, shape, strides = arguments
    if not all(are_naturals(values, tuple) for values in (shape, strides, (offset,))):
        raise ValueError("malformed tensor: offset, shape and strides must be integers from 0 up")
    if len(shape) != len(strides):
        raise ValueError(f"malformed tensor: {len(shape)} extents and {len(strides)} strides")
    array_bytes(shape, dtype_of(storage.stored))
    steps = zip(shape, strides, strict=True)
    span = 0 if 0 in shape else 1 + sum((extent - 1) * stride for extent, stride in steps)
    if offset + span > storage.length:
        raise ValueError(
            f"a tensor reaches element {offset + span} of storage {shorten(storage.key)}, "
            f"which has {storage.length}"
        )
    return _Tensor(storage, offset, shape, strides, span)


def _rebuild_tensor_v2(arguments: tuple[Any, ...]) -> _Tensor:
    """Take requires_grad, hooks and, in newer files, metadata behind `_rebuild_tensor`'s own."""
    if not 6 <= len(arguments) <= 7:
        raise ValueError("malformed tensor: wrong arguments")
    if any(more is not None and more != {} for more in arguments[5:]):
        raise ValueError("a tensor with hooks or metadata is refused")
    return _rebuild_tensor(arguments[:4])


def _rebuild_parameter(arguments: tuple[Any, ...]) -> _Tensor:
    """Stand for torch._utils._rebuild_parameter(tensor, ...): return the tensor itself."""
    if len(arguments) != 3 or type(arguments[0]) is not _Tensor:
        raise ValueError("malformed parameter: wrong arguments")
    return arguments[0]


def _ordered_dict(arguments: tuple[Any, ...]) -> dict[Any, Any]:
    """Stand for collections.OrderedDict(), which the pickle fills; Python 2 gives pairs."""
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


_STORAGE_TYPES = {
    "torch.FloatStorage": np.dtype("<f4"),
    "torch.DoubleStorage": np.dtype("<f8"),
    "torch.HalfStorage": np.dtype("<f2"),
    "torch.BFloat16Storage": BFLOAT16,
    "torch.LongStorage": np.dtype("<i8"),
    "torch.IntStorage": np.dtype("<i4"),
    "torch.ByteStorage": np.dtype("u1"),
    "torch.BoolStorage": np.dtype("?"),
}
_NAMES: dict[str, Any] = {
    "torch._utils._rebuild_tensor": _rebuild_tensor,
    "torch._utils._rebuild_tensor_v2": _rebuild_tensor_v2,
    "torch._utils._rebuild_parameter": _rebuild_parameter,
    "collections.OrderedDict": _ordered_dict,
    **_STORAGE_TYPES,
}


class PthFile(WeightFile):
    """Read a PyTorch checkpoint, a zip archive; see `WeightFile`.

    The checkpoint is a dict of tensors, or a dict with such a dict under "state_dict",
    "model_state_dict" or "model". Dtypes: float64, float32, float16, bfloat16 (read as float32),
    int64, int32, uint8, bool.
    """

    def _scan(self) -> dict[str, Entry]:
        self._storages: dict[str, _Storage] = {}
        return {name: self._entry_of(tensor) for name, tensor in _state_dict(self._root()).items()}

    def _entry_of(self, tensor: _Tensor) -> Entry:
        """Return the place of the whole storage, because its checksum covers all of it."""
        storage, offset, shape, strides, _ = tensor
        return Entry(shape, storage.stored, storage.raw_bytes, storage.place, offset, strides)

    def _root(self) -> Any:
        """Return the object in the file; its tensors know their storages' places."""
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

    def _fill(self, place: Any, raw: np.ndarray) -> None:
        self._archive.readinto(place, raw.data)

    def _storage(self, identity: Any) -> _Storage:
        """Return what a persistent id names: ("storage", type, key, device, elements[, None])."""
        if type(identity) is not tuple or len(identity) not in (5, 6) or identity[0] != "storage":
            raise ValueError("a persistent id that is not a storage is refused")
        _, stored, key, _, length = identity[:5]
        well_typed = isinstance(stored, np.dtype) and type(key) is str
        if not well_typed or not are_naturals((length,), tuple):
            raise ValueError("malformed storage: wrong type, key or number of elements")
        if identity[5:] not in ((), (None,)):
            raise ValueError("a view of a storage is not supported")
        storage = self._storages.setdefault(key, _Storage(stored, key, length))
        if storage.stored is not stored or storage.length != length:
            raise ValueError(f"storage {shorten(key)} is described in two ways")
        return storage


class LegacyPthFile(PthFile):
    """Read a PyTorch checkpoint of the legacy format; see `PthFile`."""

    def _root(self) -> Any:
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

    def _entry_of(self, tensor: _Tensor) -> Entry:
        """Return the tensor's own span as what is to be read."""
        storage, offset, shape, strides, span = tensor
        size = storage.stored.itemsize
        place = storage.place + offset * size
        return Entry(shape, storage.stored, span * size, place, 0, strides)

    def _fill(self, place: Any, raw: np.ndarray) -> None:
        fill_from(self._file, place, raw)


def _state_dict(root: Any) -> dict[str, _Tensor]:
    """Return the tensors of a checkpoint by name."""
    if type(root) is dict:
        root = next((root[key] for key in _WRAPPERS if type(root.get(key)) is dict), root)
    if type(root) is not dict:
        raise ValueError(f"the checkpoint is {shorten(root)}, not a dict of tensors")
    for name, tensor in root.items():
        if type(name) is not str or type(tensor) is not _Tensor:
            raise ValueError(f"entry {shorten(name)} is {shorten(tensor)}, not a tensor")
    return root
