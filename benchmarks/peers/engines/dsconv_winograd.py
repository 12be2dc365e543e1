"""dsconv with Winograd's algorithm, an option that is off by default; not counted as a peer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.peers.engines import dsconv
from benchmarks.peers.engines.dsconv import DISTRIBUTION, MODULE, write

__all__ = ["DISTRIBUTION", "MODULE", "SETTINGS", "load", "write"]

SETTINGS = "compiled graph, winograd=True for plain 3x3 convolutions"


def load(path: Path, threads: int, x: np.ndarray) -> Callable[[], np.ndarray]:
    return dsconv.load(path, threads, x, winograd=True)
