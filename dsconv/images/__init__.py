"""Pictures as networks expect them: read from files, resized, cropped and normalised."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dsconv.images.class_names import labels
    from dsconv.images.decode import load
    from dsconv.images.preprocessing import (
        central_crop,
        normalise,
        preprocess,
        resize,
        resize_short_side,
    )

__all__ = [
    "central_crop",
    "labels",
    "load",
    "normalise",
    "preprocess",
    "resize",
    "resize_short_side",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    file = {"load": "decode", "labels": "class_names"}.get(name, "preprocessing")
    return getattr(import_module(f"{__name__}.{file}"), name)


def __dir__() -> list[str]:
    return __all__
