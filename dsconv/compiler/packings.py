"""How the kernels want each stage's weights: kind, shape and groups, known from shapes alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from dsconv.compiler.fused import Fused, Stage
from dsconv.kernels.packing import Widths, bias_floats, packed_floats, runs_as
from dsconv.layers import Conv2D, Dense, DepthwiseConv2D, Shape
from dsconv.network.structure import Structure

Tiles = Mapping[str, int]  # of Winograd's algorithm, by the name of the stage
NO_TILES: Tiles = {}


class Packing(NamedTuple):
    """What `dsconv.kernels.packing` makes of a stage's weight: the first fields of a `PackedWeight`."""

    kind: str
    shape: Shape  # for "winograd" of the transformed weight
    groups: int

    @property
    def tile(self) -> int:
        """Of Winograd's algorithm, or 0."""
        return self.shape[0] - 2 if self.kind == "winograd" else 0

    def floats(self, widths: Widths) -> int:
        """Size of the packed weight."""
        return packed_floats(*self, widths)

    def bias_floats(self, widths: Widths) -> int:
        """Size of the bias beside it."""
        return bias_floats(*self, widths)


def packings_of(graph: Structure, tiles: Tiles = NO_TILES) -> dict[str, Packing]:
    """By the name of the stage, for an optimised graph.

    Raises
    ------
    ValueError
        If two stages have one name, or a stage does not run with its tile.
    """
    found: dict[str, Packing] = {}
    for stage, shape, alone in _stages(graph):
        if stage.name in found:
            raise ValueError(f"two stages have the name {stage.name!r}")
        packing = _packing(stage, shape)
        if tile := tiles.get(stage.name):
            packing = _transformed(packing, stage, shape, alone, tile)
        found[stage.name] = packing
    return found


def winograd_tiles(graph: Structure) -> dict[str, int]:
    """The stages for which Winograd's algorithm pays."""
    from dsconv.kernels.winograd import best_tile

    tiles = {}
    for stage, shape, alone in _stages(graph):
        layer = stage.layer
        if alone and isinstance(layer, Conv2D):
            place = layer.window([shape])
            tiles[stage.name] = best_tile(place, shape[2], layer.filters, layer.groups)
    return {name: tile for name, tile in tiles.items() if tile}


def _stages(graph: Structure) -> Iterator[tuple[Stage, Shape, bool]]:
    """Every stage with the shape of its input, and whether it is the only one of its node."""
    for node in graph.nodes.values():
        if isinstance(node.layer, Fused):
            chain = node.layer.shapes(graph.input_shapes(node.name))
            for stage, shape in zip(node.layer.stages, chain, strict=False):
                yield stage, shape, len(node.layer.stages) == 1


def _packing(stage: Stage, shape: Shape) -> Packing:
    layer = stage.layer
    weight = layer.parameters([shape])["weight"]
    if isinstance(layer, Dense):
        return Packing("dense", weight, 1)
    if isinstance(layer, DepthwiseConv2D):
        return Packing("depthwise", weight, 1)
    return Packing(*runs_as("conv2d", weight, layer.groups))


def _transformed(packing: Packing, stage: Stage, shape: Shape, alone: bool, tile: int) -> Packing:
    """For Winograd's algorithm; ValueError for a stage that does not run by it."""
    from dsconv.kernels.winograd import applies

    layer, side = stage.layer, tile + 2
    if (
        not alone
        or not isinstance(layer, Conv2D)
        or not applies(layer.window([shape]), layer.groups)
    ):
        raise ValueError(f"stage {stage.name!r} does not run by Winograd's algorithm, tile {tile}")
    return Packing("winograd", (side, side, *packing.shape[2:]), 1)
