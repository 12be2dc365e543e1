"""Read, check and fold the weights of a graph, one layer at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from dsconv.compiler.fused import Stage
from dsconv.compiler.source import checksum
from dsconv.layers import DepthwiseConv2D
from dsconv.network.check_weights import check_names, check_weight

if TYPE_CHECKING:
    from dsconv.network.structure import Structure


class FoldedWeights:
    """The weights of a graph, read out of any mapping when they are asked for.

    Parameters
    ----------
    graph
        The graph before any pass: its names are the mapping's keys.
    weights
        Float32 array by name; each is read once.
    checksums
        Where to note the checksum of each array, for `GraphSource`.
    """

    def __init__(
        self, graph: Structure, weights: Mapping[str, Any], checksums: dict[str, int] | None = None
    ) -> None:
        if not isinstance(weights, Mapping):
            raise TypeError(f"weights must map names to arrays, got {type(weights).__name__}")
        check_names(graph, weights)
        self._graph, self._weights, self._checksums = graph, weights, checksums

    def read(self, name: str) -> np.ndarray:
        """Return one array, checked."""
        array = self._weights[name]
        check_weight(self._graph, name, array)
        if self._checksums is not None:
            self._checksums[name] = checksum(array)
        return array

    def folded(self, stage: Stage) -> tuple[np.ndarray, np.ndarray | None]:
        """Return (weight, bias) of a stage with its batch norm folded in.

        weight' = weight * f and bias' = (bias - mean) * f + beta, for each output channel, with
        f = gamma / sqrt(variance + epsilon) computed in double precision and rounded once.
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
        return np.multiply(weight, factor.astype(np.float32), order="C"), shift.astype(np.float32)

    def norm(self, name: str, epsilon: float) -> tuple[np.ndarray, np.ndarray]:
        """Return (factor, shift) of a batch norm y = x * factor + shift, in double precision."""
        gamma, beta, mean, variance = (
            self.read(f"{name}/{part}").astype(np.float64)
            for part in ("gamma", "beta", "mean", "variance")
        )
        factor = gamma / np.sqrt(variance + epsilon)
        return factor, beta - mean * factor
