"""List the compared networks, make their inputs, and compute the logits that they must have.

Weights are `Graph.init_weights(SEED)`: they keep activations near one through all layers, so no
engine is slowed down by subnormal numbers, and no overflow hides a difference.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from dsconv import models
from dsconv.bench import check
from dsconv.graph import Graph

SEED = 0


class Network(NamedTuple):
    """Describe a network and the batch it runs on."""

    title: str
    build: Callable[[], Graph]
    batch: int = 1


NETWORKS = {
    "v1": Network("MobileNetV1 1.0-224", models.mobilenet_v1),
    "v2": Network("MobileNetV2 1.0-224", models.mobilenet_v2),
    "v1-small": Network(
        "MobileNetV1 0.25-128", partial(models.mobilenet_v1, alpha=0.25, resolution=128)
    ),
    "v2-small": Network(
        "MobileNetV2 0.35-96", partial(models.mobilenet_v2, alpha=0.35, resolution=96)
    ),
    "v1-standard": Network(
        "MobileNetV1 1.0-224 with standard convolutions", models.mobilenet_v1_standard
    ),
    "v1-batch8": Network("MobileNetV1 1.0-224, batch 8", models.mobilenet_v1, 8),
    "v1-batch32": Network("MobileNetV1 1.0-224, batch 32", models.mobilenet_v1, 32),
    "resnet50": Network("ResNet-50", models.resnet50),
}


def pictures(graph: Graph, batch: int) -> np.ndarray:
    """Return a random batch (N, H, W, C) for the graph's input, with mean 0 and deviation 1."""
    (source,) = graph.inputs
    shape = (batch, *graph.shape(source))
    return np.random.default_rng(SEED).standard_normal(shape, dtype=np.float32)


class Reference:
    """Compute the logits of the first and the last image in double precision, layer by layer.

    The interpreter shares nothing with dsconv's kernels and nothing with the other engines.
    """

    def __init__(self, graph: Graph, x: np.ndarray) -> None:
        self._batch = len(x)
        (self.logits,) = check.graph_of(graph, graph.init_weights(SEED), x)

    def error(self, logits: np.ndarray) -> float | None:
        """Return the largest difference over the largest logit; None for a wrong shape or a NaN."""
        return check.error(logits, self.logits, self._batch)
