"""YOLOv2 (Redmon and Farhadi 2016, arXiv 1612.08242): Darknet-19 of table 6 with a detector.

The detector follows section 2: two 3x3 convolutions, the passthrough of a finer map, one more
3x3 and the 1x1 that predicts. Squares of 2 x 2 pixels become channels in TensorFlow's order.
"""

from __future__ import annotations

from functools import partial

from dsconv.arguments.numbers import integer
from dsconv.graph import Graph
from dsconv.models.topologies.blocks import Resolution, checked_classes, conv_bn, input_shape

DARKNET_19 = (  # filters of the convolutions in each stage, 3x3 and 1x1 by turns
    (32,),
    (64,),
    (128, 64, 128),
    (256, 128, 256),
    (512, 256, 512, 256, 512),
    (1024, 512, 1024, 512, 1024),
)

ANCHORS = 5  # boxes at each pixel, each with 4 coordinates, an objectness and the classes

conv = partial(conv_bn, activation="leaky_relu", epsilon=1e-5)


def yolo_v2(resolution: Resolution = 416, classes: int = 80, passthrough: int | None = 64) -> Graph:
    """Build YOLOv2.

    Parameters
    ----------
    resolution, classes
        As for all networks, see `dsconv.models`: multiples of 32; 80 classes for COCO, 20 for
        Pascal VOC.
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
            x = conv(graph, x, filters, 3 if position % 2 == 0 else 1, name=f"conv{layer}")
        if number == 5:
            fine = x
        if number < 6:
            x = graph.max_pool(x, 2, 2, name=f"pool{number}")
    x = conv(graph, x, 1024, 3, name="conv19")
    x = conv(graph, x, 1024, 3, name="conv20")
    if passthrough is not None:
        fine = conv(graph, fine, integer(passthrough, "passthrough"), 1, name="passthrough/conv")
    fine = graph.space_to_depth(fine, 2, name="passthrough")
    x = graph.concat(fine, x, name="passthrough/concat")
    x = conv(graph, x, 1024, 3, name="conv21")
    graph.output(graph.conv2d(x, ANCHORS * (5 + classes), 1, name="logits"))
    return graph
