"""Share between the families: the arrays of a file, and the layers of a network among them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dsconv.images.preprocessing import Preprocessing

if TYPE_CHECKING:
    from dsconv.graph import Graph
    from dsconv.weights.file import WeightFile

Transform = Callable[[np.ndarray], np.ndarray]
Place = Callable[[str], tuple[str, str]]  # layer -> names of its convolution and its batch norm


class Network(NamedTuple):
    """Describe the network that a family finds in a file.

    `array_of(layer, parameter)` gives the plain name of the array that holds this parameter of the
    graph, and the function that brings its axes into our order. `preprocessing` is None if the
    file does not tell it, `classes` if there is no classifier. `weights` has arrays by the graph's
    names, read from the file when they are asked for; `recognise` adds it.
    """

    family: str
    graph: Graph
    array_of: Callable[[str, str], tuple[str, Transform]]
    preprocessing: Preprocessing | None
    classes: int | None
    weights: Mapping[str, np.ndarray] = MappingProxyType({})


class Arrays:
    """Look up the arrays of a file by plain names: without wrappers and the state of training.

    Parameters
    ----------
    file
        An open weight file.
    names
        Plain name -> name in the file.
    """

    def __init__(self, file: WeightFile, names: dict[str, str]) -> None:
        self.file, self.names = file, names

    def __contains__(self, name: str) -> bool:
        return name in self.names

    def size(self, name: str, axis: int) -> int:
        """Return the size of one axis of an array; 0 if there is no such array or axis."""
        shape = self.file.shape(self.names[name]) if name in self.names else ()
        return shape[axis] if -len(shape) <= axis < len(shape) else 0


def block_part(layer: str) -> tuple[int, str, int]:
    """Return number, part, and the part's index, of a layer such as "block2/depthwise".

    Parts are expand, depthwise and project, without expand in block 1; MobileNetV1 has two parts.
    """
    block, part = layer.split("/")
    number = int(block.removeprefix("block"))
    names = ("depthwise", "project") if number == 1 else ("expand", "depthwise", "project")
    return number, part, names.index(part) if part in names else 1


def same(array: np.ndarray) -> np.ndarray:
    """Return the array as it is."""
    return array


def hwio_from_oihw(array: np.ndarray) -> np.ndarray:
    """Return (Cout, Cin, KH, KW) as (KH, KW, Cin, Cout)."""
    return array.transpose(2, 3, 1, 0) if array.ndim == 4 else array


def hwim_from_oihw(array: np.ndarray) -> np.ndarray:
    """Return (C, 1, KH, KW) as (KH, KW, C, 1)."""
    return array.transpose(2, 3, 0, 1) if array.ndim == 4 else array


def without_kernel_axes(array: np.ndarray) -> np.ndarray:
    """Return (1, 1, Cin, Cout) as (Cin, Cout), and a bias as it is."""
    return array[0, 0] if array.ndim == 4 and array.shape[:2] == (1, 1) else array


class Convention(NamedTuple):
    """Say how a framework names the arrays of a layer, and how it orders their axes."""

    kernel: str  # behind the name of a convolution or the classifier
    depthwise_kernel: str
    bias: str  # behind the name of the classifier
    norm: dict[str, str]  # our parameter of a batch norm -> what is behind the name of theirs
    channels_axis: int  # of the output channels in a kernel
    from_kernel: Transform
    from_depthwise: Transform
    from_classifier: Transform


PYTORCH = Convention(
    ".weight", ".weight", ".bias",
    {"gamma": ".weight", "beta": ".bias", "mean": ".running_mean", "variance": ".running_var"},
    0, hwio_from_oihw, hwim_from_oihw, np.transpose,
)  # fmt: skip
KERAS = Convention(
    "/kernel", "/kernel", "/bias",
    {"gamma": "/gamma", "beta": "/beta", "mean": "/moving_mean", "variance": "/moving_variance"},
    -1, same, same, without_kernel_axes,
)  # fmt: skip
TF_SLIM = KERAS._replace(kernel="/weights", depthwise_kernel="/depthwise_weights", bias="/biases")


class Layers:
    """Find the layers of a network, by the graph's names, among the arrays of a file.

    Parameters
    ----------
    arrays
        The arrays of the file.
    convention
        The framework's names and orders of axes.
    place
        Layer of the graph -> names of its convolution and of the batch norm behind.
    logits
        Name of the classifier.
    """

    def __init__(self, arrays: Arrays, convention: Convention, place: Place, logits: str) -> None:
        self._arrays, self._convention, self._place = arrays, convention, place
        self._weight, self._bias = logits + convention.kernel, logits + convention.bias

    def channels(self, layer: str) -> int:
        """Return the output channels of a convolution; 0 if the file lacks it."""
        kernel = self._place(layer)[0] + self._convention.kernel
        return self._arrays.size(kernel, self._convention.channels_axis)

    @property
    def classes(self) -> int | None:
        """Return the classifier's size, by its bias or else its weight; None if there is none."""
        if self._bias not in self._arrays and self._weight not in self._arrays:
            return None
        axis = self._convention.channels_axis
        return self._arrays.size(self._bias, 0) or self._arrays.size(self._weight, axis)

    @property
    def pooled(self) -> int:
        """Return the input channels of the classifier; 0 if there is none."""
        return self._arrays.size(self._weight, 1 if self._convention.channels_axis == 0 else -2)

    def array_of(self, layer: str, parameter: str) -> tuple[str, Transform]:
        """Return the plain name of a parameter's array, and what brings its axes into our order."""
        convention = self._convention
        if layer == "logits":
            name = self._weight if parameter == "weight" else self._bias
            return name, convention.from_classifier
        convolution, norm = self._place(layer.removesuffix("/bn"))
        if parameter in convention.norm:
            return norm + convention.norm[parameter], same
        if layer.endswith("depthwise"):
            return convolution + convention.depthwise_kernel, convention.from_depthwise
        return convolution + convention.kernel, convention.from_kernel
