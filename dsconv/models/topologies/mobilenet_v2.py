"""MobileNetV2 (Sandler et al. 2018, arXiv 1801.04381, table 2).

A block is an inverted residual with a linear bottleneck: a 1x1 expansion, a depthwise 3x3, a 1x1
projection without activation, and the sum with the block's input where the shapes agree.
"""

from __future__ import annotations

from functools import partial

from dsconv.graph import Graph
from dsconv.layers import Add
from dsconv.models.topologies.blocks import (
    Resolution,
    checked_alpha,
    classifier,
    conv_bn,
    depthwise_bn,
    input_shape,
    padding_3x3,
)

STEM = 32  # filters of the first convolution, 3x3 with stride 2

BLOCKS = (  # expansion t, output channels c, repeats n, stride s of the first
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)

LAST = 1280  # filters of the last 1x1 convolution


def mobilenet_v2(
    alpha: float = 1.0,
    resolution: Resolution = 224,
    classes: int = 1000,
    padding: str = "symmetric",
    batch_norm_epsilon: float = 1e-5,
    softmax: bool = False,
) -> Graph:
    """Build MobileNetV2.

    Parameters
    ----------
    alpha
        Width multiplier, above 0; channels are rounded by `rounded`. The last 1x1 convolution
        keeps its 1280 filters for alpha < 1.
    resolution, classes
        As for all networks, see `dsconv.models`.
    padding
        "symmetric" (one pixel on every side) or "same" (TensorFlow's rule).
    batch_norm_epsilon
        Epsilon of every batch norm: 1e-5 in torchvision's file, 1e-3 in TensorFlow's.
    softmax
        End in probabilities instead of logits.

    Returns
    -------
    Graph
        Input (H, W, 3); output "logits" or "softmax" of shape (classes,).
    """
    graph = Graph("mobilenet_v2")
    x = graph.input(input_shape(resolution))
    x = features(graph, x, alpha, padding, batch_norm_epsilon)
    last = rounded(LAST * max(1.0, checked_alpha(alpha)))
    x = conv_bn(graph, x, last, 1, epsilon=batch_norm_epsilon, name="conv_last")
    return classifier(graph, x, classes, softmax)


def features(
    graph: Graph,
    x: str,
    alpha: float = 1.0,
    padding: str = "symmetric",
    batch_norm_epsilon: float = 1e-5,
    output_stride: int = 32,
) -> str:
    """Add the stem and the seventeen blocks behind the tensor `x`; return the output of block 17.

    From `output_stride` (8, 16 or 32) on, strides become dilations: maps shrink no further, and
    the depthwise kernels after the first block concerned spread twice as far each time.
    """
    if output_stride not in (8, 16, 32):
        raise ValueError(f"output_stride must be 8, 16 or 32, got {output_stride!r}")
    alpha, epsilon = checked_alpha(alpha), batch_norm_epsilon
    x = conv_bn(
        graph, x, rounded(STEM * alpha), 3, stride=2, padding=padding_3x3(padding),
        epsilon=epsilon, name="conv0",
    )  # fmt: skip
    number, shrunk, dilation = 0, 2, 1
    for expansion, count, repeats, first_stride in BLOCKS:
        for repeat in range(repeats):
            number += 1
            wanted = first_stride if repeat == 0 else 1
            stride = wanted if shrunk * wanted <= output_stride else 1
            x = inverted_residual(
                graph, x, rounded(count * alpha), expansion, stride=stride, dilation=dilation,
                padding=padding, epsilon=epsilon, name=f"block{number}",
            )  # fmt: skip
            shrunk *= stride
            dilation *= wanted // stride
    return x


def inverted_residual(
    graph: Graph,
    x: str,
    filters: int,
    expansion: int,
    kernel: int = 3,
    *,
    stride: int = 1,
    dilation: int = 1,
    padding: str,
    epsilon: float,
    name: str,
) -> str:
    """Add one block (table 1): name/expand, name/depthwise, name/project, name/add."""
    block_input, channels = x, graph.shape(x)[-1]
    pad = padding_3x3(padding, dilation * (kernel // 2))
    conv = partial(conv_bn, graph, epsilon=epsilon)
    if expansion != 1:
        x = conv(x, channels * expansion, 1, name=f"{name}/expand")
    x = depthwise_bn(
        graph, x, kernel, stride=stride, dilation=dilation, padding=pad, epsilon=epsilon,
        name=f"{name}/depthwise",
    )  # fmt: skip
    x = conv(x, filters, 1, activation=None, name=f"{name}/project")
    if stride == 1 and channels == filters:
        x = graph.add(Add(), block_input, x, name=f"{name}/add")
    return x


def rounded(channels: float, divisor: int = 8) -> int:
    """Round to a multiple of `divisor`, at least one of them and never over 10 % down."""
    result = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return result + divisor if result < 0.9 * channels else result
