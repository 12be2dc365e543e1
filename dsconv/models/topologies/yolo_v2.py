"""YOLOv2 (Redmon and Farhadi 2016, arXiv 1612.08242): Darknet-19 of table 6 with a detector.

The detector follows section 2: two 3x3 convolutions, the passthrough of a finer map, one more
3x3 and the 1x1 that predicts. Squares of 2 x 2 pixels become channels in TensorFlow's order.
"""

from __future__ import annotations

from dsconv.arguments.numbers import integer
from dsconv.graph import Graph
from dsconv.models.topologies.blocks import checked_classes, conv_bn, input_shape

DARKNET_19 = (  # filters of the convolutions in each stage, 3x3 and 1x1 by turns
    (32,),
    (64,),
    (128, 64, 128),
    (256, 128, 256),
    (512, 256, 512, 256, 512),
    (1024, 512, 1024, 512, 1024),
)

ANCHORS = 5  # boxes at each pixel, each with 4 coordinates, an objectness and the classes

EPSILON = 1e-5  # of every batch norm


def yolo_v2(
    resolution: int | tuple[int, int] = 416, classes: int = 80, passthrough: int | None = 64
) -> Graph:
    """YOLOv2.

    Parameters
    ----------
    resolution
        Height and width of the input, or the pair; multiples of 32.
    classes
        Number of classes: 80 for COCO, 20 for Pascal VOC.
    passthrough
        Filters of the 1x1 convolution in front of the passthrough, or None for none: the finer
        map then goes in with all its 512 channels.

    Returns
    -------
    Graph
        Input (H, W, 3); raw output "logits" of shape (H / 32, W / 32, 5 * (5 + classes)).
    """
    classes = checked_classes(classes)
    graph = Graph("yolo_v2")
    x = graph.input(input_shape(resolution))
    layer = 0
    for number, stage in enumerate(DARKNET_19, start=1):
        for position, filters in enumerate(stage):
            layer += 1
            x = _conv(graph, x, filters, 3 if position % 2 == 0 else 1, f"conv{layer}")
        if number == 5:
            fine = x
        if number < 6:
            x = graph.max_pool(x, 2, 2, name=f"pool{number}")
    x = _conv(graph, x, 1024, 3, "conv19")
    x = _conv(graph, x, 1024, 3, "conv20")
    if passthrough is not None:
        fine = _conv(graph, fine, integer(passthrough, "passthrough"), 1, "passthrough/conv")
    fine = graph.space_to_depth(fine, 2, name="passthrough")
    x = graph.concat(fine, x, name="passthrough/concat")
    x = _conv(graph, x, 1024, 3, "conv21")
    graph.output(graph.conv2d(x, ANCHORS * (5 + classes), 1, name="logits"))
    return graph


def _conv(graph: Graph, x: str, filters: int, kernel: int, name: str) -> str:
    return conv_bn(graph, x, filters, kernel, activation="leaky_relu", epsilon=EPSILON, name=name)
