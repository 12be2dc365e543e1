"""dsconv: convolutions for MobileNet-style networks, in NumPy and Cython."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from dsconv._dispatch import get_num_threads, set_num_threads, show_config

__version__ = "0.1.0"

__all__ = [
    "Graph",
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
    "load",
    "models",
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

if TYPE_CHECKING:
    from dsconv import cost, functional, models, pretrained, reference
    from dsconv.comparison import table
    from dsconv.explanation import explain
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
    from dsconv.loading import load
    from dsconv.saving import save
else:
    # Imported at first use: a program that runs a model out of a file needs none of it.
    _MODULES = ("cost", "functional", "models", "pretrained", "reference")
    _HOMES = {
        "Graph": "graph",
        "explain": "explanation",
        "load": "loading",
        "save": "saving",
        "table": "comparison",
    }

    def __getattr__(name: str) -> Any:
        if name in _MODULES:
            return importlib.import_module(f"dsconv.{name}")
        if name not in __all__:
            raise AttributeError(f"module 'dsconv' has no attribute {name!r}")
        home = importlib.import_module(f"dsconv.{_HOMES.get(name, 'functional')}")
        value = globals()[name] = getattr(home, name)
        return value
