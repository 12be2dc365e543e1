"""Turn a graph into a short list of operations of every engine: batch norms folded, clips fused.

The writers of files for other engines start from here. Only the layers of the compared networks
are known: convolution, depthwise convolution, dense, add, max pool, global average pool.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from dsconv.compiler.fused import Fused
from dsconv.compiler.passes import LAYERWISE, optimise
from dsconv.compiler.weights import FoldedWeights
from dsconv.graph import Graph
from dsconv.layers import Add, GlobalAveragePool, Input, Layer, MaxPool, Shape

Clip = tuple[float, float]


class Operation(NamedTuple):
    """Describe one operation, whose output tensor has its name.

    Attributes
    ----------
    name : str
    layer : Input, Conv2D, DepthwiseConv2D, Dense, Add, MaxPool or GlobalAveragePool
    inputs : names of operations
    shape : of the first input, for one image
    output : shape of the output, for one image
    clip : (low, high) of the fused activation, or None
    weight : in the layout of the layer, batch norm folded in; None where there is none
    bias : (channels,), zeros where the layer has none; None beside no weight
    """

    name: str
    layer: Layer
    inputs: tuple[str, ...]
    shape: Shape
    output: Shape
    clip: Clip | None = None
    weight: np.ndarray | None = None
    bias: np.ndarray | None = None


def folded(graph: Graph, weights: Mapping[str, Any]) -> list[Operation]:
    """Return the operations in their order; the last one makes the graph's only output.

    Raises
    ------
    ValueError
        Names a layer that the writers do not know.
    """
    parameters = FoldedWeights(graph, weights)
    merged = optimise(graph, LAYERWISE)
    operations = []
    for name, node in merged.nodes.items():
        layer, shapes, output = node.layer, merged.input_shapes(name), merged.shape(name)
        shape = shapes[0] if shapes else output
        if isinstance(layer, Fused):
            weight, bias = parameters.folded(layer.last)
            inner = layer.last.layer
            if bias is None:
                bias = np.zeros(output[-1], np.float32)
            if getattr(inner, "groups", 1) > 1:
                raise ValueError(f"layer {name!r}: grouped convolutions are not written")
            operation = Operation(name, inner, node.inputs, shape, output, inner.clip, weight, bias)
        elif isinstance(layer, Add):
            operation = Operation(name, layer, node.inputs, shape, output, layer.clip)
        elif isinstance(layer, (Input, MaxPool, GlobalAveragePool)):
            operation = Operation(name, layer, node.inputs, shape, output)
        else:
            raise ValueError(f"layer {name!r}: the kind {layer.kind!r} is not written")
        operations.append(operation)
    return operations
