"""Random graphs for hypothesis: every layer kind, branches, residuals, views, several outputs.

A graph grows by blocks, each of one to nine layers behind tensors that are there already, mostly
the newest. Every tensor that nothing reads becomes an output; so do some others, inputs included.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from graph_blocks import Grower
from hypothesis import strategies as st

from dsconv.graph import Graph


class RandomGraph(NamedTuple):
    """A graph with weights and a batch of every input."""

    graph: Graph
    weights: dict[str, np.ndarray]
    x: tuple[np.ndarray, ...]

    def __repr__(self) -> str:
        return f"{self.graph.to_json()} (inputs of {len(self.x[0])} images)"


@st.composite
def random_graphs(draw: Any, blocks: int = 4, images: int = 3) -> RandomGraph:
    """Draw a graph of up to `blocks` blocks."""
    grower = Grower(draw)
    for _ in range(draw(st.integers(2, blocks))):
        grower.grow()
    grower.choose_outputs()
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    graph = grower.graph
    return RandomGraph(graph, random_weights(graph, random), random_inputs(graph, images, random))


def random_inputs(
    graph: Graph, images: int, random: np.random.Generator | int = 0
) -> tuple[np.ndarray, ...]:
    """Draw a batch for every input of a graph; `random` may be a seed."""
    random = np.random.default_rng(random)
    return tuple(
        random.normal(size=(images, *graph.shape(name))).astype(np.float32) for name in graph.inputs
    )


def random_weights(graph: Graph, random: np.random.Generator) -> dict[str, np.ndarray]:
    """Draw `Graph.init_weights` with gammas of both signs and zero, and wider variances."""
    weights = graph.init_weights(int(random.integers(2**31)))
    for name, array in weights.items():
        if name.endswith("/gamma"):
            array *= random.choice([-1.0, 0.0, 1.0], array.shape, p=[0.3, 0.2, 0.5])
        if name.endswith("/variance"):
            array *= random.choice([0.1, 1.0, 4.0], array.shape)
    return weights
