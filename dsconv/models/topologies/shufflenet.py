"""ShuffleNet (Zhang et al. 2017, arXiv 1707.01083, table 1).

A unit is a grouped 1x1 convolution, a channel shuffle, a depthwise 3x3 and a grouped 1x1; the
first 1x1 convolution of stage 2 is not grouped (section 3.2).
"""

from __future__ import annotations

from functools import partial

from dsconv.arguments.numbers import integer
from dsconv.graph import Graph
from dsconv.layers import Add
from dsconv.layers.base import number
from dsconv.models.topologies.blocks import (
    Resolution,
    classifier,
    conv_bn,
    depthwise_bn,
    input_shape,
)

STAGE_2 = {1: 144, 2: 200, 3: 240, 4: 272, 8: 384}  # output channels by groups; then twice as many

REPEATS = (4, 8, 4)  # units in stages 2 to 4; the first halves the map

EPSILON = 1e-5  # of every batch norm

conv = partial(conv_bn, epsilon=EPSILON)
depthwise = partial(depthwise_bn, epsilon=EPSILON)


def shufflenet(
    width: float = 1.0,
    groups: int = 3,
    resolution: Resolution = 224,
    classes: int = 1000,
    stem: int | None = None,
) -> Graph:
    """Build ShuffleNet.

    Parameters
    ----------
    width
        The paper's scale factor s: stages have s times the channels, 0.25 to 2 in the paper.
    groups
        Groups of the 1x1 convolutions: 1, 2, 3, 4 or 8.
    resolution, classes
        As for all networks, see `dsconv.models`.
    stem
        Filters of the first convolution. None follows the published counts: 12 for widths below
        1, 24 (as in the table) below 2, and 48 from 2 on.

    Returns
    -------
    Graph
        Input (H, W, 3); output "logits" of shape (classes,).
    """
    width = number(width, "width")
    if width <= 0:
        raise ValueError(f"width must be above 0, got {width}")
    if integer(groups, "groups") not in STAGE_2:
        raise ValueError(f"groups must be one of {', '.join(map(str, STAGE_2))}, got {groups!r}")
    if stem is None:
        stem = 12 if width < 1 else 24 if width < 2 else 48
    graph = Graph("shufflenet")
    x = graph.input(input_shape(resolution))
    x = conv(graph, x, stem, 3, stride=2, padding=1, activation="relu", name="conv1")
    x = graph.max_pool(x, 3, 2, padding=1, name="pool1")
    for stage, repeats in enumerate(REPEATS, start=2):
        filters = int(STAGE_2[groups] * width) * 2 ** (stage - 2)
        for unit in range(1, repeats + 1):
            name = f"stage{stage}/unit{unit}"
            first_groups = 1 if name == "stage2/unit1" else groups
            x = _unit(graph, x, filters, first_groups, groups, halve=unit == 1, name=name)
    return classifier(graph, x, classes)


def _unit(
    graph: Graph, x: str, filters: int, first_groups: int, groups: int, *, halve: bool, name: str
) -> str:
    """Add one unit (figure 2b, or 2c if it halves the map) to `filters` channels in all."""
    stride, expanded = (2, filters - graph.shape(x)[2]) if halve else (1, filters)
    y = conv(graph, x, filters // 4, groups=first_groups, activation="relu", name=f"{name}/reduce")
    y = graph.channel_shuffle(y, groups, name=f"{name}/shuffle")
    y = depthwise(graph, y, 3, stride=stride, padding=1, activation=None, name=f"{name}/depthwise")
    y = conv(graph, y, expanded, groups=groups, activation=None, name=f"{name}/expand")
    if halve:
        x = graph.average_pool(x, 3, 2, padding=1, name=f"{name}/shortcut")
        y = graph.concat(x, y, name=f"{name}/concat")
    else:
        y = graph.add(Add(), x, y, name=f"{name}/add")
    return graph.relu(y, name=f"{name}/relu")
