"""dsconv: convolutions for MobileNet-style networks, in NumPy and Cython."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from dsconv.kernels.config import show_config
from dsconv.kernels.threads import get_num_threads, set_num_threads
from dsconv.version import VERSION as __version__

if TYPE_CHECKING:
    from dsconv import cost, functional, images, models, onnx, reference
    from dsconv.counts.explain import explain
    from dsconv.counts.table import table
    from dsconv.files import pretrained
    from dsconv.files.load import load
    from dsconv.files.save import save
    from dsconv.functional import (
        add,
        batch_norm,
        conv2d,
        dense,
        depthwise_conv2d,
        global_average_pool,
        pack,
        pointwise_conv2d,
        separable_conv2d,
        softmax,
    )
    from dsconv.graph import Graph

__all__ = [
    "Graph",
    "__version__",
    "add",
    "batch_norm",
    "conv2d",
    "cost",
    "dense",
    "depthwise_conv2d",
    "explain",
    "functional",
    "get_num_threads",
    "global_average_pool",
    "images",
    "load",
    "models",
    "onnx",
    "pack",
    "pointwise_conv2d",
    "pretrained",
    "reference",
    "save",
    "separable_conv2d",
    "set_num_threads",
    "show_config",
    "softmax",
    "table",
]

# Everything is imported at its first use, because a program that runs a model out of a file needs
# little of it.
_MODULES = {
    "cost": "dsconv.cost",
    "functional": "dsconv.functional",
    "images": "dsconv.images",
    "models": "dsconv.models",
    "onnx": "dsconv.onnx",
    "pretrained": "dsconv.files.pretrained",
    "reference": "dsconv.reference",
}
_HOMES = {
    "Graph": "dsconv.graph",
    "explain": "dsconv.counts.explain",
    "load": "dsconv.files.load",
    "save": "dsconv.files.save",
    "table": "dsconv.counts.table",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'dsconv' has no attribute {name!r}")
    if name in _MODULES:
        value = importlib.import_module(_MODULES[name])
    else:
        value = getattr(importlib.import_module(_HOMES.get(name, "dsconv.functional")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
