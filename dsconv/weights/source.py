"""Where the weights of a model are as they were before they were folded, for `dsconv.save`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from dsconv.weights import open_weights
from dsconv.weights.file import WeightFile

if TYPE_CHECKING:
    from dsconv.graph import Graph


class GraphSource(NamedTuple):
    """A graph and weights, the caller's own objects, not copies."""

    graph: Graph
    weights: Mapping[str, Any] | None  # None: seeded random weights


class FileSource(NamedTuple):
    """A weight file as it was when it was read; told by path, length and time of change."""

    path: str
    length: int
    changed: int  # nanoseconds

    @classmethod
    def of(cls, file: WeightFile) -> FileSource:
        """The source that an open weight file is."""
        return cls(os.path.abspath(file.path), *file.stamp())

    def open(self) -> WeightFile:
        """Open the file again.

        Raises
        ------
        ValueError
            If it is gone, or no longer the file that was read.
        """
        try:
            file = open_weights(self.path)
        except FileNotFoundError:
            raise ValueError(
                f"{self.path}: the model's weights were read from this file, which is gone"
            ) from None
        if file.stamp() != (self.length, self.changed):
            file.close()
            raise ValueError(
                f"{self.path}: the model's weights were read from this file, which has changed since"
            )
        return file
