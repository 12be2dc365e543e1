"""Draw seeded random weights that keep activations in range through a hundred layers.

| parameter | drawn from |
|---|---|
| weight | normal, mean 0, variance 2 / fan-in (He, arXiv 1502.01852) |
| bias, beta, mean | normal, mean 0, deviation 0.1 |
| gamma | uniform 0.9 to 1.1, quartered where the batch norm feeds an addition |
| variance | uniform 0.75 to 1.3 (the mean of its inverse is 1) |
| scale | uniform 18 to 22 (SSD's L2 normalisation starts at 20) |

The fan-in is KH * KW * Cin / groups, of a depthwise convolution KH * KW, of a dense layer Cin.
A quarter of gamma lets the sums of a residual network grow in variance by 1.06 a block, not by 2.
"""

from __future__ import annotations

import hashlib
import math

import numpy as np
from numpy.typing import NDArray

from dsconv.arguments.numbers import integer
from dsconv.layers import Add, DepthwiseConv2D
from dsconv.network.structure import LARGEST, Structure


def init_weights(graph: Structure, seed: int = 0) -> dict[str, NDArray[np.float32]]:
    """Draw random weights for every parameter of a graph.

    Each tensor's random stream depends on the seed and the tensor's name alone, so a change of the
    graph leaves the weights of all other layers as they are.

    Parameters
    ----------
    graph
        Any graph.
    seed
        At least 0.

    Returns
    -------
    dict
        Float32 array by parameter name "layer/parameter", in the graph's order.

    Raises
    ------
    ValueError
        If the seed is negative, or the parameters hold more than 2**31 - 1 values.
    """
    seed = integer(seed, "seed", minimum=0)
    shapes = graph.parameters()
    values = sum(math.prod(shape) for shape in shapes.values())
    if values > LARGEST:
        raise ValueError(f"the graph {graph.name!r} has {values} parameters, more than {LARGEST}")
    feeds_addition = {
        tensor
        for node in graph.nodes.values()
        if isinstance(node.layer, Add)
        for tensor in node.inputs
    }
    weights = {}
    for name, node in graph.nodes.items():
        for parameter, shape in node.layer.parameters(graph.input_shapes(name)).items():
            full_name = f"{name}/{parameter}"
            array = _draw(_stream(seed, full_name), parameter, shape)
            if parameter == "weight":
                depthwise = isinstance(node.layer, DepthwiseConv2D)
                fan_in = math.prod(shape[:2] if depthwise else shape[:-1])
                array *= np.float32(math.sqrt(2 / fan_in))
            elif parameter == "gamma" and name in feeds_addition:
                array *= np.float32(0.25)
            weights[full_name] = array
    return weights


def _stream(seed: int, name: str) -> np.random.Generator:
    """Return the random stream of one tensor."""
    digest = hashlib.sha256(name.encode()).digest()
    return np.random.default_rng([seed, *np.frombuffer(digest, "<u4").tolist()])


def _draw(
    random: np.random.Generator, parameter: str, shape: tuple[int, ...]
) -> NDArray[np.float32]:
    """Draw an array as the table above says, a weight with variance 1."""
    ranges = {"gamma": (0.9, 1.1), "variance": (0.75, 1.3), "scale": (18.0, 22.0)}
    if parameter in ranges:
        low, high = ranges[parameter]
        array = random.random(shape, dtype=np.float32)
        array *= np.float32(high - low)
        array += np.float32(low)
    else:
        array = random.standard_normal(shape, dtype=np.float32)
        if parameter != "weight":
            array *= np.float32(0.1)
    return array
