"""The features of a classifier: its steps up to the last fully connected layer."""

from __future__ import annotations

import math
from copy import copy

from dsconv.compiler.fused import Fused
from dsconv.compiler.lowering import Lowered, Record
from dsconv.compiler.rearranging import copy_step
from dsconv.layers import Dense, Flatten, Reshape, Softmax
from dsconv.network.structure import Node, Structure


def before_classifier(lowered: Lowered) -> Lowered:
    """The same steps and packed weights up to the last fully connected layer, and a copy."""
    graph, layout = lowered.graph, lowered.layout
    node = _node(graph, graph.outputs[0])
    while isinstance(node.layer, (Softmax, Flatten, Reshape)):
        node = _node(graph, node.inputs[0])
    if not (isinstance(node.layer, Fused) and isinstance(node.layer.last.layer, Dense)):
        raise ValueError(f"{graph.name}: layer {node.name!r} is no fully connected classifier")
    tensor = node.inputs[0]
    short = Structure(graph.name)
    for earlier in graph.nodes.values():
        if earlier.name == node.name:
            break
        short.add(earlier.layer, *earlier.inputs, name=earlier.name)
    short.output(tensor)
    names = [record.name for record in lowered.records]
    records = lowered.records[: names.index(node.name)]
    size = math.prod(graph.shape(tensor))
    output = 1 + len(graph.inputs), 0  # the first output follows the inputs
    step = copy_step(lowered.kernels, size, size, layout.place(tensor), output, (size,), (1,), (1,))
    result = copy(lowered)
    result.graph = short
    result.steps = [*lowered.steps[: sum(record.steps for record in records)], step]
    result.records = [*records, Record(tensor, "copy", 0, 0, 1)]
    return result


def _node(graph: Structure, tensor: str) -> Node:
    return graph.nodes[tensor.partition(":")[0]]
