"""How the kernels want each stage's weights: kind, shape and groups, known from shapes alone."""

from __future__ import annotations

from typing import NamedTuple

from dsconv.compiler.fused import Fused, Stage
from dsconv.graph import Graph
from dsconv.layers import Dense, DepthwiseConv2D, Shape
from dsconv.packing import Widths, packed_floats


class Packing(NamedTuple):
    """What `dsconv.packing` makes of a stage's weight."""

    kind: str
    shape: Shape  # for "winograd" of the transformed weight
    groups: int

    @property
    def tile(self) -> int:
        """Of Winograd's algorithm, or 0."""
        return self.shape[0] - 2 if self.kind == "winograd" else 0

    def floats(self, widths: Widths) -> int:
        """Size of the packed weight."""
        return packed_floats(self.shape, self.kind, self.groups, widths)


def packings(graph: Graph, winograd: bool) -> dict[str, Packing]:
    """By the name of the stage, for an optimised graph.

    Raises
    ------
    ValueError
        If two stages have one name.
    """
    found: dict[str, Packing] = {}
    for node in graph.nodes.values():
        if isinstance(node.layer, Fused):
            chain = node.layer.shapes(graph.input_shapes(node.name))
            for stage, shape in zip(node.layer.stages, chain, strict=False):
                if stage.name in found:
                    raise ValueError(f"two stages have the name {stage.name!r}")
                alone = winograd and len(node.layer.stages) == 1
                found[stage.name] = _packing(stage, shape, alone)
    return found


def _packing(stage: Stage, shape: Shape, winograd: bool) -> Packing:
    layer = stage.layer
    weight = layer.parameters([shape])["weight"]
    if isinstance(layer, Dense):
        return Packing("dense", weight, 1)
    if isinstance(layer, DepthwiseConv2D):
        return Packing("depthwise", weight, 1)
    if winograd:
        from dsconv._winograd import best_tile

        tile = best_tile(layer.window([shape]), shape[2], layer.filters, layer.groups)
        if tile:
            return Packing("winograd", (tile + 2, tile + 2, *weight[2:]), 1)
    return Packing("conv2d", weight, layer.groups)
