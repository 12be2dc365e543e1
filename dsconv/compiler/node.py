"""PlacedNode: one node of an optimised graph, with all that planning its steps takes."""

from __future__ import annotations

import math
from typing import Any

from dsconv.compiler.places import Places
from dsconv.compiler.weights import FoldedWeights
from dsconv.kernels.named_program import Place
from dsconv.kernels.plans import StepPlan
from dsconv.kernels.steps import geometry
from dsconv.layers import Shape
from dsconv.network.structure import Node, Structure

Map = tuple[int, int, int]


class PlacedNode:
    """A layer, the shapes and places of its inputs and outputs, and the graph's weights."""

    def __init__(
        self, graph: Structure, places: Places, node: Node, weights: FoldedWeights, winograd: bool
    ) -> None:
        self.name, self.layer = node.name, node.layer
        self.weights, self.winograd = weights, winograd
        tensors = graph.tensors(node.name)
        self.shapes = graph.input_shapes(node.name)
        self.output_shapes = [graph.shape(tensor) for tensor in tensors]
        self.inputs = [places.place(tensor) for tensor in node.inputs]
        self.outputs = [places.place(tensor) for tensor in tensors]

    def step(
        self,
        op: str,
        shape: Map | None = None,
        output: Map | None = None,
        x: Place | None = None,
        residual: Place | None = None,
        weights: Any = dict,
        **fields: Any,
    ) -> StepPlan:
        """Plan a step from the first input, and the second if there is one, to the first output."""
        if residual is None and len(self.inputs) > 1:
            residual = self.inputs[1]
        numbers = geometry(
            shape or as_map(self.shapes[0]), output or as_map(self.output_shapes[0]), **fields
        )
        return StepPlan(
            op, numbers, x or self.inputs[0], self.outputs[0], residual, weights=weights
        )


def as_map(shape: Shape) -> Map:
    """Return any shape as (H, W, C) with the same last axis."""
    return (1, math.prod(shape[:-1]), shape[-1]) if len(shape) != 3 else tuple(shape)  # type: ignore
