"""SqueezeNet 1.0 (Iandola et al. 2016, arXiv 1602.07360, table 1).

Poolings round their sizes up, as in the authors' Caffe model; at 227 x 227 that changes nothing.
"""

from __future__ import annotations

from dsconv.arguments.numbers import integer
from dsconv.graph import Graph
from dsconv.models.topologies.blocks import Resolution, checked_classes, conv_relu, input_shape

FIRE = {  # squeeze 1x1, expand 1x1 and 3x3 each
    "fire2": (16, 64),
    "fire3": (16, 64),
    "fire4": (32, 128),
    "pool4": None,
    "fire5": (32, 128),
    "fire6": (48, 192),
    "fire7": (48, 192),
    "fire8": (64, 256),
    "pool8": None,
    "fire9": (64, 256),
}


def squeezenet(resolution: Resolution = 227, classes: int = 1000, conv10_padding: int = 0) -> Graph:
    """Build SqueezeNet 1.0.

    Parameters
    ----------
    resolution, classes
        As for all networks, see `dsconv.models`.
    conv10_padding
        Pixels around the input of the last 1x1 convolution; the authors' Caffe model has 1.

    Returns
    -------
    Graph
        Input (H, W, 3); output "logits" of shape (classes,).
    """
    graph = Graph("squeezenet")
    x = graph.input(input_shape(resolution))
    x = conv_relu(graph, x, 96, 7, stride=2, padding="valid", name="conv1")
    x = graph.max_pool(x, 3, 2, ceil=True, name="pool1")
    for name, filters in FIRE.items():
        if filters is None:
            x = graph.max_pool(x, 3, 2, ceil=True, name=name)
        else:
            x = _fire(graph, x, *filters, name)
    padding = integer(conv10_padding, "conv10_padding", 0)
    x = conv_relu(graph, x, checked_classes(classes), 1, padding=padding, name="conv10")
    graph.output(graph.global_average_pool(x, name="logits"))
    return graph


def _fire(graph: Graph, x: str, squeeze: int, expand: int, name: str) -> str:
    """Add one module (figure 1): a 1x1 convolution, then 1x1 and 3x3 side by side."""
    x = conv_relu(graph, x, squeeze, 1, name=f"{name}/squeeze")
    a = conv_relu(graph, x, expand, 1, name=f"{name}/expand_1x1")
    b = conv_relu(graph, x, expand, 3, name=f"{name}/expand_3x3")
    return graph.concat(a, b, name=f"{name}/concat")
