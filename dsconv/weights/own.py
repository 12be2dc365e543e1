"""Files that carry their network: weights under the graph's names, beside the graph as JSON.

In a .safetensors file the JSON is the text "dsconv.graph" of the metadata, in an .npz file an array
of that name, of bytes. `dsconv.save` writes such files from compiled graphs.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np

from dsconv.graph import Graph
from dsconv.weights.file import WeightFile
from dsconv.weights.json_text import MAX_BYTES

GRAPH = "dsconv.graph"  # where the JSON is: a key of the metadata, or an array

__all__ = ["GRAPH", "own_graph", "write_own"]


def own_graph(file: WeightFile) -> Graph | None:
    """The network that an open weight file carries, or None.

    The file's arrays are then named as `Graph.parameters` has it; apart from them an .npz file has
    the array `GRAPH`.

    Raises
    ------
    ValueError
        If there is such an entry and it describes no graph; names the file.
    """
    text = getattr(file, "metadata", {}).get(GRAPH)
    try:
        if text is None and GRAPH in file.names():
            if file.dtype(GRAPH) != np.uint8 or len(file.shape(GRAPH)) != 1:
                raise ValueError("not a one-dimensional array of uint8")
            if file.shape(GRAPH)[0] > MAX_BYTES:
                raise ValueError(f"more than {MAX_BYTES} bytes")
            text = file.read(GRAPH).tobytes().decode()
        return None if text is None else Graph.from_json(text)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{file.path}: {GRAPH}: {error}") from None


def write_own(
    path: str | os.PathLike[str], graph: Graph, weights: Mapping[str, np.ndarray]
) -> None:
    """Write a graph and its weights as .safetensors or .npz, by the suffix of `path`."""
    text = graph.to_json()
    if os.fspath(path).endswith(".npz"):
        from dsconv.weights.npz import write_npz

        write_npz(path, {GRAPH: np.frombuffer(text.encode(), np.uint8), **weights})
    else:
        from dsconv.weights.safetensors import write_safetensors

        write_safetensors(path, weights, {GRAPH: text})
