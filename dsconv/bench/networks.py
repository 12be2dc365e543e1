"""Measure the whole MobileNetV1 beside its standard counterpart, both with random weights."""

from __future__ import annotations

from collections.abc import Mapping
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from dsconv import models
from dsconv.bench.recorder import Recorder
from dsconv.bench.results import Comparison, Packing, Results, Timed

if TYPE_CHECKING:
    from dsconv.graph import Graph


def measure(recorder: Recorder, options: Mapping[str, Any]) -> None:
    """Measure both networks in turn, and the time of compiling each."""
    results = recorder.results
    graphs = [models.get(name, **options) for name in ("mobilenet_v1_standard", "mobilenet_v1")]
    recorder.progress("whole networks: compiling")
    standard, separable = (compiled(graph, results) for graph in graphs)
    x = pictures(graphs[0], results.batch)
    counts = [graph.cost().mult_adds for graph in graphs]
    sides = [Timed(count * results.batch) for count in counts]
    results.networks.append(Comparison("", "whole network", counts[1] / counts[0], *sides))
    calls = (lambda: standard(x), lambda: separable(x))
    recorder.record("whole networks", list(zip(sides, calls, strict=True)))


def compiled(graph: Graph, results: Results) -> Any:
    """Compile a graph with random weights; `results.compiling` gets the time that it took."""
    weights = graph.init_weights(0)
    start = perf_counter()
    model = graph.compile(weights, results.threads)
    seconds = perf_counter() - start
    cost = graph.cost()
    layers = sum(layer.weights > 0 for layer in cost.by_layer().values())
    results.compiling.append(Packing(f"compile {graph.name}", layers, cost.weights, seconds))
    return model


def pictures(graph: Graph, batch: int) -> np.ndarray:
    """Return a random batch for the graph's input: (batch, H, W, C), float32."""
    shape = (batch, *graph.shape(graph.inputs[0]))
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
