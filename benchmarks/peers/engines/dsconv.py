"""Run dsconv: a compiled model, .dsconv."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

MODULE = "dsconv"
DISTRIBUTION = "dsconv"
SETTINGS = "compiled graph"


def write(
    graph: Any, weights: Mapping[str, Any], batch: int, stem: Path, *, winograd: bool = False
) -> Path:
    import dsconv

    path = stem.with_suffix(".dsconv")
    dsconv.save(graph.compile(weights, winograd=winograd), path)
    return path


def load(path: Path, threads: int, x: np.ndarray) -> Callable[[], np.ndarray]:
    import dsconv

    model = dsconv.load(path, threads)
    return lambda: model(x)
