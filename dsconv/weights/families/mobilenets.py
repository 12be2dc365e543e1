"""MobileNetV1 and V2 with the widths of a file, also without classifier."""

from __future__ import annotations

from collections.abc import Callable

from dsconv.graph import Graph
from dsconv.models.topologies.blocks import conv_bn, input_shape
from dsconv.weights.families.arrays import width_multiplier

# Channels at alpha 1 -> a layer that has them
_V1_WIDTHS = {
    32: "conv0",
    64: "block1/pointwise",
    128: "block3/pointwise",
    256: "block5/pointwise",
    512: "block11/pointwise",
    1024: "block13/pointwise",
}
_V2_WIDTHS = {
    16: "block1/project",
    24: "block3/project",
    32: "block6/project",
    64: "block10/project",
    96: "block13/project",
    160: "block16/project",
    320: "block17/project",
}


def mobilenet_v1(
    channels: Callable[[str], int],
    classes: int | None,
    resolution: int | None,
    padding: str,
    epsilon: float,
    *,
    activation: str = "relu6",
    last: bool = False,
) -> Graph:
    """MobileNetV1 with the widths of a file.

    Parameters
    ----------
    channels
        Output channels in the file of a convolution of the graph; 0 if the file lacks it.
    classes
        Of the classifier; None for a network that ends in the pooled features.
    resolution
        Height and width of the input; None: 224.
    padding, epsilon, activation
        As in `dsconv.models.mobilenet_v1`.
    last
        With one more 1x1 convolution, "conv_last", before the pooling.
    """
    from dsconv.models.topologies.mobilenet_v1 import features

    found = {base: channels(layer) for base, layer in _V1_WIDTHS.items()}
    alpha = width_multiplier(found, lambda wanted: max(int(wanted), 8))
    graph = Graph("mobilenet_v1")
    x = graph.input(input_shape(224 if resolution is None else resolution))
    x = features(graph, x, alpha, padding, epsilon, activation=activation)
    if last:
        filters = channels("conv_last") or 8  # missing, as will be said
        x = conv_bn(graph, x, filters, activation=activation, epsilon=epsilon, name="conv_last")
    finish(graph, x, classes)
    return graph


def mobilenet_v2(
    channels: Callable[[str], int],
    classes: int | None,
    resolution: int | None,
    padding: str,
    epsilon: float,
    *,
    pooled: int = 0,
) -> Graph:
    """MobileNetV2 with the widths of a file.

    Parameters
    ----------
    channels, classes, resolution, padding, epsilon
        As in `mobilenet_v1`.
    pooled
        Input channels of the file's classifier. Where the last convolution agrees with them, both
        count, and not the rule that alpha < 1 leaves 1280.
    """
    from dsconv.models.topologies.mobilenet_v2 import LAST, features, rounded

    found = {base: channels(layer) for base, layer in _V2_WIDTHS.items()}
    alpha = width_multiplier(found, rounded)
    graph = Graph("mobilenet_v2")
    x = graph.input(input_shape(224 if resolution is None else resolution))
    x = features(graph, x, alpha, padding, epsilon)
    filters = rounded(LAST * max(1.0, alpha))
    if pooled and pooled == channels("conv_last"):
        filters = pooled
    x = conv_bn(graph, x, filters, epsilon=epsilon, name="conv_last")
    finish(graph, x, classes)
    return graph


def finish(graph: Graph, x: str, classes: int | None) -> None:
    """Pooling, and the classifier unless `classes` is None."""
    x = graph.global_average_pool(x, name="pool")
    if classes is not None:
        x = graph.dense(x, classes, name="logits")
    graph.output(x)
