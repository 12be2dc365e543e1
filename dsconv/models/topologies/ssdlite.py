"""SSDLite on MobileNetV1 and V2 (Sandler et al. 2018, arXiv 1801.04381, section 6.2).

SSDLite is SSD with every 3x3 convolution of the extra maps and of the heads made separable.
`ssd_mobilenet_v2` keeps the full ones: the other row of the paper's table 5. Extras, anchors and
the "same" padding are those of TensorFlow's object detection models.
"""

from __future__ import annotations

from functools import partial

from dsconv.graph import Graph
from dsconv.models.topologies.blocks import (
    Resolution,
    checked_alpha,
    conv_bn,
    depthwise_bn,
    input_shape,
)
from dsconv.models.topologies.mobilenet_v1 import features as features_v1
from dsconv.models.topologies.mobilenet_v2 import LAST, rounded
from dsconv.models.topologies.mobilenet_v2 import features as features_v2
from dsconv.models.topologies.ssd import heads

EXTRAS = (512, 256, 256, 128)  # channels of the extra maps, each half as large as the one before

ANCHORS = (3, 6, 6, 6, 6, 6)  # boxes at each pixel of the six maps

EPSILON = 1e-3  # of every batch norm

conv = partial(conv_bn, epsilon=EPSILON)
depthwise = partial(depthwise_bn, epsilon=EPSILON)


def ssdlite_mobilenet_v1(
    resolution: Resolution = 320, classes: int = 81, alpha: float = 1.0
) -> Graph:
    """Build SSDLite on MobileNetV1; the first two maps are the outputs of blocks 11 and 13.

    Parameters and result are those of `ssdlite_mobilenet_v2`.
    """
    graph = Graph("ssdlite_mobilenet_v1")
    x = graph.input(input_shape(resolution))
    x = features_v1(graph, x, alpha, "same", EPSILON)
    _extras_and_heads(graph, ["block11/pointwise/relu6", x], classes, alpha)
    return graph


def ssdlite_mobilenet_v2(
    resolution: Resolution = 320, classes: int = 81, alpha: float = 1.0
) -> Graph:
    """Build SSDLite on MobileNetV2; the first two maps are block 14's expansion and the last 1x1.

    Parameters
    ----------
    resolution, classes
        As for all networks, see `dsconv.models`. The background is a class: 81 for COCO, 21 for
        Pascal VOC.
    alpha
        Width multiplier of the backbone and of the extra maps, which have at least 16 channels.

    Returns
    -------
    Graph
        Input (H, W, 3); raw outputs "boxes" (anchors, 4) and "scores" (anchors, classes), map by
        map from the largest on, row by row, with 2,034 anchors at 320 x 320.
    """
    return _on_v2("ssdlite_mobilenet_v2", resolution, classes, alpha, separable=True)


def ssd_mobilenet_v2(resolution: Resolution = 320, classes: int = 81, alpha: float = 1.0) -> Graph:
    """Build SSD on MobileNetV2: full 3x3 convolutions in the extras and heads (table 5).

    Parameters and result are those of `ssdlite_mobilenet_v2`.
    """
    return _on_v2("ssd_mobilenet_v2", resolution, classes, alpha, separable=False)


def _on_v2(
    name: str, resolution: Resolution, classes: int, alpha: float, *, separable: bool
) -> Graph:
    graph = Graph(name)
    x = graph.input(input_shape(resolution))
    x = features_v2(graph, x, alpha, "same", EPSILON)
    last = rounded(LAST * max(1.0, checked_alpha(alpha)))
    x = conv(graph, x, last, 1, name="conv_last")
    _extras_and_heads(graph, ["block14/expand/relu6", x], classes, alpha, separable=separable)
    return graph


def _extras_and_heads(
    graph: Graph, maps: list[str], classes: int, alpha: float, *, separable: bool = True
) -> None:
    """Add four extra maps behind the last of `maps`, and the heads on all six."""

    def channels(count: int) -> int:
        return max(int(count * alpha), 16)

    for number, count in enumerate(EXTRAS, start=1):
        name, filters = f"extra{number}", channels(count)
        x = conv(graph, maps[-1], channels(count // 2), 1, name=f"{name}/reduce")
        if separable:
            x = depthwise(graph, x, 3, stride=2, name=f"{name}/depthwise")
            x = conv(graph, x, filters, 1, name=f"{name}/pointwise")
        else:
            x = conv(graph, x, filters, 3, stride=2, name=f"{name}/conv")
        maps = [*maps, x]

    def predict(x: str, filters: int, name: str) -> str:
        if not separable:
            return graph.conv2d(x, filters, 3, name=f"{name}/conv")
        x = depthwise(graph, x, 3, name=f"{name}/depthwise")
        return graph.conv2d(x, filters, 1, name=f"{name}/pointwise")

    heads(graph, maps, ANCHORS, classes, predict)
