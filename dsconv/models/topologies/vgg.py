"""VGG16 and VGG19 (Simonyan and Zisserman 2015, arXiv 1409.1556, table 1, columns D and E)."""

from __future__ import annotations

from dsconv.graph import Graph
from dsconv.models.topologies.blocks import Resolution, checked_classes, conv_relu, input_shape

FILTERS = (64, 128, 256, 512, 512)  # of the 3x3 convolutions in each of the five stages

REPEATS_16 = (2, 2, 3, 3, 3)  # convolutions in each stage; a 2x2 max pooling ends the stage
REPEATS_19 = (2, 2, 4, 4, 4)


def vgg16(resolution: Resolution = 224, classes: int = 1000) -> Graph:
    """Build VGG16.

    Parameters
    ----------
    resolution, classes
        As for all networks, see `dsconv.models`.

    Returns
    -------
    Graph
        Input (H, W, 3); output "logits" of shape (classes,).
    """
    return _vgg("vgg16", REPEATS_16, resolution, classes)


def vgg19(resolution: Resolution = 224, classes: int = 1000) -> Graph:
    """Build VGG19; parameters and result are those of `vgg16`."""
    return _vgg("vgg19", REPEATS_19, resolution, classes)


def _vgg(name: str, repeats: tuple[int, ...], resolution: Resolution, classes: int) -> Graph:
    graph = Graph(name)
    x = graph.input(input_shape(resolution))
    for number, repeat in enumerate(repeats, start=1):
        x = stage(graph, x, number, repeat)
        x = graph.max_pool(x, 2, 2, name=f"pool{number}")
    x = graph.flatten(x, name="flatten")
    x = graph.relu(graph.dense(x, 4096, name="fc6"), name="fc6/relu")
    x = graph.relu(graph.dense(x, 4096, name="fc7"), name="fc7/relu")
    graph.output(graph.dense(x, checked_classes(classes), name="logits"))
    return graph


def stage(graph: Graph, x: str, number: int, repeats: int) -> str:
    """Add the convolutions of stage `number` (1 to 5): conv1_1, conv1_1/relu, conv1_2 ..."""
    for repeat in range(1, repeats + 1):
        x = conv_relu(graph, x, FILTERS[number - 1], 3, name=f"conv{number}_{repeat}")
    return x
