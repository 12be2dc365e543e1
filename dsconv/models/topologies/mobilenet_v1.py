"""MobileNetV1 (Howard et al. 2017, arXiv 1704.04861, table 1), and two networks beside it.

Every block is a depthwise 3x3 and a pointwise convolution, each with batch norm and ReLU6.
The table's last depthwise row says stride 2; its output size shows that the stride is 1.
"""

from __future__ import annotations

from functools import partial

from dsconv.graph import Graph
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

BLOCKS = (  # output channels, stride
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    *[(512, 1)] * 5,
    (1024, 2),
    (1024, 1),
)

SHALLOW_BLOCKS = BLOCKS[:6] + BLOCKS[11:]  # without the five of 14 x 14 x 512 (section 4.1)


def mobilenet_v1(
    alpha: float = 1.0,
    resolution: Resolution = 224,
    classes: int = 1000,
    padding: str = "same",
    batch_norm_epsilon: float = 1e-3,
    softmax: bool = False,
) -> Graph:
    """Build MobileNetV1.

    Parameters
    ----------
    alpha
        Width multiplier, above 0: a layer of c channels has max(int(alpha * c), 8).
    resolution, classes
        As for all networks, see `dsconv.models`. The paper's rho is resolution / 224; TensorFlow's
        files have 1001 classes.
    padding
        "same" (TensorFlow's rule) or "symmetric" (one pixel on every side).
    batch_norm_epsilon
        Epsilon of every batch norm; 1e-3 in TensorFlow's files.
    softmax
        End in probabilities instead of logits.

    Returns
    -------
    Graph
        Input (H, W, 3); output "logits" or "softmax" of shape (classes,).
    """
    graph = Graph("mobilenet_v1")
    x = graph.input(input_shape(resolution))
    x = features(graph, x, alpha, padding, batch_norm_epsilon)
    return classifier(graph, x, classes, softmax)


def mobilenet_v1_standard(
    alpha: float = 1.0,
    resolution: Resolution = 224,
    classes: int = 1000,
    padding: str = "same",
    batch_norm_epsilon: float = 1e-3,
    softmax: bool = False,
) -> Graph:
    """Build the "Conv MobileNet" of table 4: every block is one full 3x3 convolution.

    Parameters are those of `mobilenet_v1`.
    """
    graph = Graph("mobilenet_v1_standard")
    x = graph.input(input_shape(resolution))
    x = features(graph, x, alpha, padding, batch_norm_epsilon, separable=False)
    return classifier(graph, x, classes, softmax)


def mobilenet_v1_shallow(
    alpha: float = 1.0,
    resolution: Resolution = 224,
    classes: int = 1000,
    padding: str = "same",
    batch_norm_epsilon: float = 1e-3,
    softmax: bool = False,
) -> Graph:
    """Build the "Shallow MobileNet" of table 5: the five blocks of 14 x 14 x 512 are left out.

    Parameters are those of `mobilenet_v1`; the remaining blocks are numbered 1 to 8.
    """
    graph = Graph("mobilenet_v1_shallow")
    x = graph.input(input_shape(resolution))
    x = features(graph, x, alpha, padding, batch_norm_epsilon, blocks=SHALLOW_BLOCKS)
    return classifier(graph, x, classes, softmax)


def features(
    graph: Graph,
    x: str,
    alpha: float = 1.0,
    padding: str = "same",
    batch_norm_epsilon: float = 1e-3,
    *,
    blocks: tuple[tuple[int, int], ...] = BLOCKS,
    separable: bool = True,
    activation: str = "relu6",
) -> str:
    """Add everything before the pooling behind the tensor `x`; return the last block's output.

    `activation` is "relu6", or "relu" as in some PyTorch versions of the network.
    """
    alpha = checked_alpha(alpha)
    pad = padding_3x3(padding)
    conv = partial(conv_bn, graph, epsilon=batch_norm_epsilon, activation=activation)
    depthwise = partial(depthwise_bn, graph, epsilon=batch_norm_epsilon, activation=activation)

    def channels(count: int) -> int:
        return max(int(count * alpha), 8)

    x = conv(x, channels(STEM), 3, stride=2, padding=pad, name="conv0")
    for number, (count, stride) in enumerate(blocks, start=1):
        block, filters = f"block{number}", channels(count)
        if separable:
            x = depthwise(x, 3, stride=stride, padding=pad, name=f"{block}/depthwise")
            x = conv(x, filters, 1, name=f"{block}/pointwise")
        else:
            x = conv(x, filters, 3, stride=stride, padding=pad, name=f"{block}/conv")
    return x
