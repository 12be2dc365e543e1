"""What a compiled model is made of, as plain values for pickles and files.

The weights are folded and packed already. Kernels of the same widths read them as they are; for
others they are unpacked and packed again. Arrays are named after layers, whose names have no ":":

    STAGE:weight   float32, packed      NORM:factor, NORM:shift   float64, of a batch norm left over
    STAGE:bias     float32              NAME/scale:value          float32, a learned scale
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from dsconv import _dispatch
from dsconv.compiler.fused import Fused, Stage
from dsconv.compiler.lowering import Lowered, Packings, lower
from dsconv.compiler.packings import Packing, Tiles, packings_of
from dsconv.graph import Graph
from dsconv.layers import BatchNorm, Conv2D, Dense, DepthwiseConv2D
from dsconv.packing import Block, PackedWeight, Widths, pack_named, unpack

__all__ = ["COMPILED", "Recipe", "Sizes", "arrays_of", "recipe_of", "restore"]

# The entry of a file that holds a compiled model, see `dsconv.compiled`. It is here because loading
# other files must not import that.
COMPILED = "dsconv.model"

Sizes = dict[str, tuple[int, np.dtype]]  # number of values and dtype, by name of the array
_FLOAT, _DOUBLE = np.dtype(np.float32), np.dtype(np.float64)


class Recipe(NamedTuple):
    """All of a compiled model but its arrays."""

    graph: Graph  # optimised
    tiles: Tiles  # of Winograd's algorithm, where it is used
    widths: Widths  # of the kernels that the weights are packed for


def recipe_of(lowered: Lowered) -> Recipe:
    """What the model was compiled with."""
    kernels = lowered.kernels
    tiles = {name: packing.tile for name, packing in lowered.packings.items() if packing.tile}
    return Recipe(lowered.graph, tiles, (kernels.lanes, kernels.block))


def arrays_of(lowered: Lowered) -> dict[str, np.ndarray]:
    """Vector by name; no copies."""
    arrays = {}
    for name, (packed, bias) in lowered.packed.items():
        arrays[f"{name}:weight"] = packed.data
        if bias is not None:
            arrays[f"{name}:bias"] = bias
    for name, (factor, shift) in lowered.norms.items():
        arrays[f"{name}:factor"], arrays[f"{name}:shift"] = factor, shift
    for name, value in lowered.plain.items():
        arrays[f"{name}:value"] = value
    return arrays


def restore(
    recipe: Recipe, check: Callable[[Sizes], object], fill: Callable[[str, np.ndarray], object]
) -> Lowered:
    """Make the steps again, for the instruction set in use.

    Parameters
    ----------
    recipe
        As `recipe_of` made it.
    check
        `check(sizes)` raises where the arrays are not those that belong to the recipe.
    fill
        `fill(name, out)` then writes one of them into a vector of its size and dtype.

    Raises
    ------
    ValueError
        If the graph is not one that `passes.optimise` makes.
    """
    found = packings_of(recipe.graph, recipe.tiles)
    sizes = _sizes(recipe, found)
    check(sizes)
    return lower(recipe.graph, _Weights(recipe.widths, sizes, fill), found)


def _sizes(recipe: Recipe, found: Packings) -> Sizes:
    """The arrays that belong to a recipe."""
    graph = recipe.graph
    sizes: Sizes = {}
    for node in graph.nodes.values():
        if isinstance(node.layer, Fused):
            for stage in node.layer.stages:
                packing = found[stage.name]
                sizes[f"{stage.name}:weight"] = packing.floats(recipe.widths), _FLOAT
                if stage.layer.bias or stage.norm is not None:
                    sizes[f"{stage.name}:bias"] = _channels(packing), _FLOAT
        elif isinstance(node.layer, BatchNorm):
            channels = graph.input_shapes(node.name)[0][-1]
            sizes[f"{node.name}:factor"] = sizes[f"{node.name}:shift"] = channels, _DOUBLE
        elif isinstance(node.layer, (Conv2D, DepthwiseConv2D, Dense)):
            raise ValueError(f"layer {node.name!r} must be one of kind 'fused'")
        else:
            for name, shape in node.layer.parameters(graph.input_shapes(node.name)).items():
                (size,) = shape  # only L2Normalize has any, a vector
                sizes[f"{node.name}/{name}:value"] = size, _FLOAT
    return sizes


def _channels(packing: Packing) -> int:
    """Output channels of a stage: all filters of a depthwise one."""
    *_, last = packing.shape
    return last * packing.shape[2] if packing.kind == "depthwise" else last


class _Weights:
    """Stored arrays, as `lower` asks for weights."""

    def __init__(
        self, widths: Widths, sizes: Sizes, fill: Callable[[str, np.ndarray], object]
    ) -> None:
        self._fill, self._sizes, self._widths = fill, sizes, widths
        self._as_they_are = widths == (_dispatch.kernels.lanes, _dispatch.kernels.block)

    def packed(
        self, stage: Stage, packing: Packing, block: Block
    ) -> tuple[PackedWeight, np.ndarray | None]:
        name = f"{stage.name}:weight"
        bias = self._array(f"{stage.name}:bias") if f"{stage.name}:bias" in self._sizes else None
        if self._as_they_are:
            data = block(self._sizes[name][0])
            self._fill(name, data)
            data.flags.writeable = False
            return PackedWeight(*packing, _dispatch.isa, data), bias
        weight = unpack(self._array(name), *packing, self._widths)
        return pack_named(weight, name, packing.kind, packing.groups, block), bias

    def norm(self, name: str, epsilon: float) -> tuple[np.ndarray, np.ndarray]:
        return self._array(f"{name}:factor"), self._array(f"{name}:shift")

    def read(self, name: str) -> np.ndarray:
        return self._array(f"{name}:value")

    def _array(self, name: str) -> np.ndarray:
        array = np.empty(*self._sizes[name])
        self._fill(name, array)
        return array
