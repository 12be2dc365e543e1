"""ResNet-34, 50 and 101 (He et al. 2015, arXiv 1512.03385, table 1).

A bottleneck that halves the map can do so in its first 1x1 convolution, as in the paper's own
model, or in its 3x3, as in torchvision's files ("version 1.5"). The parameters are the same.
"""

from __future__ import annotations

from dsconv.graph import Graph
from dsconv.layers import Add
from dsconv.models.topologies.blocks import classifier, conv_bn, input_shape

REPEATS = {34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}  # blocks in stages 2 to 5

FILTERS = (64, 128, 256, 512)  # of the 3x3 convolutions in stages 2 to 5

EPSILON = 1e-5  # of every batch norm


def resnet34(resolution: int | tuple[int, int] = 224, classes: int = 1000) -> Graph:
    """ResNet-34, with projection shortcuts where the channels change (option B).

    Parameters
    ----------
    resolution
        Height and width of the input, or the pair.
    classes
        Number of classes.

    Returns
    -------
    Graph
        Input (H, W, 3); output "logits" of shape (classes,).
    """
    graph = Graph("resnet34")
    x = _stem(graph, resolution)
    for stage, (filters, repeats) in enumerate(zip(FILTERS, REPEATS[34], strict=True), start=2):
        for block in range(1, repeats + 1):
            stride = 2 if block == 1 and stage > 2 else 1
            x = _basic(graph, x, filters, stride, name=f"stage{stage}/block{block}")
    classifier(graph, x, classes, softmax=False)
    return graph


def resnet50(
    resolution: int | tuple[int, int] = 224, classes: int = 1000, stride_on: str = "1x1"
) -> Graph:
    """ResNet-50.

    Parameters
    ----------
    resolution
        Height and width of the input, or the pair.
    classes
        Number of classes.
    stride_on
        The convolution that halves the map: "1x1" (the paper) or "3x3" (torchvision).

    Returns
    -------
    Graph
        Input (H, W, 3); output "logits" of shape (classes,).
    """
    return _of_bottlenecks(50, resolution, classes, stride_on)


def resnet101(
    resolution: int | tuple[int, int] = 224, classes: int = 1000, stride_on: str = "1x1"
) -> Graph:
    """ResNet-101; parameters as those of `resnet50`."""
    return _of_bottlenecks(101, resolution, classes, stride_on)


def _of_bottlenecks(
    depth: int, resolution: int | tuple[int, int], classes: int, stride_on: str
) -> Graph:
    graph = Graph(f"resnet{depth}")
    x = _stem(graph, resolution)
    for stage, (filters, repeats) in enumerate(zip(FILTERS, REPEATS[depth], strict=True), start=2):
        for block in range(1, repeats + 1):
            x = bottleneck(
                graph, x, filters, stride=2 if block == 1 and stage > 2 else 1,
                stride_on=stride_on, name=f"stage{stage}/block{block}",
            )  # fmt: skip
    classifier(graph, x, classes, softmax=False)
    return graph


def _stem(graph: Graph, resolution: int | tuple[int, int]) -> str:
    x = graph.input(input_shape(resolution))
    x = conv_bn(
        graph, x, 64, 7, stride=2, padding=3, activation="relu", epsilon=EPSILON, name="conv1"
    )
    return graph.max_pool(x, 3, 2, padding=1, name="pool1")


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
    """1x1, 3x3, 1x1 to 4 * filters channels, and the sum with the block's input (figure 5)."""
    if stride_on not in ("1x1", "3x3"):
        raise ValueError(f'stride_on must be "1x1" or "3x3", got {stride_on!r}')
    first, second = (stride, 1) if stride_on == "1x1" else (1, stride)
    y = conv_bn(
        graph, x, filters, 1, stride=first, activation="relu", epsilon=EPSILON,
        name=f"{name}/conv1",
    )  # fmt: skip
    y = conv_bn(
        graph, y, filters, 3, stride=second, padding=dilation, dilation=dilation,
        activation="relu", epsilon=EPSILON, name=f"{name}/conv2",
    )  # fmt: skip
    y = conv_bn(graph, y, 4 * filters, 1, activation=None, epsilon=EPSILON, name=f"{name}/conv3")
    return _sum(graph, x, y, stride, name)


def _basic(graph: Graph, x: str, filters: int, stride: int, name: str) -> str:
    """Two 3x3 convolutions, and the sum with the block's input."""
    y = conv_bn(
        graph, x, filters, 3, stride=stride, padding=1, activation="relu", epsilon=EPSILON,
        name=f"{name}/conv1",
    )  # fmt: skip
    y = conv_bn(
        graph, y, filters, 3, padding=1, activation=None, epsilon=EPSILON, name=f"{name}/conv2"
    )
    return _sum(graph, x, y, stride, name)


def _sum(graph: Graph, x: str, y: str, stride: int, name: str) -> str:
    """relu(shortcut(x) + y): the input itself, every stride-th pixel of it, or its projection."""
    if graph.shape(x)[2] != graph.shape(y)[2]:
        filters = graph.shape(y)[2]
        x = conv_bn(
            graph, x, filters, 1, stride=stride, activation=None, epsilon=EPSILON,
            name=f"{name}/shortcut",
        )  # fmt: skip
    elif stride > 1:
        x = graph.max_pool(x, 1, stride, name=f"{name}/shortcut")
    return graph.relu(graph.add(Add(), x, y, name=f"{name}/add"), name=f"{name}/relu")
