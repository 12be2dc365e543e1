"""Check that weights belong to a graph; everything that runs graphs checks them here.

`check_weights` looks at all arrays together. A reader of one array after the other calls
`check_names` first and `check_weight` with each array.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from dsconv.network.structure import Structure


def check_weights(graph: Structure, weights: Mapping[str, Any]) -> None:
    """Check names, shapes, dtypes and variances of all weights of a graph.

    Parameters
    ----------
    graph
        Any graph.
    weights
        Float32 array by parameter name "layer/parameter", as `Graph.init_weights` gives them.

    Raises
    ------
    ValueError
        If parameters are missing or left over, one has a wrong shape, or the variance of a batch
        norm is not positive even with epsilon added; names them.
    TypeError
        If weights are no mapping, or a parameter is no float32 array; names it.
    """
    if not isinstance(weights, Mapping):
        raise TypeError(f"weights must map names to arrays, got {type(weights).__name__}")
    check_names(graph, weights)
    for name in graph.parameters():
        check_weight(graph, name, weights[name])


def check_names(graph: Structure, names: Iterable[str]) -> None:
    """Raise ValueError if parameters of the graph are missing, or names are not of its own."""
    expected, given = graph.parameters(), set(names)
    missing = [name for name in expected if name not in given]
    left_over = sorted(map(str, given - expected.keys()))
    problems = [
        f"{len(some)} {what}: {', '.join(map(repr, some[:5]))}{', ...' if len(some) > 5 else ''}"
        for some, what in ((missing, "missing"), (left_over, "left over"))
        if some
    ]
    if problems:
        raise ValueError(f"weights do not fit the graph {graph.name!r}: {'; '.join(problems)}")


def check_weight(graph: Structure, name: str, array: Any) -> None:
    """Check the array of one parameter; the errors are those of `check_weights`."""
    layer_name, _, parameter = name.rpartition("/")
    layer = graph.nodes[layer_name].layer
    shape = layer.parameters(graph.input_shapes(layer_name))[parameter]
    if not isinstance(array, np.ndarray) or array.dtype != np.float32:
        came = array.dtype.str if isinstance(array, np.ndarray) else type(array).__name__
        raise TypeError(f"weight {name!r} must be an array of native float32, got {came}")
    if array.shape != shape:
        raise ValueError(f"weight {name!r} must have the shape {shape}, got {array.shape}")
    if parameter == "variance":
        least = array.astype(np.float64).min() + vars(layer)["epsilon"]
        if not least > 0:
            raise ValueError(f"weight {name!r}: variance + epsilon must be above 0, got {least}")
