"""Graphs that differ from a given one in a single rule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from dsconv.graph import Graph


def changed(graph: Graph, change: Callable[[Any], Any]) -> Graph:
    """Replace every layer by `change(layer)`."""
    result = Graph(graph.name)
    for node in graph.nodes.values():
        result.add(change(node.layer), *node.inputs, name=node.name)
    result.output(*graph.outputs)
    return result


def without_bound(graph: Graph) -> Graph:
    """Put ReLU in the place of ReLU6."""
    return changed(graph, lambda x: replace(x, high=np.inf) if x.kind == "clip" else x)


def with_epsilon(graph: Graph, epsilon: float) -> Graph:
    return changed(graph, lambda x: replace(x, epsilon=epsilon) if x.kind == "batch_norm" else x)


def with_padding(graph: Graph, padding: Any) -> Graph:
    """Change the padding of every 3x3 kernel."""

    def change(layer: Any) -> Any:
        return replace(layer, padding=padding) if getattr(layer, "kernel", 0) == (3, 3) else layer

    return changed(graph, change)


def padded_below(graph: Graph) -> Graph:
    """Pad only below and on the right in front of strided depthwise convolutions."""

    def change(layer: Any) -> Any:
        if layer.kind == "depthwise_conv2d" and layer.stride == (2, 2):
            return replace(layer, padding=((0, 1), (0, 1)))
        return layer

    return changed(graph, change)
