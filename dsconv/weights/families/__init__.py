"""Recognise which network a weight file holds, and under which names it keeps the weights.

There is one file for each family of files. It reads widths and classes off the shapes, builds the
graph that fits, finds the array of the file that holds each parameter of the graph, and knows how
pictures were prepared for these weights. Only the family at hand is imported.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from dsconv.weights.families.arrays import Arrays, Network, Transform
from dsconv.weights.file import errors_name, shorten

if TYPE_CHECKING:
    from dsconv.weights.file import WeightFile

__all__ = ["Network", "recognise"]

_KNOWN = (
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
_GRAPH = "dsconv.graph"  # what files have that carry their graph: see `with_graph`


class FileWeights(Mapping[str, np.ndarray]):
    """Read weights, by the graph's names, from a file when they are asked for.

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
        array, transform = self._sources[name]
        return transform(self._file.read(array))

    def __iter__(self) -> Iterator[str]:
        return iter(self._sources)

    def __len__(self) -> int:
        return len(self._sources)


def recognise(file: WeightFile, resolution: int | None = None) -> Network:
    """Return the network that an open weight file belongs to.

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
    with errors_name(file.path):
        family = importlib.import_module(f"dsconv.weights.families.{_nearest(file)}")
        arrays = Arrays(file, family.plain_names(file.names()))
        network: Network = family.network(arrays, resolution)
        sources = _sources(arrays, network)
        _check_arrays(file, network, sources)
    return network._replace(weights=FileWeights(file, sources))


def _nearest(file: WeightFile) -> str:
    """Return the module of the family whose signs most names of the file bear."""
    names = file.names()
    if _GRAPH in names or _GRAPH in file.metadata:
        return "with_graph"
    text = "\n".join(names)
    found = {module: sum(map(text.count, signs)) for module, signs in _SIGNS.items()}
    best = max(found, key=lambda module: found[module])
    if not found[best]:
        some = ", ".join([*map(shorten, sorted(names)[:3]), "..."]) if names else "there are none"
        raise ValueError(f"no known network has these arrays ({some}); known are {_KNOWN}")
    return best


def _sources(arrays: Arrays, network: Network) -> dict[str, tuple[str, Transform]]:
    """Return every parameter's array, once it is certain that the file has these and no others."""
    plain = {name: network.array_of(*name.rsplit("/", 1)) for name in network.graph.parameters()}
    wanted = dict.fromkeys(name for name, _ in plain.values())
    problems = [
        f"{len(some)} {what} ({', '.join(map(shorten, some[:5]))}{', ...' if len(some) > 5 else ''})"
        for some, what in (
            ([name for name in wanted if name not in arrays], "missing"),
            ([name for name in arrays.names if name not in wanted], "left over"),
        )
        if some
    ]
    if problems:
        raise ValueError(
            f"the arrays do not fit; nearest is {network.family}, with {' and '.join(problems)}"
        )
    return {name: (arrays.names[array], change) for name, (array, change) in plain.items()}


def _check_arrays(
    file: WeightFile, network: Network, sources: Mapping[str, tuple[str, Transform]]
) -> None:
    """Check for float32, and as many values as the graph has, before memory is asked for them."""
    for name, shape in network.graph.parameters().items():
        array = sources[name][0]
        found, dtype = file.shape(array), file.dtype(array)
        what = f"taken for {network.family}: array {shorten(array)}"
        if dtype != np.float32:
            raise TypeError(
                f"{what} is {dtype.name}; weights must be float32 (or bfloat16): convert the file"
            )
        if math.prod(found) != math.prod(shape):
            raise ValueError(
                f"{what} has the shape {found}, and weight {name!r} of the network {shape}"
            )
