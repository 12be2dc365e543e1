"""Runs a graph layer by layer in double precision: what compiled models are compared with.

No layer is fused, folded or reordered, and nothing here is shared with the kernels. `values` has
the layers, `bounds` the error bounds of a float32 evaluation and their derivation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from dsconv.interpreter.bounds import Tensor, evaluate_with_bounds
from dsconv.interpreter.values import Array, evaluate
from dsconv.layers import Input
from dsconv.network.check_weights import check_weights

if TYPE_CHECKING:
    from dsconv.graph import Graph

__all__ = ["interpret", "interpret_with_bounds"]

Inputs = Any  # an array, a tuple of arrays, or a dict of them by input name
T = TypeVar("T")


def interpret(graph: Graph, weights: Mapping[str, Any], x: Inputs) -> tuple[Array, ...]:
    """The outputs of a graph in double precision.

    Parameters
    ----------
    graph
        Any graph that `Graph.validate` accepts.
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
        Where x or the weights do not fit the graph; names the input or the parameter.
    TypeError
        For weights that are not float32, or inputs that are neither float32 nor float64.
    """
    return _run(graph, weights, _inputs(graph, x), evaluate)


def interpret_with_bounds(
    graph: Graph, weights: Mapping[str, Any], x: Inputs
) -> tuple[tuple[Array, Array], ...]:
    """The outputs of a graph, and how far those of a float32 evaluation can be from them.

    The bound holds for each element, whatever the order of summation in a layer, with fused
    multiply-adds or without, with batch norms folded into the convolutions or dense layers before
    them or left apart, and with additions fused into these. One convolution y = sum w x + b over
    T terms turns a bound e of its input into

        sum |w| e + gamma(T + 1) (sum |w| (|x| + e) + |b|),  gamma(n) = n u / (1 - n u),  u = 2**-24

    (Higham, Accuracy and Stability of Numerical Algorithms, section 3.1). The module `bounds`
    derives this and the rule of every other layer. A float64 input counts as rounded to float32
    first. Values must be finite and within the range of float32 throughout.

    Each layer multiplies the worst case by sum |w|, while real errors mostly cancel: the bound is
    sharp for a layer, useful for some ten, and says nothing about the end of a whole MobileNet.
    Compare deep networks block by block, each from an input of its own.

    Parameters, errors: those of `interpret`.

    Returns
    -------
    tuple of (value, bound)
        Two float64 batches for each of `graph.outputs`.
    """
    inputs = {
        name: Tensor(value, np.abs(value - value.astype(np.float32)))
        for name, value in _inputs(graph, x).items()
    }
    outputs = _run(graph, weights, inputs, evaluate_with_bounds)
    return tuple((tensor.value, tensor.error) for tensor in outputs)


def _run(
    graph: Graph,
    weights: Mapping[str, NDArray[np.float32]],
    tensors: dict[str, T],
    step: Callable[..., tuple[T, ...]],
) -> tuple[T, ...]:
    """Run `step` on every layer; a tensor is dropped after its last use."""
    check_weights(graph, weights)
    last_use = {tensor: name for name, node in graph.nodes.items() for tensor in node.inputs}
    for name, (_, layer, inputs) in graph.nodes.items():
        if isinstance(layer, Input):
            continue
        own = {
            parameter: weights[f"{name}/{parameter}"].astype(np.float64)
            for parameter in layer.parameters(graph.input_shapes(name))
        }
        with np.errstate(all="ignore"):  # inf and NaN take their course, as in the kernels
            outputs = step(layer, own, *(tensors[tensor] for tensor in inputs))
        tensors.update(zip(graph.tensors(name), outputs, strict=True))
        for tensor in set(inputs) - set(graph.outputs):
            if last_use[tensor] == name:
                del tensors[tensor]
    return tuple(tensors[tensor] for tensor in graph.outputs)


def _inputs(graph: Graph, x: Inputs) -> dict[str, Array]:
    """The inputs by name as float64, checked."""
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
    return {name: x[name].astype(np.float64) for name in names}
