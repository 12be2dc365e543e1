"""DeepLabv3 (Chen et al. 2017, arXiv 1706.05587) on MobileNetV2 and on ResNet-101.

The backbone stops shrinking at the output stride and spreads its kernels instead. On MobileNetV2
the paper of that network (arXiv 1801.04381, section 6.3) leaves the atrous branches out. ResNet-101
is the one that TensorFlow's DeepLab uses: three 3x3 convolutions instead of the first 7x7, and each
stage halves the map in the 3x3 of its last block.
"""

from __future__ import annotations

from functools import partial

from dsconv.arguments.numbers import integer
from dsconv.graph import Graph
from dsconv.layers.base import flag
from dsconv.models.topologies.blocks import Resolution, checked_classes, conv_bn, input_shape
from dsconv.models.topologies.mobilenet_v2 import features as features_v2
from dsconv.models.topologies.resnet import FILTERS, REPEATS, bottleneck

RATES = {16: (6, 12, 18), 8: (12, 24, 36)}  # dilations of the atrous branches by output stride

MULTI_GRID = (1, 2, 4)  # dilations in the last stage of ResNet-101, on top of the output stride's

EPSILON_V2 = 1e-3  # of the batch norms of MobileNetV2

conv = partial(conv_bn, activation="relu", epsilon=1e-5)


def deeplab_v3_mobilenet_v2(
    resolution: Resolution = 513,
    classes: int = 21,
    output_stride: int = 16,
    aspp: bool = False,
) -> Graph:
    """Build DeepLabv3 on MobileNetV2, "same" padding.

    Parameters
    ----------
    resolution, classes
        As for all networks, see `dsconv.models`; 21 classes for Pascal VOC.
    output_stride
        16 or 8: how many times smaller the last map is than the input.
    aspp
        True: the head has the three atrous 3x3 branches.

    Returns
    -------
    Graph
        Input (H, W, 3); output "resized", logits (H, W, classes) at the input's size.
    """
    _check(output_stride)
    graph = Graph("deeplab_v3_mobilenet_v2")
    x = graph.input(input_shape(resolution))
    x = features_v2(graph, x, 1.0, "same", EPSILON_V2, output_stride)
    _head(graph, x, classes, RATES[output_stride] if flag(aspp, "aspp") else ())
    return graph


def deeplab_v3_resnet101(
    resolution: Resolution = 513, classes: int = 21, output_stride: int = 16
) -> Graph:
    """Build DeepLabv3 on ResNet-101 with ASPP, symmetric padding.

    Parameters and result are those of `deeplab_v3_mobilenet_v2`.
    """
    _check(output_stride)
    graph = Graph("deeplab_v3_resnet101")
    x = graph.input(input_shape(resolution))
    for number, (filters, stride) in enumerate(((64, 2), (64, 1), (128, 1)), start=1):
        x = conv(graph, x, filters, 3, stride=stride, padding=1, name=f"conv1_{number}")
    x = graph.max_pool(x, 3, 2, padding=1, name="pool1")
    shrunk, dilation = 4, 1
    for stage, (filters, repeats) in enumerate(zip(FILTERS, REPEATS[101], strict=True), start=2):
        for block in range(1, repeats + 1):
            wanted = 2 if block == repeats and stage < 5 else 1
            stride = wanted if shrunk < output_stride else 1
            x = bottleneck(
                graph, x, filters, stride=stride, stride_on="3x3",
                dilation=dilation * (MULTI_GRID[block - 1] if stage == 5 else 1),
                name=f"stage{stage}/block{block}",
            )  # fmt: skip
            shrunk *= stride
            dilation *= wanted // stride
    _head(graph, x, classes, RATES[output_stride])
    return graph


def _check(output_stride: int) -> None:
    if integer(output_stride, "output_stride") not in RATES:
        raise ValueError(f"output_stride must be 16 or 8, got {output_stride!r}")


def _head(graph: Graph, x: str, classes: int, rates: tuple[int, ...]) -> None:
    """Add image pooling, a 1x1 and a 3x3 for each rate side by side, joined and projected."""
    height, width, _ = graph.shape(x)
    pooled = graph.global_average_pool(x, keep_dims=True, name="image_pooling")
    pooled = conv(graph, pooled, 256, name="image_pooling/conv")
    branches = [graph.resize(pooled, height, width, "align_corners", name="image_pooling/resize")]
    branches.append(conv(graph, x, 256, name="aspp/1x1"))
    for rate in rates:
        branches.append(conv(graph, x, 256, 3, dilation=rate, name=f"aspp/rate{rate}"))
    x = conv(graph, graph.concat(*branches, name="aspp/concat"), 256, name="aspp/project")
    x = graph.conv2d(x, checked_classes(classes), 1, name="logits")
    height, width, _ = graph.shape(graph.inputs[0])
    graph.output(graph.resize(x, height, width, "align_corners", name="resized"))
