"""Weights for the compiler: checked, read one layer at a time, batch norms folded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from dsconv.compiler.fused import Stage
from dsconv.compiler.packings import Packing
from dsconv.kernels.memory import Block
from dsconv.kernels.packing import PackedWeight, pack_named
from dsconv.layers import DepthwiseConv2D
from dsconv.network.check_weights import check_names, check_weight
from dsconv.weights.scratch import Scratch

if TYPE_CHECKING:
    from dsconv.network.structure import Structure


class Parameters:
    """The weights of a graph, whatever mapping holds them.

    Parameters
    ----------
    graph
        The graph before any pass: its names are the mapping's keys.
    weights
        Float32 array by name; each is read once.
    """

    def __init__(self, graph: Structure, weights: Mapping[str, Any]) -> None:
        if not isinstance(weights, Mapping):
            raise TypeError(f"weights must map names to arrays, got {type(weights).__name__}")
        check_names(graph, weights)
        self._graph, self._weights, self._scratch = graph, weights, Scratch()

    def read(self, name: str) -> np.ndarray:
        """One checked array."""
        array = self._weights[name]
        check_weight(self._graph, name, array)
        return array

    def packed(
        self, stage: Stage, packing: Packing, block: Block
    ) -> tuple[PackedWeight, np.ndarray | None]:
        """(weight, bias) of a stage, folded and packed; the raw array is dropped."""
        weight, bias = self.folded(stage)
        if packing.tile:
            from dsconv.kernels.winograd import transform

            weight = transform(weight, packing.tile)
        name = f"{stage.name}/weight"
        weight = weight.reshape(packing.shape)
        return pack_named(weight, name, packing.kind, packing.groups, block), bias

    def folded(self, stage: Stage) -> tuple[np.ndarray, np.ndarray | None]:
        """(weight, bias) of a stage with its batch norm folded in.

        weight' = weight * f and bias' = (bias - mean) * f + beta, for each output channel, with
        f = gamma / sqrt(variance + epsilon) from double precision, rounded once.
        """
        weight = self.read(f"{stage.name}/weight")
        bias = self.read(f"{stage.name}/bias") if stage.layer.bias else None
        if stage.norm is None:
            return weight, bias
        factor, shift = self.norm(stage.norm, stage.epsilon)
        if bias is not None:
            shift = shift + bias.astype(np.float64) * factor
        if isinstance(stage.layer, DepthwiseConv2D):
            factor = factor.reshape(weight.shape[2:])
        folded = self._scratch(weight.nbytes).view(np.float32).reshape(weight.shape)
        np.multiply(weight, factor.astype(np.float32), out=folded)
        return folded, shift.astype(np.float32)

    def norm(self, name: str, epsilon: float) -> tuple[np.ndarray, np.ndarray]:
        """A batch norm as y = x * factor + shift, in double precision."""
        gamma, beta, mean, variance = (
            self.read(f"{name}/{part}").astype(np.float64)
            for part in ("gamma", "beta", "mean", "variance")
        )
        factor = gamma / np.sqrt(variance + epsilon)
        return factor, beta - mean * factor
