"""Which network a checkpoint is, and under which names it keeps that network's weights.

One function for each family of files: it looks at names and shapes, builds the graph that fits,
and maps every parameter of the graph to an array of the file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Set
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from dsconv.graph import Graph
    from dsconv.weights._file import WeightFile

Transform = Callable[[np.ndarray], np.ndarray]


class Checkpoint(NamedTuple):
    """A network and its weights, still in the file.

    `normalisation` is what the weights were trained with: see `dsconv.images.normalise`.
    """

    graph: Graph
    weights: Mapping[str, np.ndarray]
    normalisation: str


class FileWeights(Mapping[str, np.ndarray]):
    """Weights by the graph's names, read from the file when asked for.

    Parameters
    ----------
    file
        An open weight file.
    sources
        Parameter name -> (array name in the file, transform into our order of axes).
    """

    def __init__(self, file: WeightFile, sources: dict[str, tuple[str, Transform]]) -> None:
        self._file, self._sources = file, sources

    def __getitem__(self, name: str) -> np.ndarray:
        source, transform = self._sources[name]
        return transform(self._file.read(source))

    def __iter__(self) -> Iterator[str]:
        return iter(self._sources)

    def __len__(self) -> int:
        return len(self._sources)


def recognise(file: WeightFile, resolution: int = 224) -> Checkpoint:
    """The network that an open weight file belongs to.

    Raises
    ------
    ValueError
        If no known network has these arrays; names arrays that are missing or left over.
    """
    names = set(file.names())
    if any(name.startswith("MobilenetV1/") for name in names):
        return _tf_slim_mobilenet_v1(file, resolution)
    if "features.18.0.weight" in names:
        return _torchvision_mobilenet_v2(file, resolution)
    some = ", ".join(sorted(names)[:3])
    raise ValueError(
        f"{file.path}: no known network has these arrays ({some}, ...); known are MobileNetV1 of "
        "TF-slim and MobileNetV2 of torchvision"
    )


def _tf_slim_mobilenet_v1(file: WeightFile, resolution: int) -> Checkpoint:
    """MobileNetV1 as TF-slim saves it: HWIO, batch norm apart, classifier as a 1x1 convolution."""
    from dsconv.models import mobilenet_v1

    prefix = "MobilenetV1/"
    alpha = _size(file, prefix + "Conv2d_13_pointwise/weights", 3) / 1024
    classes = _size(file, prefix + "Logits/Conv2d_1c_1x1/biases", 0)
    graph = mobilenet_v1(alpha, resolution, classes)
    norm = {
        "gamma": "gamma", "beta": "beta", "mean": "moving_mean", "variance": "moving_variance"
    }  # fmt: skip

    def source(name: str) -> tuple[str, Transform]:
        layer, _, parameter = name.rpartition("/")
        if layer == "logits":
            what = {"weight": "weights", "bias": "biases"}[parameter]
            return prefix + f"Logits/Conv2d_1c_1x1/{what}", _without_kernel_axes
        layer = layer.replace("conv0", "Conv2d_0").removesuffix("/bn")
        layer = re.sub(r"^block(\d+)/", r"Conv2d_\1_", layer)
        if parameter in norm:
            return prefix + f"{layer}/BatchNorm/{norm[parameter]}", _same
        what = "depthwise_weights" if layer.endswith("depthwise") else "weights"
        return prefix + f"{layer}/{what}", _same

    return Checkpoint(graph, _mapped(file, graph, source), "tensorflow")


def _torchvision_mobilenet_v2(file: WeightFile, resolution: int) -> Checkpoint:
    """MobileNetV2 as torchvision saves it: OIHW, blocks as numbered sequences."""
    from dsconv.models import mobilenet_v2

    alpha = _size(file, "features.17.conv.2.weight", 0) / 320
    classes = _size(file, "classifier.1.bias", 0)
    graph = mobilenet_v2(alpha, resolution, classes)
    norm = {"gamma": "weight", "beta": "bias", "mean": "running_mean", "variance": "running_var"}

    def source(name: str) -> tuple[str, Transform]:
        layer, _, parameter = name.rpartition("/")
        if layer == "logits":
            return f"classifier.1.{parameter}", np.transpose
        is_norm = layer.endswith("/bn")
        layer = layer.removesuffix("/bn")
        if layer in ("conv0", "conv_last"):
            at, index = f"features.{0 if layer == 'conv0' else 18}", 0
        else:
            block, part = layer.split("/")
            number = int(block.removeprefix("block"))
            order = ["depthwise", "project"] if number == 1 else ["expand", "depthwise", "project"]
            at, index = f"features.{number}.conv", order.index(part)
            if part != "project":  # a sequence (convolution, batch norm, ReLU6) of its own
                at, index = f"{at}.{index}", 0
        if is_norm:
            return f"{at}.{index + 1}.{norm[parameter]}", _same
        depthwise = layer.endswith("depthwise")
        return f"{at}.{index}.weight", _hwim_from_oihw if depthwise else _hwio_from_oihw

    ignored = {name for name in file.names() if name.endswith(".num_batches_tracked")}
    return Checkpoint(graph, _mapped(file, graph, source, ignored), "torchvision")


def _mapped(
    file: WeightFile,
    graph: Graph,
    source: Callable[[str], tuple[str, Transform]],
    ignored: Set[str] = frozenset(),
) -> FileWeights:
    """Every parameter's source, once it is certain that the file has these arrays and no others."""
    sources = {name: source(name) for name in graph.parameters()}
    wanted, found = {array for array, _ in sources.values()}, set(file.names()) - ignored
    for names, what in ((wanted - found, "missing"), (found - wanted, "left over")):
        if names:
            some = ", ".join(sorted(names)[:5])
            raise ValueError(f"{file.path}: {len(names)} arrays of {graph.name} are {what}: {some}")
    return FileWeights(file, sources)


def _size(file: WeightFile, name: str, axis: int) -> int:
    """Size of one axis of an array that the network must have."""
    if name not in set(file.names()):
        raise ValueError(f"{file.path}: the array {name!r} is missing")
    shape = file.shape(name)
    if len(shape) <= axis:
        raise ValueError(f"{file.path}: the array {name!r} has the wrong shape {shape}")
    return shape[axis]


def _same(array: np.ndarray) -> np.ndarray:
    return array


def _without_kernel_axes(array: np.ndarray) -> np.ndarray:
    # (1, 1, Cin, Cout) -> (Cin, Cout); a bias stays
    return array[0, 0] if array.ndim == 4 and array.shape[:2] == (1, 1) else array


def _hwio_from_oihw(array: np.ndarray) -> np.ndarray:
    # (Cout, Cin, KH, KW) -> (KH, KW, Cin, Cout)
    return array.transpose(2, 3, 1, 0) if array.ndim == 4 else array


def _hwim_from_oihw(array: np.ndarray) -> np.ndarray:
    # (C, 1, KH, KW) -> (KH, KW, C, 1)
    return array.transpose(2, 3, 0, 1) if array.ndim == 4 else array
