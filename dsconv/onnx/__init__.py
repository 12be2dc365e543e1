"""Write graphs of dsconv as ONNX files, and run ONNX networks with dsconv.

Both need the package onnx, the optional extra "onnx", which is imported at the first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dsconv.onnx.reading.model import load_onnx
    from dsconv.onnx.writing.export import to_onnx, write_onnx

__all__ = ["load_onnx", "to_onnx", "write_onnx"]

_FILES = {
    "load_onnx": "reading.model",
    "to_onnx": "writing.export",
    "write_onnx": "writing.export",
}


def __getattr__(name: str) -> Any:
    if name not in _FILES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_FILES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
