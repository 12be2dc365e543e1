"""What the families share: the arrays of a file by plain names, and what they tell of a network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dsconv.images.preprocessing import Preprocessing

if TYPE_CHECKING:
    from dsconv.graph import Graph
    from dsconv.weights.file import WeightFile

Transform = Callable[[np.ndarray], np.ndarray]
Source = Callable[[str, str], tuple[str, Transform]]


class Network(NamedTuple):
    """What a family makes of a file.

    `source(layer, parameter)` gives the plain name of the array with that parameter of the graph,
    and what brings its axes into our order.
    """

    family: str
    graph: Graph
    source: Source
    preprocessing: Preprocessing


class Arrays:
    """The arrays of a file under plain names: without wrappers, without the state of training.

    Parameters
    ----------
    file
        An open weight file.
    names
        Plain name -> name in the file.
    """

    def __init__(self, file: WeightFile, names: dict[str, str]) -> None:
        self._file, self.names, self.path = file, names, file.path

    def __contains__(self, name: str) -> bool:
        return name in self.names

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of an array; () if there is none of that name."""
        return self._file.shape(self.names[name]) if name in self.names else ()

    def size(self, name: str, axis: int) -> int:
        """Size of one axis of an array; 0 if there is no such array or axis."""
        shape = self.shape(name)
        return shape[axis] if -len(shape) <= axis < len(shape) else 0

    def classes(self, bias: str, weight: str, axis: int) -> int | None:
        """Number of classes: the size of the classifier's bias, else of an axis of its weight.

        None if the file has neither: a network without classifier.
        """
        if bias not in self and weight not in self:
            return None
        return self.size(bias, 0) or self.size(weight, axis)


def width_multiplier(found: Mapping[int, int], width: Callable[[float], int]) -> float:
    """The alpha with which a topology has the channels that a file has.

    Parameters
    ----------
    found
        Channels at alpha 1 -> channels in the file, for layers of different width; 0 is unknown.
    width
        The topology's own rounding of channels * alpha.

    Returns
    -------
    float
        The first of the ratios, widest layer first, and of the hundredths that explains all
        layers; if none does, the one that explains most of them; 1 if nothing is known.
    """
    known = {base: channels for base, channels in found.items() if channels}
    if not known:
        return 1.0
    ratios = [channels / base for base, channels in sorted(known.items(), reverse=True)]
    explained: Counter[float] = Counter()
    for alpha in (*ratios, *(hundredths / 100 for hundredths in range(1, 401))):
        explained[alpha] = sum(width(base * alpha) == known[base] for base in known)
        if explained[alpha] == len(known):
            return alpha
    return max(explained, key=lambda alpha: explained[alpha])


def same(array: np.ndarray) -> np.ndarray:
    return array


def hwio_from_oihw(array: np.ndarray) -> np.ndarray:
    # (Cout, Cin, KH, KW) -> (KH, KW, Cin, Cout)
    return array.transpose(2, 3, 1, 0) if array.ndim == 4 else array


def hwim_from_oihw(array: np.ndarray) -> np.ndarray:
    # (C, 1, KH, KW) -> (KH, KW, C, 1)
    return array.transpose(2, 3, 0, 1) if array.ndim == 4 else array


def without_kernel_axes(array: np.ndarray) -> np.ndarray:
    # (1, 1, Cin, Cout) -> (Cin, Cout); a bias stays
    return array[0, 0] if array.ndim == 4 and array.shape[:2] == (1, 1) else array
