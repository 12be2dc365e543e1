"""Compile a graph and compare it with its interpretation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from bounds import interpret_with_bounds
from random_graphs import random_inputs
from tolerance import assert_close

from dsconv.graph import Graph

Arrays = tuple[np.ndarray, ...]


def outputs(model: Any, x: Arrays) -> Arrays:
    y = model(x)
    return y if isinstance(y, tuple) else (y,)


def assert_bits(actual: Any, expected: Any) -> None:
    """Compare arrays or tuples of arrays, bit for bit."""
    assert isinstance(actual, tuple) == isinstance(expected, tuple)
    if not isinstance(actual, tuple):
        actual, expected = (actual,), (expected,)
    for a, b in zip(actual, expected, strict=True):
        assert a.shape == b.shape and a.dtype == b.dtype == np.float32
        np.testing.assert_array_equal(a.view(np.uint32), b.view(np.uint32))


def assert_compiles(graph: Graph, weights: Mapping[str, np.ndarray], x: Arrays) -> Arrays:
    """Check that the compiled graph is within the interpreter's bounds; return its outputs."""
    model = graph.compile(weights)
    assert tuple(model.outputs) == graph.outputs
    results = outputs(model, x)
    expected = interpret_with_bounds(graph, weights, x)
    for y, (value, bound) in zip(results, expected, strict=True):
        assert_close(y, value, bound)
    return results


def small_graph() -> tuple[Graph, str]:
    graph = Graph()
    return graph, graph.input((5, 7, 6))


def check(graph: Graph) -> None:
    """Check against the interpretation, with weights that keep every channel alive."""
    assert_compiles(graph, graph.init_weights(3), random_inputs(graph, 3))


def mult_adds(graph: Graph) -> int:
    """Count the multiply-adds of a graph, optimised or not."""
    return sum(node.layer.mult_adds(graph.input_shapes(name)) for name, node in graph.nodes.items())
