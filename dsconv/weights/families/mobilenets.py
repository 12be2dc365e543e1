"""Build MobileNetV1 and V2 with the widths of a file, also without classifier."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from dsconv.graph import Graph
from dsconv.models.topologies.blocks import conv_bn, input_shape
from dsconv.weights.families.arrays import Layers

# Channels at alpha 1 -> a layer that has them
_V1_WIDTHS = {32: "conv0"} | {
    base: f"block{n}/pointwise" for base, n in ((64, 1), (128, 3), (256, 5), (512, 11), (1024, 13))
}
_V2_WIDTHS = {
    base: f"block{number}/project"
    for base, number in ((16, 1), (24, 3), (32, 6), (64, 10), (96, 13), (160, 16), (320, 17))
}


def mobilenet_v1(
    layers: Layers,
    resolution: int | None,
    padding: str,
    epsilon: float,
    *,
    activation: str = "relu6",
    last: bool = False,
) -> Graph:
    """Build MobileNetV1 with the widths and classes of a file.

    `layers` are those in the file; without classifier, the network ends in the pooled features.
    `resolution` is 224 if it is None; `padding`, `epsilon` and `activation` are as in
    `dsconv.models.mobilenet_v1`. `last` adds one more 1x1 convolution before the pooling.
    """
    from dsconv.models.topologies.mobilenet_v1 import features

    found = {base: layers.channels(layer) for base, layer in _V1_WIDTHS.items()}
    alpha = width_multiplier(found, lambda wanted: max(int(wanted), 8))
    graph = Graph("mobilenet_v1")
    x = graph.input(input_shape(224 if resolution is None else resolution))
    x = features(graph, x, alpha, padding, epsilon, activation=activation)
    if last:
        filters = layers.channels("conv_last") or 8  # if it is missing, that is said later
        x = conv_bn(graph, x, filters, activation=activation, epsilon=epsilon, name="conv_last")
    finish(graph, x, layers.classes)
    return graph


def mobilenet_v2(layers: Layers, resolution: int | None, padding: str, epsilon: float) -> Graph:
    """Build MobileNetV2 with the widths and classes of a file; see `mobilenet_v1`.

    If the last convolution has as many channels as the file's classifier takes, these count, and
    not the rule that alpha < 1 leaves 1280.
    """
    from dsconv.models.topologies.mobilenet_v2 import LAST, features, rounded

    found = {base: layers.channels(layer) for base, layer in _V2_WIDTHS.items()}
    alpha = width_multiplier(found, rounded)
    graph = Graph("mobilenet_v2")
    x = graph.input(input_shape(224 if resolution is None else resolution))
    x = features(graph, x, alpha, padding, epsilon)
    filters = rounded(LAST * max(1.0, alpha))
    if layers.pooled and layers.pooled == layers.channels("conv_last"):
        filters = layers.pooled
    x = conv_bn(graph, x, filters, epsilon=epsilon, name="conv_last")
    finish(graph, x, layers.classes)
    return graph


def finish(graph: Graph, x: str, classes: int | None) -> None:
    """Add the pooling, and the classifier unless `classes` is None."""
    x = graph.global_average_pool(x, name="pool")
    if classes is not None:
        x = graph.dense(x, classes, name="logits")
    graph.output(x)


def width_multiplier(found: Mapping[int, int], width: Callable[[float], int]) -> float:
    """Return the alpha with which a topology has the channels that a file has.

    `found` maps channels at alpha 1 to channels in the file, for layers of different width; 0 is
    unknown. `width` is the topology's own rounding of channels * alpha. Alpha is the first of the
    ratios, widest layer first, and of the hundredths that explains all layers; if none does, the
    one that explains most of them; 1 if nothing is known.
    """
    known = {base: channels for base, channels in found.items() if channels}
    if not known:
        return 1.0
    ratios = [channels / base for base, channels in sorted(known.items(), reverse=True)]
    explained: Counter[float] = Counter()
    for alpha in (*ratios, *(hundredths / 100 for hundredths in range(1, 401))):
        explained[alpha] = sum(width(base * alpha) == known[base] for base in known)
        if explained[alpha] == len(known):
            return alpha
    return max(explained, key=lambda alpha: explained[alpha])
