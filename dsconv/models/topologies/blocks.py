"""Build the blocks that many topologies share, and check their arguments."""

from __future__ import annotations

from typing import Any

from dsconv.arguments.numbers import integer, pair
from dsconv.arguments.window import Padding
from dsconv.graph import Graph
from dsconv.layers.base import flag, number

Resolution = int | tuple[int, int]  # height and width of the input, or (height, width)


def conv_bn(
    graph: Graph,
    x: str,
    filters: int,
    kernel: int = 1,
    *,
    activation: str | None = "relu6",
    epsilon: float,
    name: str,
    **attributes: Any,
) -> str:
    """Add a convolution without bias, batch norm, activation: layers name, name/bn, name/relu6.

    Parameters
    ----------
    activation
        "relu6", "relu", "leaky_relu" (slope 0.1) or None.
    epsilon
        The batch norm's.
    attributes
        Further ones of `Conv2D`: stride, padding, dilation, groups.
    """
    x = graph.conv2d(x, filters, kernel, name=name, bias=False, **attributes)
    return _bn(graph, x, activation, epsilon, name)


def depthwise_bn(
    graph: Graph,
    x: str,
    kernel: int = 3,
    *,
    activation: str | None = "relu6",
    epsilon: float,
    name: str,
    **attributes: Any,
) -> str:
    """Add a depthwise convolution without bias, batch norm, activation; see `conv_bn`."""
    x = graph.depthwise_conv2d(x, kernel, name=name, bias=False, **attributes)
    return _bn(graph, x, activation, epsilon, name)


def _bn(graph: Graph, x: str, activation: str | None, epsilon: float, name: str) -> str:
    x = graph.batch_norm(x, epsilon, name=f"{name}/bn")
    if activation is None:
        return x
    return getattr(graph, activation)(x, name=f"{name}/{activation}")


def conv_relu(
    graph: Graph, x: str, filters: int, kernel: int = 1, *, name: str, **attributes: Any
) -> str:
    """Add a convolution with bias and ReLU, as before batch norm: layers name, name/relu."""
    x = graph.conv2d(x, filters, kernel, name=name, **attributes)
    return graph.relu(x, name=f"{name}/relu")


def classifier(graph: Graph, x: str, classes: int, softmax: bool = False) -> Graph:
    """Add pool, logits and, if wanted, softmax behind a map, and return the complete graph."""
    x = graph.global_average_pool(x, name="pool")
    x = graph.dense(x, checked_classes(classes), name="logits")
    if flag(softmax, "softmax"):
        x = graph.softmax(x, name="softmax")
    graph.output(x)
    return graph


def checked_alpha(alpha: float) -> float:
    """Return the width multiplier as a float above 0."""
    alpha = number(alpha, "alpha")
    if alpha <= 0:
        raise ValueError(f"alpha must be above 0, got {alpha}")
    if alpha > 1e300:  # times a number of channels, it would be infinite
        raise ValueError(f"alpha must be at most 1e300, got {alpha}")
    return alpha


def input_shape(resolution: Resolution) -> tuple[int, int, int]:
    """Return the shape (H, W, 3) of a picture."""
    return (*pair(resolution, "resolution"), 3)


def checked_classes(classes: int) -> int:
    """Return the number of classes, at least 1."""
    return integer(classes, "classes")


def padding_3x3(padding: str, pixels: int = 1) -> Padding:
    """Return the padding of a 3x3 kernel: "same", or for "symmetric" `pixels` on every side.

    As many pixels as the dilation keep the size; for a 5x5 kernel twice as many.
    """
    if padding not in ("same", "symmetric"):
        raise ValueError(f'padding must be "same" or "symmetric", got {padding!r}')
    return pixels if padding == "symmetric" else "same"
