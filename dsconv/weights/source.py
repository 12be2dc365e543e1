"""Remember the file that a model was read from, so that `dsconv.save` can read it again."""

from __future__ import annotations

from typing import NamedTuple

from dsconv.weights import open_weights
from dsconv.weights.file import WeightFile


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
