"""Remember where a model's weights came from, so that `dsconv.save` can write them unfolded.

A model does not change, but files, graphs and arrays may. So a source proves that what it gives
again is what the model was made of, or refuses.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from copy import copy
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dsconv.weights import open_weights
from dsconv.weights.file import WeightFile

if TYPE_CHECKING:
    from dsconv.graph import Graph


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

    def __init__(self, graph: Graph, weights: Mapping[str, Any] | None) -> None:
        self.graph = copy(graph)
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
            return self.graph.init_weights(0)
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


class FileSource(NamedTuple):
    """Name the weight file that a model was read from, as it was then."""

    path: str
    stamp: tuple[int, ...]  # see `WeightFile`

    def open(self) -> WeightFile:
        """Open the file again.

        Raises
        ------
        ValueError
            If it is gone, or no longer the file that was read.
        """
        read = f"{self.path}: the model's weights were read from this file, which"
        try:
            file = open_weights(self.path)
        except FileNotFoundError:
            raise ValueError(f"{read} is gone") from None
        if file.stamp != self.stamp:
            file.close()
            raise ValueError(f"{read} has changed since")
        return file
