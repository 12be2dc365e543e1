"""ResNet-34, 50 and 101 (He et al. 2015, arXiv 1512.03385, table 1).

A bottleneck that halves the map can do so in its first 1x1 convolution, as in the paper's own
model, or in its 3x3, as in torchvision's files ("version 1.5"). The parameters are the same.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from dsconv.graph import Graph
from dsconv.layers import Add
from dsconv.models.topologies.blocks import Resolution, classifier, conv_bn, input_shape

REPEATS = {34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}  # blocks in stages 2 to 5

FILTERS = (64, 128, 256, 512)  # of the 3x3 convolutions in stages 2 to 5

EPSILON = 1e-5  # of every batch norm

conv = partial(conv_bn, activation="relu", epsilon=EPSILON)
linear = partial(conv_bn, activation=None, epsilon=EPSILON)


def resnet34(resolution: Resolution = 224, classes: int = 1000) -> Graph:
    """Build ResNet-34, with projection shortcuts where the channels change (option B).

    Parameters
    ----------
    resolution, classes
        As for all networks, see `dsconv.models`.

    Returns
    -------
    Graph
        Input (H, W, 3); output "logits" of shape (classes,).
    """
    return _resnet(34, resolution, classes, _basic)


def resnet50(resolution: Resolution = 224, classes: int = 1000, stride_on: str = "1x1") -> Graph:
    """Build ResNet-50; other parameters and result are those of `resnet34`.

    Parameters
    ----------
    stride_on
        The convolution that halves the map: "1x1" (the paper) or "3x3" (torchvision).
    """
    return _resnet(50, resolution, classes, partial(bottleneck, stride_on=stride_on))


def resnet101(resolution: Resolution = 224, classes: int = 1000, stride_on: str = "1x1") -> Graph:
    """Build ResNet-101; parameters and result are those of `resnet50`."""
    return _resnet(101, resolution, classes, partial(bottleneck, stride_on=stride_on))


def _resnet(
    depth: int, resolution: Resolution, classes: int, add_block: Callable[..., str]
) -> Graph:
    graph = Graph(f"resnet{depth}")
    x = graph.input(input_shape(resolution))
    x = conv(graph, x, 64, 7, stride=2, padding=3, name="conv1")
    x = graph.max_pool(x, 3, 2, padding=1, name="pool1")
    for stage, (filters, repeats) in enumerate(zip(FILTERS, REPEATS[depth], strict=True), start=2):
        for block in range(1, repeats + 1):
            stride = 2 if block == 1 and stage > 2 else 1
            x = add_block(graph, x, filters, stride=stride, name=f"stage{stage}/block{block}")
    return classifier(graph, x, classes)


def bottleneck(
    graph: Graph,
    x: str,
    filters: int,
    *,
    stride: int = 1,
    stride_on: str = "1x1",
    dilation: int = 1,
    name: str,
) -> str:
    """Add 1x1, 3x3, 1x1 to 4 * filters channels, and the sum with the block's input (figure 5)."""
    if stride_on not in ("1x1", "3x3"):
        raise ValueError(f'stride_on must be "1x1" or "3x3", got {stride_on!r}')
    first, second = (stride, 1) if stride_on == "1x1" else (1, stride)
    y = conv(graph, x, filters, 1, stride=first, name=f"{name}/conv1")
    y = conv(
        graph, y, filters, 3, stride=second, padding=dilation, dilation=dilation,
        name=f"{name}/conv2",
    )  # fmt: skip
    y = linear(graph, y, 4 * filters, 1, name=f"{name}/conv3")
    return _sum(graph, x, y, stride, name)


def _basic(graph: Graph, x: str, filters: int, *, stride: int, name: str) -> str:
    """Add two 3x3 convolutions, and the sum with the block's input."""
    y = conv(graph, x, filters, 3, stride=stride, padding=1, name=f"{name}/conv1")
    y = linear(graph, y, filters, 3, padding=1, name=f"{name}/conv2")
    return _sum(graph, x, y, stride, name)


def _sum(graph: Graph, x: str, y: str, stride: int, name: str) -> str:
    """Add relu(shortcut(x) + y): x itself, every stride-th pixel of it, or its projection."""
    filters = graph.shape(y)[2]
    if graph.shape(x)[2] != filters:
        x = linear(graph, x, filters, 1, stride=stride, name=f"{name}/shortcut")
    elif stride > 1:
        x = graph.max_pool(x, 1, stride, name=f"{name}/shortcut")
    return graph.relu(graph.add(Add(), x, y, name=f"{name}/add"), name=f"{name}/relu")
