"""What an exported ONNX file is collected from: nodes, initializers, and names that are unique.

Maps are (N, C, H, W) in the file and (N, H, W, C) in our graphs; tensors of any other rank are
the same in both.
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
    """The shape of a tensor in the file, without the batch."""
    return (shape[2], *shape[:2]) if len(shape) == 3 else shape


def file_axis(axis: int, rank: int) -> int:
    """An axis of a tensor of our graph, counted without the batch, as an axis in the file."""
    axis %= rank
    return TO_CHANNELS_FIRST.index(axis + 1) if rank == 3 else axis + 1


def begins_and_ends(pad: Sequence[tuple[int, int]]) -> list[int]:
    """((top, bottom), (left, right)) in ONNX's order: all beginnings, then all ends."""
    (top, bottom), (left, right) = pad
    return [top, left, bottom, right]


class Collection:
    """Nodes and initializers in the order of the graph, under the graph's own names.

    Parameters
    ----------
    graph
        Its tensors keep their names.
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
        """`name`, with a number behind it where a layer or a tensor has this name."""
        candidate, number = name, 1
        while candidate in self._taken:
            number += 1
            candidate = f"{name}_{number}"
        self._taken.add(candidate)
        return candidate


@dataclass
class Place:
    """Where a layer stands: its name, and the names and shapes (ours) around it."""

    collection: Collection
    name: str
    shapes: Sequence[Shape]  # of the inputs
    outputs: Sequence[str]

    def emit(self, operator: str, *inputs: str, part: str = "", **attributes: Any) -> str:
        """Add a node; its output.

        Without `part` it is the layer's last one and makes the layer's outputs; the tensors
        between have names of their own, "layer/part".
        """
        from onnx import helper

        outputs = [self.tensor(part)] if part else list(self.outputs)
        name = outputs[0] if len(outputs) == 1 else self.name
        self.collection.nodes.append(
            helper.make_node(operator, inputs, outputs, name=name, **attributes)
        )
        return outputs[0]

    def tensor(self, part: str) -> str:
        """A new name "layer/part"."""
        return self.collection.unique(f"{self.name}/{part}")

    def constant(self, part: str, value: Any, dtype: Any = np.float32) -> str:
        """Add an initializer "layer/part"; its name."""
        from onnx import numpy_helper

        name = self.tensor(part)
        array = np.ascontiguousarray(np.asarray(value, dtype))
        self.collection.initializers.append(numpy_helper.from_array(array, name))
        return name

    def read(self, parameter: str) -> np.ndarray:
        """A parameter of the layer in our layout."""
        return self.collection.parameters.read(f"{self.name}/{parameter}")

    def parameter(self, parameter: str) -> str:
        """A parameter whose layout is the same in the file, as an initializer."""
        return self.constant(parameter, self.read(parameter))
