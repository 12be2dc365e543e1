"""GoogLeNet (Szegedy et al. 2014, arXiv 1409.4842, table 1), without its two auxiliary heads.

Convolutions have biases and no batch norm. The paper leaves the constants of the local response
norm open: these are those of the Caffe model, whose alpha of 1e-4 is divided by the size of 5.
"""

from __future__ import annotations

from dsconv.graph import Graph
from dsconv.models.topologies.blocks import Resolution, checked_classes, conv_relu, input_shape

MODULES = {  # filters: 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, 1x1 behind the pooling
    "inception_3a": (64, 96, 128, 16, 32, 32),
    "inception_3b": (128, 128, 192, 32, 96, 64),
    "pool3": None,
    "inception_4a": (192, 96, 208, 16, 48, 64),
    "inception_4b": (160, 112, 224, 24, 64, 64),
    "inception_4c": (128, 128, 256, 24, 64, 64),
    "inception_4d": (112, 144, 288, 32, 64, 64),
    "inception_4e": (256, 160, 320, 32, 128, 128),
    "pool4": None,
    "inception_5a": (256, 160, 320, 32, 128, 128),
    "inception_5b": (384, 192, 384, 48, 128, 128),
}

NORM = {"size": 5, "alpha": 1e-4 / 5, "beta": 0.75, "bias": 1.0}


def googlenet(resolution: Resolution = 224, classes: int = 1000) -> Graph:
    """Build GoogLeNet.

    Parameters
    ----------
    resolution, classes
        As for all networks, see `dsconv.models`.

    Returns
    -------
    Graph
        Input (H, W, 3); output "logits" of shape (classes,).
    """
    graph = Graph("googlenet")
    x = graph.input(input_shape(resolution))
    x = conv_relu(graph, x, 64, 7, stride=2, padding=3, name="conv1")
    x = graph.max_pool(x, 3, 2, ceil=True, name="pool1")
    x = graph.local_response_norm(x, name="norm1", **NORM)
    x = conv_relu(graph, x, 64, 1, name="conv2/reduce")
    x = conv_relu(graph, x, 192, 3, name="conv2")
    x = graph.local_response_norm(x, name="norm2", **NORM)
    x = graph.max_pool(x, 3, 2, ceil=True, name="pool2")
    for name, filters in MODULES.items():
        if filters is None:
            x = graph.max_pool(x, 3, 2, ceil=True, name=name)
        else:
            x = _inception(graph, x, filters, name)
    x = graph.global_average_pool(x, name="pool5")
    graph.output(graph.dense(x, checked_classes(classes), name="logits"))
    return graph


def _inception(graph: Graph, x: str, filters: tuple[int, ...], name: str) -> str:
    """Add one module (figure 2b): four branches side by side."""
    one, reduce_3, three, reduce_5, five, projection = filters
    a = conv_relu(graph, x, one, 1, name=f"{name}/1x1")
    b = conv_relu(graph, x, reduce_3, 1, name=f"{name}/3x3_reduce")
    b = conv_relu(graph, b, three, 3, name=f"{name}/3x3")
    c = conv_relu(graph, x, reduce_5, 1, name=f"{name}/5x5_reduce")
    c = conv_relu(graph, c, five, 5, name=f"{name}/5x5")
    d = graph.max_pool(x, 3, 1, padding=1, name=f"{name}/pool")
    d = conv_relu(graph, d, projection, 1, name=f"{name}/pool_projection")
    return graph.concat(a, b, c, d, name=f"{name}/concat")
