"""A compiled model as its graph and vectors of float32, for pickles and files.

The weights are folded and packed already, as the steps take them. Kernels of the same widths read
them as they are; for others they are unpacked and packed again. Vectors are named after layers:

    STAGE:weight, STAGE:bias     of a fused layer's stage, packed and filled up with zeros
    NODE:weight, NODE:bias       of a batch norm left over, y = x * weight + bias
    NODE:weight                  of an L2 normalisation: its learned scale
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import NamedTuple

import numpy as np

from dsconv.compiler.fused import Fused, Stage
from dsconv.compiler.lowering import Lowered, lower
from dsconv.compiler.packings import Packing, Tiles, packings_of
from dsconv.kernels import dispatch
from dsconv.kernels.memory import Block
from dsconv.kernels.packing import PackedWeight, Widths, pack_named, round_up, unpack, unpack_bias
from dsconv.layers import Conv2D, Dense, DepthwiseConv2D
from dsconv.network.structure import Node, Structure

__all__ = ["Recipe", "array_names", "arrays_of", "in_one_block", "recipe_of", "restore"]

Arrays = Mapping[str, np.ndarray]


class Recipe(NamedTuple):
    """All of a compiled model but its arrays."""

    graph: Structure  # optimised
    tiles: Tiles  # of Winograd's algorithm, where it is used
    widths: Widths  # of the kernels that the weights are packed for


def recipe_of(lowered: Lowered) -> Recipe:
    """What the model was compiled with."""
    kernels = lowered.kernels
    tiles = {name: packing.tile for name, packing in lowered.packings.items() if packing.tile}
    return Recipe(lowered.graph, tiles, (kernels.lanes, kernels.block))


def array_names(lowered: Lowered) -> list[dict[str, str]]:
    """For every step: name of the array by name of the weight."""
    steps = iter(lowered.steps)
    return [
        {field: _array_name(lowered.graph.nodes[record.name], field) for field in step.weights}
        for record in lowered.records
        for step in islice(steps, record.steps)
    ]


def _array_name(node: Node, field: str) -> str:
    """`field` is weight or bias, with "mid_" or "in_" in front for the stages before the last."""
    stage, _, what = field.rpartition("_")
    owner = node.name
    if isinstance(node.layer, Fused):
        owner = node.layer.stages[{"in": 0, "mid": -2, "": -1}[stage]].name
    return f"{owner}:{what}"


def arrays_of(lowered: Lowered) -> dict[str, np.ndarray]:
    """Vector by name; no copies."""
    return {
        name: step.weights[field]
        for step, names in zip(lowered.steps, array_names(lowered), strict=True)
        for field, name in names.items()
    }


def in_one_block(arrays: Arrays) -> dict[str, np.ndarray]:
    """Copies side by side, as weights are read fastest."""
    block = Block(sum(round_up(len(array), 16) for array in arrays.values()))
    copies = {}
    for name, array in arrays.items():
        copies[name] = block(len(array))
        copies[name][...] = array
    return copies


def restore(recipe: Recipe, arrays: Arrays) -> Lowered:
    """Make the steps again, for the instruction set in use.

    Parameters
    ----------
    recipe
        As `recipe_of` made it.
    arrays
        As `arrays_of` made them; longer ones will do. Where the widths are those of the kernels,
        the packed weights stay where they are.

    Raises
    ------
    ValueError
        If the graph is not one that `passes.optimise` makes, or an array is missing or too short.
    """
    for node in recipe.graph.nodes.values():
        if isinstance(node.layer, (Conv2D, DepthwiseConv2D, Dense)):
            raise ValueError(f"layer {node.name!r} must be one of kind 'fused'")
    found, weights = packings_of(recipe.graph, recipe.tiles), _Weights(recipe, arrays)
    for name, packing in found.items():  # before memory is taken for them
        weights.check(name, packing)
    return lower(recipe.graph, weights, found)


class _Weights:
    """Stored arrays, as `lower` asks for weights."""

    def __init__(self, recipe: Recipe, arrays: Arrays) -> None:
        self._graph, self._widths, self._arrays = recipe.graph, recipe.widths, arrays
        self._as_they_are = self._widths == (dispatch.kernels.lanes, dispatch.kernels.block)

    def check(self, stage: str, packing: Packing) -> None:
        """ValueError unless the arrays of a stage are there."""
        self._array(f"{stage}:weight", packing.floats(self._widths))
        self._array(f"{stage}:bias", packing.bias_floats(self._widths))

    def packed(
        self, stage: Stage, packing: Packing, block: Block
    ) -> tuple[PackedWeight, np.ndarray | None]:
        name = f"{stage.name}:weight"
        data = self._array(name, packing.floats(self._widths))
        bias = self._array(f"{stage.name}:bias", packing.bias_floats(self._widths))
        plain = unpack_bias(bias, *packing)
        if self._as_they_are:
            data.flags.writeable = False
            return PackedWeight(*packing, dispatch.isa, data), plain
        weight = unpack(data, *packing, self._widths)
        return pack_named(weight, name, packing.kind, packing.groups, block), plain

    def norm(self, name: str, epsilon: float) -> tuple[np.ndarray, np.ndarray]:
        channels = self._channels(name)
        return self._array(f"{name}:weight", channels), self._array(f"{name}:bias", channels)

    def read(self, name: str) -> np.ndarray:
        layer = name.rpartition("/")[0]
        return self._array(f"{layer}:weight", self._channels(layer))

    def _channels(self, name: str) -> int:
        return self._graph.input_shapes(name)[0][-1]

    def _array(self, name: str, floats: int) -> np.ndarray:
        try:
            array = self._arrays[name]
        except KeyError:
            raise ValueError(f"array {name!r} is missing") from None
        if len(array) < floats:
            raise ValueError(f"array {name!r} must have {floats} values, got {len(array)}")
        return array[:floats]
