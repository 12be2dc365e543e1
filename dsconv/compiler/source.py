"""Keep the graph and the weights that a model was compiled from, for `dsconv.save`.

A model does not change, but graphs and arrays belong to the caller, who may change them. So a
source proves that what it gives again is what the model was compiled from, or refuses.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from copy import copy
from typing import Any

import numpy as np

from dsconv.network.seeded_weights import init_weights
from dsconv.network.structure import Structure


class GraphSource:
    """Give the weights that the caller compiled a graph with, if they are still the same.

    Parameters
    ----------
    graph
        The caller's graph. Its nodes never change, but it may get others, so they are listed anew.
    weights
        Array by parameter name, the caller's own; None: seeded random weights.

    Attributes
    ----------
    checksums : dict of str to int
        `checksum` of each array, noted when the compiler reads it: less memory than a copy.
    """

    def __init__(self, graph: Structure, weights: Mapping[str, Any] | None) -> None:
        self.graph: Any = copy(graph)  # of the caller's own class
        for attribute, value in vars(graph).items():
            setattr(self.graph, attribute, copy(value))
        self.weights = weights
        self.checksums: dict[str, int] = {}

    def read(self) -> Mapping[str, np.ndarray]:
        """Return array by parameter name.

        Raises
        ------
        ValueError
            If an array is no longer what the compiler read; names it.
        """
        if self.weights is None:
            return init_weights(self.graph, 0)
        arrays: dict[str, np.ndarray] = {}
        for name in self.graph.parameters():
            array = self.weights.get(name)
            if not isinstance(array, np.ndarray) or checksum(array) != self.checksums[name]:
                raise ValueError(
                    f"the model {self.graph.name!r} was compiled with another weight {name!r}: it "
                    "has been changed since; compile the graph again and save the new model, or "
                    "save this one as .dsconv, which holds the model as it runs"
                )
            arrays[name] = array
        return arrays


def checksum(array: np.ndarray) -> int:
    """Return a CRC-32 of an array's dtype, shape and values."""
    start = zlib.crc32(f"{array.dtype.str} {array.shape}".encode())
    return zlib.crc32(np.ascontiguousarray(array).data, start)
