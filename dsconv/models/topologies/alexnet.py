"""AlexNet (Krizhevsky et al. 2012, "ImageNet classification with deep convolutional networks").

The input is 227 x 227: the paper's 224 does not give its own 55 x 55 maps.
"""

from __future__ import annotations

from dsconv.graph import Graph
from dsconv.models.topologies.blocks import Resolution, checked_classes, conv_relu, input_shape


def alexnet(resolution: Resolution = 227, classes: int = 1000, groups: int = 2) -> Graph:
    """Build AlexNet.

    Parameters
    ----------
    resolution, classes
        As for all networks, see `dsconv.models`.
    groups
        The second, fourth and fifth convolution are split into so many: 2 as in the paper, whose
        halves run on a GPU each, or 1.

    Returns
    -------
    Graph
        Input (H, W, 3); output "logits" of shape (classes,).
    """
    graph = Graph("alexnet")
    x = graph.input(input_shape(resolution))
    x = conv_relu(graph, x, 96, 11, stride=4, padding="valid", name="conv1")
    x = graph.local_response_norm(x, name="norm1")
    x = graph.max_pool(x, 3, 2, name="pool1")
    x = conv_relu(graph, x, 256, 5, groups=groups, name="conv2")
    x = graph.local_response_norm(x, name="norm2")
    x = graph.max_pool(x, 3, 2, name="pool2")
    x = conv_relu(graph, x, 384, 3, name="conv3")
    x = conv_relu(graph, x, 384, 3, groups=groups, name="conv4")
    x = conv_relu(graph, x, 256, 3, groups=groups, name="conv5")
    x = graph.max_pool(x, 3, 2, name="pool5")
    x = graph.flatten(x, name="flatten")
    x = graph.relu(graph.dense(x, 4096, name="fc6"), name="fc6/relu")
    x = graph.relu(graph.dense(x, 4096, name="fc7"), name="fc7/relu")
    graph.output(graph.dense(x, checked_classes(classes), name="logits"))
    return graph
