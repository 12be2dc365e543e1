"""Which network a weight file holds, and under which names it keeps that network's weights.

One file for each family of files: it reads widths and classes off the shapes, builds the graph
that fits, maps every parameter of the graph to an array of the file, and knows how pictures were
prepared for these weights. Only the family at hand is imported.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dsconv.images.preprocessing import Preprocessing
from dsconv.weights.families.arrays import Arrays, Network, Transform, same
from dsconv.weights.file import shorten

if TYPE_CHECKING:
    from dsconv.graph import Graph
    from dsconv.weights.file import WeightFile

__all__ = ["Checkpoint", "recognise"]

GRAPH = "dsconv.graph"  # the entry of a file that carries its graph: see `dsconv.weights.own`

KNOWN = (
    "MobileNetV1 and V2 of TF-slim, Keras and timm, MobileNetV1 of PyTorch (model.i.j), "
    "MobileNetV2 of torchvision and d-li14, EfficientNet-Lite of timm"
)

# Module of a family -> parts of names that only its files have. The family with most of them is
# looked at closely; its own names decide.
_SIGNS: dict[str, tuple[str, ...]] = {
    "tf_slim": ("MobilenetV1/", "MobilenetV2/"),
    "torchvision": (".conv.0.0.", ".conv.0.1.", ".conv.1.0.", ".conv.1.1."),
    "d_li14": (".conv.4.", ".conv.6.", ".conv.7."),
    "timm": ("conv_stem.", ".conv_dw.", ".conv_pw.", ".conv_pwl."),
    "pytorch_v1": tuple(f"model.{block}.3." for block in range(1, 14)),
    "keras": ("conv_dw_", "conv_pw_", "_depthwise_BN/", "_project_BN/", "mobl", "depthwise_conv2d"),
}


class Checkpoint(NamedTuple):
    """A network and its weights, still in the file.

    `preprocessing` is None where the file does not tell it, `classes` where there is no classifier.
    """

    graph: Graph
    weights: Mapping[str, np.ndarray]
    family: str
    preprocessing: Preprocessing | None
    classes: int | None


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


def recognise(file: WeightFile, resolution: int | None = None) -> Checkpoint:
    """The network that an open weight file belongs to.

    Parameters
    ----------
    file
        Only names and shapes are looked at; weights are read when the mapping is asked for them.
    resolution
        Height and width of the graph's input in pixels; unless given those of the family, mostly
        224. A file that carries its graph has its own.

    Raises
    ------
    ValueError
        If no known network has these arrays; names the nearest family and the arrays that are
        missing or left over, or an array that has not as many values as the network needs. If the
        file carries a graph of another resolution.
    TypeError
        If an array is not float32; names it.
    """
    if GRAPH in file.names() or GRAPH in getattr(file, "metadata", {}):
        return _own(file, resolution)
    module = _nearest(file.names())
    if module is None:
        some = ", ".join([*map(shorten, sorted(file.names())[:3]), "..."])
        raise ValueError(
            f"{file.path}: no known network has these arrays "
            f"({some if file.names() else 'there are none'}); known are {KNOWN}"
        )
    family = importlib.import_module(f"dsconv.weights.families.{module}")
    arrays = Arrays(file, family.plain_names(file.names()))
    try:
        network: Network = family.network(arrays, resolution)
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{file.path}: {error}") from None
    graph, sources = network.graph, _sources(arrays, network)
    _check_arrays(file, graph, sources, network.family)
    classes = graph.shape("logits")[0] if "logits" in graph.nodes else None
    weights = FileWeights(file, sources)
    return Checkpoint(graph, weights, network.family, network.preprocessing, classes)


def _own(file: WeightFile, resolution: int | None) -> Checkpoint:
    """The graph that the file carries, with its weights under their own names."""
    from dsconv.weights.own import own_graph

    graph = own_graph(file)
    assert graph is not None  # it has the entry
    shapes = [graph.shape(name) for name in graph.inputs]
    if resolution is not None and any(shape[:2] != (resolution,) * 2 for shape in shapes):
        raise ValueError(
            f"{file.path}: the graph in the file has inputs of {shapes}, not {resolution=}"
        )
    family = f"{graph.name}, saved with its graph"
    own_names = [name for name in file.names() if name != GRAPH]
    sources: dict[str, tuple[str, Transform]] = {name: (name, same) for name in own_names}
    _check_arrays(file, graph, sources, family)
    outputs = [graph.shape(name) for name in graph.outputs]
    classes = outputs[0][0] if len(outputs) == len(outputs[0]) == 1 else None
    return Checkpoint(graph, FileWeights(file, sources), family, None, classes)


def _check_arrays(
    file: WeightFile, graph: Graph, sources: Mapping[str, tuple[str, Transform]], family: str
) -> None:
    """Float32, and as many values as the graph has weights, before memory is asked for them."""
    for name, shape in graph.parameters().items():
        if name in sources:  # else it is named as missing when the graph is compiled
            array = sources[name][0]
            found = file.shape(array)
            if (dtype := file.dtype(array)) != np.float32:
                raise TypeError(
                    f"{file.path}: taken for {family}: array {shorten(array)} is {dtype.name}; "
                    "weights must be float32 (or bfloat16): convert the file"
                )
            if math.prod(found) != math.prod(shape):
                raise ValueError(
                    f"{file.path}: taken for {family}: array {shorten(array)} has the shape "
                    f"{found}, and weight {name!r} of the network {shape}"
                )


def _nearest(names: list[str]) -> str | None:
    """The family of which most names remind."""
    text = "\n".join(names)
    found = {module: sum(map(text.count, signs)) for module, signs in _SIGNS.items()}
    best = max(found, key=lambda module: found[module])
    return best if found[best] else None


def _sources(arrays: Arrays, network: Network) -> dict[str, tuple[str, Transform]]:
    """Every parameter's array, once it is certain that the file has these and no others."""
    plain = {name: network.source(*name.rsplit("/", 1)) for name in network.graph.parameters()}
    wanted = [name for name, _ in plain.values()]
    known = set(wanted)
    problems = [
        f"{len(some)} {what} ({', '.join(map(shorten, some[:5]))}{', ...' if len(some) > 5 else ''})"
        for some, what in (
            ([name for name in wanted if name not in arrays], "missing"),
            ([name for name in arrays.names if name not in known], "left over"),
        )
        if some
    ]
    if problems:
        raise ValueError(
            f"{arrays.path}: the arrays do not fit; nearest is {network.family}, with "
            f"{' and '.join(problems)}"
        )
    return {name: (arrays.names[source], change) for name, (source, change) in plain.items()}
