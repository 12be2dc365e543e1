"""Writes PyTorch checkpoints byte by byte for the tests: the legacy and the zip format.

Stand-ins for PyTorch's classes carry its names while they are pickled; PyTorch is not needed.
"""

from __future__ import annotations

import contextlib
import io
import pickle
import sys
import types
import zipfile
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

import numpy as np

MAGIC = 0x1950A86A20F9469CFC6C
STORAGES = {
    "Float": "<f4",
    "Double": "<f8",
    "Half": "<f2",
    "BFloat16": "<u2",
    "Long": "<i8",
    "Int": "<i4",
    "Byte": "u1",
    "Bool": "?",
}


def _named(module: str, name: str) -> Any:
    """Make a class that pickle writes as module.name."""
    return type(name, (), {"__module__": module, "__qualname__": name})


REBUILD_OLD = _named("torch._utils", "_rebuild_tensor")
REBUILD = _named("torch._utils", "_rebuild_tensor_v2")
REBUILD_PARAMETER = _named("torch._utils", "_rebuild_parameter")
TYPES = {kind: _named("torch", f"{kind}Storage") for kind in STORAGES}


class Storage:
    """Numbers with a key; `length` and `view` are what the pickle says of them."""

    def __init__(self, kind: str, key: str, values: Any, length: Any = None) -> None:
        self.type = TYPES[kind]
        self.key = key
        self.bytes = np.asarray(values, STORAGES[kind]).tobytes()
        self.count = len(self.bytes) // np.dtype(STORAGES[kind]).itemsize
        self.length = self.count if length is None else length


class Call:
    """Pickled as function(*arguments)."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.reduced = (function, arguments)

    def __reduce__(self) -> Any:
        return self.reduced


def tensor(storage: Any, offset: Any, shape: Any, strides: Any, *more: Any, hooks: Any = None):
    """Make a view of a storage, pickled as PyTorch does."""
    hooks = OrderedDict() if hooks is None else hooks
    return Call(REBUILD, storage, offset, shape, strides, False, hooks, *more)


def full(kind: str, key: str, array: Any):
    """Make a contiguous tensor with a storage of its own."""
    array = np.asarray(array)
    strides = tuple(int(np.prod(array.shape[i + 1 :])) for i in range(array.ndim))
    return tensor(Storage(kind, key, array), 0, array.shape, strides)


def parameter(data: Any):
    return Call(REBUILD_PARAMETER, data, True, OrderedDict())


@contextlib.contextmanager
def _torch() -> Iterator[None]:
    modules = {"torch": types.ModuleType("torch"), "torch._utils": types.ModuleType("torch._utils")}
    for stand_in in (REBUILD_OLD, REBUILD, REBUILD_PARAMETER, *TYPES.values()):
        setattr(modules[stand_in.__module__], stand_in.__name__, stand_in)
    real = {name: sys.modules.get(name) for name in modules}
    sys.modules.update(modules)
    try:
        yield
    finally:
        for name, module in real.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


def pickled(root: Any, protocol: int, legacy: bool) -> tuple[bytes, dict[str, Storage]]:
    """Pickle a checkpoint; return the bytes and the storages that it names."""
    storages: dict[str, Storage] = {}

    class Pickler(pickle.Pickler):
        def persistent_id(self, value: Any) -> Any:
            if not isinstance(value, Storage):
                return None
            storages[value.key] = value
            identity = ("storage", value.type, value.key, "cpu", value.length)
            return (*identity, None) if legacy else identity

    out = io.BytesIO()
    with _torch():
        Pickler(out, protocol).dump(root)
    return out.getvalue(), storages


def legacy(
    root: Any,
    protocol: int = 2,
    *,
    version: Any = 1001,
    system: Any = None,
    keys: Any = None,
    data: bytes | None = None,
) -> bytes:
    """Write the legacy format; the keywords replace parts of it."""
    if data is None:
        data, storages = pickled(root, protocol, legacy=True)
    else:
        storages = {}
    system = {"protocol_version": 1001, "little_endian": True} if system is None else system
    keys = sorted(storages) if keys is None else keys
    parts = [pickle.dumps(part, 2) for part in (MAGIC, version, system)]
    parts += [data, pickle.dumps(keys, 2)]
    for key in keys:
        if key in storages:
            parts += [storages[key].count.to_bytes(8, "little"), storages[key].bytes]
    return b"".join(parts)


def zipped(
    root: Any,
    protocol: int = 2,
    *,
    byteorder: bytes | None = b"little",
    data: bytes | None = None,
    without: str = "",
    compression: int = zipfile.ZIP_STORED,
) -> bytes:
    """Write the zip format; keywords replace parts of it, `without` leaves a storage out."""
    if data is None:
        data, storages = pickled(root, protocol, legacy=False)
    else:
        storages = {}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        archive.writestr("net/data.pkl", data)
        if byteorder is not None:
            archive.writestr("net/byteorder", byteorder)
        for key, storage in storages.items():
            if key != without:
                archive.writestr(f"net/data/{key}", storage.bytes)
        archive.writestr("net/version", b"3\n")
    return out.getvalue()
