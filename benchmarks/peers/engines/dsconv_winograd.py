"""Run dsconv with Winograd's algorithm, an option that is off by default; it is not a peer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.peers.engines import dsconv
from benchmarks.peers.engines.dsconv import DISTRIBUTION, MODULE, load

__all__ = ["DISTRIBUTION", "MODULE", "SETTINGS", "load", "write"]

SETTINGS = "compiled graph, winograd=True for plain 3x3 convolutions"


def write(graph: Any, weights: Mapping[str, Any], batch: int, stem: Path) -> Path:
    return dsconv.write(graph, weights, batch, stem, winograd=True)
