"""dsconv: the graph as JSON, the weights as .npz."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

MODULE = "dsconv"
DISTRIBUTION = "dsconv"
SETTINGS = "compiled graph"


def write(graph: Any, weights: Mapping[str, Any], batch: int, stem: Path) -> Path:
    path = stem.with_suffix(".npz")
    stem.with_suffix(".json").write_text(graph.to_json(), encoding="utf-8")
    np.savez(path, **weights)
    return path


def load(
    path: Path, threads: int, x: np.ndarray, *, winograd: bool = False
) -> Callable[[], np.ndarray]:
    from dsconv.graph import Graph

    graph = Graph.from_json(path.with_suffix(".json").read_text(encoding="utf-8"))
    with np.load(path) as weights:
        model = graph.compile(dict(weights), threads, winograd=winograd)
    return lambda: model(x)
