"""SSD300 and SSD512 on VGG16 (Liu et al. 2015, arXiv 1512.02325, figure 2 and section 3.3).

Pooling 3 rounds its size up and pooling 5 keeps it; conv6 and conv7 are VGG's first two fully
connected layers made convolutions, conv6 with a dilation of 6.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dsconv.graph import Graph
from dsconv.models.topologies.blocks import Resolution, checked_classes, conv_relu, input_shape
from dsconv.models.topologies.vgg import REPEATS_16, stage

EXTRAS_300 = (  # filters of the 1x1; filters, kernel, stride and padding of the one behind it
    (256, 512, 3, 2, 1),
    (128, 256, 3, 2, 1),
    (128, 256, 3, 1, 0),
    (128, 256, 3, 1, 0),
)
ANCHORS_300 = (4, 6, 6, 6, 4, 4)  # boxes at each pixel: conv4_3, conv7, then the extras

EXTRAS_512 = (
    (256, 512, 3, 2, 1),
    (128, 256, 3, 2, 1),
    (128, 256, 3, 2, 1),
    (128, 256, 3, 2, 1),
    (128, 256, 4, 1, 1),
)
ANCHORS_512 = (4, 6, 6, 6, 6, 4, 4)


def ssd300_vgg16(resolution: Resolution = 300, classes: int = 81) -> Graph:
    """Build SSD300 on VGG16.

    Parameters
    ----------
    resolution, classes
        As for all networks, see `dsconv.models`. The background is a class: 81 for COCO, 21 for
        Pascal VOC.

    Returns
    -------
    Graph
        Input (H, W, 3); raw outputs "boxes" (anchors, 4) and "scores" (anchors, classes), map by
        map from the largest on, row by row, with 8,732 anchors at 300 x 300.
    """
    return _ssd("ssd300_vgg16", EXTRAS_300, ANCHORS_300, resolution, classes)


def ssd512_vgg16(resolution: Resolution = 512, classes: int = 81) -> Graph:
    """Build SSD512 on VGG16: 24,564 anchors at 512 x 512; parameters as of `ssd300_vgg16`."""
    return _ssd("ssd512_vgg16", EXTRAS_512, ANCHORS_512, resolution, classes)


def _ssd(
    name: str,
    extras: tuple[tuple[int, int, int, int, int], ...],
    anchors: tuple[int, ...],
    resolution: Resolution,
    classes: int,
) -> Graph:
    graph = Graph(name)
    x = graph.input(input_shape(resolution))
    maps = []
    for number in range(1, 6):
        x = stage(graph, x, number, REPEATS_16[number - 1])
        if number == 4:
            maps.append(graph.l2_normalize(x, name="conv4_3/norm"))
        if number < 5:
            x = graph.max_pool(x, 2, 2, ceil=number == 3, name=f"pool{number}")
    x = graph.max_pool(x, 3, 1, padding=1, name="pool5")
    x = conv_relu(graph, x, 1024, 3, padding=6, dilation=6, name="conv6")
    x = conv_relu(graph, x, 1024, 1, name="conv7")
    maps.append(x)
    for number, (reduced, filters, kernel, stride, padding) in enumerate(extras, start=8):
        x = conv_relu(graph, x, reduced, 1, name=f"conv{number}_1")
        x = conv_relu(
            graph, x, filters, kernel, stride=stride, padding=padding, name=f"conv{number}_2"
        )
        maps.append(x)

    def predict(x: str, filters: int, name: str) -> str:
        return graph.conv2d(x, filters, 3, name=name)

    heads(graph, maps, anchors, classes, predict)
    return graph


def heads(
    graph: Graph,
    maps: Sequence[str],
    anchors: Sequence[int],
    classes: int,
    predict: Callable[[str, int, str], str],
) -> None:
    """Predict boxes and scores on every map, join them, and make them the outputs.

    Parameters
    ----------
    maps
        Tensors (H, W, C), the largest map first.
    anchors
        Number of boxes at each pixel of each map.
    predict
        predict(x, filters, name) adds the layers that turn a map into `filters` channels.
    """
    outputs = []
    for what, size in (("boxes", 4), ("scores", checked_classes(classes))):
        parts = []
        for number, (x, count) in enumerate(zip(maps, anchors, strict=True), start=1):
            y = predict(x, count * size, f"{what}{number}")
            parts.append(graph.reshape(y, (-1, size), name=f"{what}{number}/reshape"))
        outputs.append(graph.concat(*parts, axis=0, name=what))
    graph.output(*outputs)
