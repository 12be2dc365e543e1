"""Run a graph layer by layer in double precision, to compare compiled models with it.

No layer is fused, folded or reordered, and nothing here is shared with the kernels. `values` has
the layers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from dsconv.interpreter.values import Array, evaluate
from dsconv.layers import Input
from dsconv.network.check_weights import check_weights
from dsconv.network.structure import Structure

__all__ = ["checked_inputs", "interpret", "run_layers"]

Inputs = Any  # an array, a tuple of arrays, or a dict of them by input name
T = TypeVar("T")


def interpret(graph: Structure, weights: Mapping[str, Any], x: Inputs) -> tuple[Array, ...]:
    """Compute the outputs of a graph in double precision.

    Parameters
    ----------
    graph
        Any graph that its method `validate` accepts.
    weights
        Float32 array by parameter name, as `Graph.init_weights` gives them.
    x
        Float32 or float64 batch (N, H, W, C) or (N, C), N from 0 on. Several inputs: a tuple in
        the order of `graph.inputs`, or a dict by input name, all of one N.

    Returns
    -------
    tuple of ndarray of float64
        One batch for each of `graph.outputs`.

    Raises
    ------
    ValueError
        If x or the weights do not fit the graph; names the input or the parameter.
    TypeError
        If weights are not float32, or inputs are neither float32 nor float64.
    """
    return run_layers(graph, weights, checked_inputs(graph, x), evaluate)


def run_layers(
    graph: Structure,
    weights: Mapping[str, NDArray[np.float32]],
    tensors: dict[str, T],
    step: Callable[..., tuple[T, ...]],
) -> tuple[T, ...]:
    """Call ``step(layer, its weights, *tensors)`` for every layer, and return the output tensors.

    `tensors` has the inputs by name. A tensor is dropped after its last use.
    """
    check_weights(graph, weights)
    last_use = {tensor: name for name, node in graph.nodes.items() for tensor in node.inputs}
    for name, (_, layer, inputs) in graph.nodes.items():
        if isinstance(layer, Input):
            continue
        own = {
            parameter: weights[f"{name}/{parameter}"].astype(np.float64, order="C")
            for parameter in layer.parameters(graph.input_shapes(name))
        }
        with np.errstate(all="ignore"):  # inf and NaN take their course, as in the kernels
            outputs = step(layer, own, *(tensors[tensor] for tensor in inputs))
        tensors.update(zip(graph.tensors(name), outputs, strict=True))
        for tensor in set(inputs) - set(graph.outputs):
            if last_use[tensor] == name:
                del tensors[tensor]
    return tuple(tensors[tensor] for tensor in graph.outputs)


def checked_inputs(graph: Structure, x: Inputs) -> dict[str, Array]:
    """Return the inputs by name as float64; the errors are those of `interpret`."""
    graph.validate()
    names = graph.inputs
    if isinstance(x, tuple):
        if len(x) != len(names):
            raise ValueError(f"x must hold {len(names)} inputs {names}, got {len(x)}")
        x = dict(zip(names, x, strict=True))
    elif not isinstance(x, Mapping):
        if len(names) != 1:
            raise ValueError(f"x must be a tuple or dict of the inputs {names}, got one array")
        x = {names[0]: x}
    if set(x) != set(names):
        raise ValueError(f"x must hold the inputs {names}, got {tuple(x)}")
    for name in names:
        array, shape = x[name], graph.shape(name)
        if not isinstance(array, np.ndarray) or array.dtype not in (np.float32, np.float64):
            came = array.dtype.str if isinstance(array, np.ndarray) else type(array).__name__
            raise TypeError(f"input {name!r} must be a float32 or float64 array, got {came}")
        if array.shape[1:] != shape or array.ndim != len(shape) + 1:
            expected = f"(N, {', '.join(map(str, shape))})"
            raise ValueError(f"input {name!r} must have the shape {expected}, got {array.shape}")
        if len(array) != len(x[names[0]]):
            raise ValueError(
                f"input {name!r} must have the batch size {len(x[names[0]])} of {names[0]!r}, "
                f"got {len(array)}"
            )
    # All in C order, because the order in which NumPy adds depends on how arrays lie in memory.
    return {name: x[name].astype(np.float64, order="C") for name in names}
