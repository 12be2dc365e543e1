"""A compiled network against its interpretation, one layer of the optimised graph at a time.

Error bounds that go through a whole network grow without use: each layer multiplies them by the sum
of its |weights|. So the graph is cut at the tensors that the optimised graph still has. Every part
is compiled alone and run on float32 inputs, those that the parts before gave, and compared with
the interpretation of exactly these inputs within the bounds of this one part. The whole model must
then have the bits of the chain: whatever the order of memory, nothing else may happen in it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from bounds import interpret_with_bounds
from compiled import assert_bits, outputs
from tolerance import assert_close

from dsconv.compiler.passes import optimise
from dsconv.graph import Graph
from dsconv.layers import Input

Tensors = dict[str, np.ndarray]


def assert_layers_and_whole(
    graph: Graph, weights: Mapping[str, np.ndarray], x: tuple[np.ndarray, ...]
) -> None:
    """Check each layer within its own bound, and the compiled graph as the chain of them."""
    tensors = assert_layers(graph, weights, x)
    assert_bits(outputs(graph.compile(weights), x), tuple(tensors[name] for name in graph.outputs))


def assert_layers(
    graph: Graph, weights: Mapping[str, np.ndarray], x: tuple[np.ndarray, ...]
) -> Tensors:
    """Run and check layer by layer; every tensor of the optimised graph."""
    tensors: Tensors = dict(zip(graph.inputs, x, strict=True))
    optimised = optimise(graph)
    for name, node in optimised.nodes.items():
        if isinstance(node.layer, Input):
            continue
        wanted = graph.tensors(name)
        part, inputs = part_of(graph, wanted, set(tensors))
        one = optimise(part)
        assert len(one.nodes) - len(one.inputs) == 1, f"{name} is not optimised as in the whole"
        own = {parameter: weights[parameter] for parameter in part.parameters()}
        arrays = tuple(tensors[tensor] for tensor in inputs)
        results = outputs(part.compile(own), arrays)
        expected = interpret_with_bounds(part, own, arrays)
        for tensor, y, (value, bound) in zip(wanted, results, expected, strict=True):
            try:
                assert_close(y, value, bound)
            except AssertionError as error:
                raise AssertionError(f"{tensor} ({node.layer.label}): {error}") from None
            tensors[tensor] = y
    return tensors


def part_of(
    graph: Graph, wanted: tuple[str, ...], known: set[str]
) -> tuple[Graph, tuple[str, ...]]:
    """Return the layers that compute `wanted` from known tensors, and which ones they take."""
    needed: set[str] = set()
    inputs: dict[str, str] = {}  # tensor of the graph -> input of the part
    queue = list(wanted)
    while queue:
        node = graph.nodes[queue.pop().partition(":")[0]]
        if node.name not in needed:
            needed.add(node.name)
            queue += [tensor for tensor in node.inputs if tensor not in known]
    part = Graph(graph.name)
    for name, node in graph.nodes.items():
        for tensor in node.inputs if name in needed else ():
            if tensor in known and tensor not in inputs:
                inputs[tensor] = part.input(graph.shape(tensor), name=f"given {len(inputs)}")
    for name, node in graph.nodes.items():
        if name in needed:
            part.add(node.layer, *(inputs.get(t, t) for t in node.inputs), name=name)
    part.output(*wanted)
    return part, tuple(inputs)
