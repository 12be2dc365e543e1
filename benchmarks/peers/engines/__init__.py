"""Find the engines, one file each. Every file has the same names:

    MODULE                      a program imports it to run the engine
    DISTRIBUTION                pip installs the engine under this name
    SETTINGS                    a note on its options for the report
    write(graph, weights, batch, stem) -> path     write the network as files that begin with `stem`
    load(path, threads, x) -> run                  load them; run() -> logits (N, classes)

x is the float32 batch (N, H, W, C). `load` brings it into the engine's own layout; `run` computes
and does nothing else. The engine itself is imported inside of these functions. A cold start goes
through this package, so it imports nothing that takes time.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

NAMES = ("dsconv", "dsconv_winograd", "litert", "onnxruntime", "openvino", "ncnn", "torch")


def engine(name: str) -> Any:
    """Return the module of an engine."""
    if name not in NAMES:
        raise ValueError(f"unknown engine {name!r}, known are {', '.join(NAMES)}")
    return import_module(f"{__name__}.{name}")


def installed(name: str) -> bool:
    """Return whether the engine can be imported, without importing it."""
    from importlib.util import find_spec

    return find_spec(engine(name).MODULE.partition(".")[0]) is not None


def version_of(name: str) -> str:
    """Return the engine's version, or "unknown"."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(engine(name).DISTRIBUTION)
    except PackageNotFoundError:
        return "unknown"
