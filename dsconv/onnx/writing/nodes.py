"""Collect the nodes and initializers of an ONNX file, under unique names.

Maps are (N, C, H, W) in the file and (N, H, W, C) in our graphs. Tensors of any other rank are the
same in both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dsconv.compiler.weights import FoldedWeights
from dsconv.graph import Graph
from dsconv.layers import Shape

TO_CHANNELS_FIRST = (0, 3, 1, 2)
TO_CHANNELS_LAST = (0, 2, 3, 1)


def file_shape(shape: Shape) -> Shape:
    """Return the shape of a tensor in the file, without the batch."""
    return (shape[2], *shape[:2]) if len(shape) == 3 else shape


def file_axis(axis: int, rank: int) -> int:
    """Convert an axis of our graph, counted without the batch, to an axis of the file."""
    axis %= rank
    return TO_CHANNELS_FIRST.index(axis + 1) if rank == 3 else axis + 1


def begins_and_ends(pad: Sequence[tuple[int, int]]) -> list[int]:
    """Order ((top, bottom), (left, right)) as ONNX does: all beginnings, then all ends."""
    (top, bottom), (left, right) = pad
    return [top, left, bottom, right]


class FileContent:
    """The nodes and initializers of a file, in the order of the graph.

    Parameters
    ----------
    graph
        The graph, whose tensors keep their names.
    parameters
        The weights of the same graph.
    batch
        Images in a batch; None leaves it open.
    """

    def __init__(self, graph: Graph, parameters: FoldedWeights, batch: int | None) -> None:
        self.parameters, self.batch = parameters, batch
        self.nodes: list[Any] = []  # onnx.NodeProto
        self.initializers: list[Any] = []  # onnx.TensorProto
        self._taken = set(graph.nodes)
        self._taken.update(tensor for name in graph.nodes for tensor in graph.tensors(name))

    def unique(self, name: str) -> str:
        """Return `name`, with a number behind it if a layer or a tensor already has this name."""
        candidate, number = name, 1
        while candidate in self._taken:
            number += 1
            candidate = f"{name}_{number}"
        self._taken.add(candidate)
        return candidate


@dataclass
class LayerWriter:
    """Adds the nodes and initializers of one layer to a file."""

    file: FileContent
    name: str  # of the layer
    shapes: Sequence[Shape]  # of its inputs, in our layout
    outputs: Sequence[str]

    def node(self, operator: str, *inputs: str, part: str = "", **attributes: Any) -> str:
        """Add a node, and return the name of its first output.

        The last node of a layer has no `part`, and its outputs are those of the layer. The output
        of every other node is named "layer/part".
        """
        from onnx import helper

        outputs = [self.tensor(part)] if part else list(self.outputs)
        name = outputs[0] if len(outputs) == 1 else self.name
        self.file.nodes.append(helper.make_node(operator, inputs, outputs, name=name, **attributes))
        return outputs[0]

    def tensor(self, part: str) -> str:
        """Make a new name "layer/part"."""
        return self.file.unique(f"{self.name}/{part}")

    def constant(self, part: str, value: Any, dtype: Any = np.float32) -> str:
        """Add an initializer "layer/part", and return its name."""
        from onnx import numpy_helper

        name = self.tensor(part)
        array = np.ascontiguousarray(np.asarray(value, dtype))
        self.file.initializers.append(numpy_helper.from_array(array, name))
        return name

    def read(self, parameter: str) -> np.ndarray:
        """Read a parameter of the layer, in our layout."""
        return self.file.parameters.read(f"{self.name}/{parameter}")

    def parameter(self, parameter: str) -> str:
        """Add a parameter whose layout is the same in the file, and return its name."""
        return self.constant(parameter, self.read(parameter))
