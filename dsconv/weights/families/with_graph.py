"""Recognise and write files that carry their network: weights beside their graph as JSON.

The arrays have the graph's own names. In a .safetensors file the JSON is the text "dsconv.graph" of
the metadata, in an .npz file an array of bytes of that name. `dsconv.save` writes such files from
compiled graphs.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np

from dsconv.graph import Graph
from dsconv.weights import write
from dsconv.weights.families.arrays import Arrays, Network, same
from dsconv.weights.file import WeightFile, errors_name
from dsconv.weights.json_text import MAX_BYTES

__all__ = ["GRAPH", "graph_in", "network", "plain_names", "write_with_graph"]

GRAPH = "dsconv.graph"  # a key of the metadata, or an array


def plain_names(names: list[str]) -> dict[str, str]:
    """Return all names but that of the graph."""
    return {name: name for name in names if name != GRAPH}


def network(arrays: Arrays, resolution: int | None) -> Network:
    """Return the graph in the file, whose inputs must have the resolution."""
    graph = graph_in(arrays.file)
    assert graph is not None  # else the file is of another family
    shapes = [graph.shape(name) for name in graph.inputs]
    if resolution is not None and any(shape[:2] != (resolution,) * 2 for shape in shapes):
        raise ValueError(f"the graph in the file has inputs of {shapes}, not {resolution=}")
    outputs = [graph.shape(name) for name in graph.outputs]
    classes = outputs[0][0] if len(outputs) == len(outputs[0]) == 1 else None
    family = f"{graph.name}, saved with its graph"
    return Network(family, graph, lambda *names: ("/".join(names), same), None, classes)


def graph_in(file: WeightFile) -> Graph | None:
    """Return the network that an open weight file carries, or None.

    Raises
    ------
    ValueError
        If there is such an entry and it describes no graph; names the file.
    """
    with errors_name(file.path, f"{GRAPH}: "):
        if GRAPH in file.metadata:
            return Graph.from_json(file.metadata[GRAPH])
        if GRAPH not in file.names():
            return None
        if file.dtype(GRAPH) != np.uint8 or len(file.shape(GRAPH)) != 1:
            raise ValueError("not a one-dimensional array of uint8")
        if file.shape(GRAPH)[0] > MAX_BYTES:
            raise ValueError(f"more than {MAX_BYTES} bytes")
        return Graph.from_json(file.read(GRAPH).tobytes().decode())


def write_with_graph(
    path: str | os.PathLike[str], graph: Graph, weights: Mapping[str, np.ndarray]
) -> None:
    """Write a graph and its weights as .safetensors or .npz, by the suffix of `path`."""
    text = graph.to_json()
    if os.fspath(path).endswith(".npz"):
        write(path, {GRAPH: np.frombuffer(text.encode(), np.uint8), **weights})
    else:
        write(path, weights, {GRAPH: text})
