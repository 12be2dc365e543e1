"""Measure the whole MobileNetV1 beside its standard counterpart, both with random weights."""

from __future__ import annotations

from collections.abc import Mapping
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from dsconv import models
from dsconv.bench.check import check, graph_of
from dsconv.bench.recorder import Recorder
from dsconv.bench.results import Comparison, Packing, Results, Timed
from dsconv.bench.timing import Function

if TYPE_CHECKING:
    from dsconv.graph import Graph


def measure(recorder: Recorder, options: Mapping[str, Any]) -> None:
    """Measure both networks in turn, and the time of compiling each."""
    results = recorder.results
    graphs = [models.get(name, **options) for name in ("mobilenet_v1_standard", "mobilenet_v1")]
    recorder.progress("whole networks: compiling")
    x = pictures(graphs[0], results.batch)
    calls = [_checked_call(graph, results, x) for graph in graphs]
    counts = [graph.cost().mult_adds for graph in graphs]
    sides = [Timed(count * results.batch) for count in counts]
    results.networks.append(Comparison("", "whole network", counts[1] / counts[0], *sides))
    recorder.record("whole networks", list(zip(sides, calls, strict=True)))


def _checked_call(graph: Graph, results: Results, x: np.ndarray) -> Function:
    """Compile a graph, check its output for x, and return a function that runs it."""
    weights = graph.init_weights(0)
    model = compiled(graph, weights, results)
    check(graph.name, model(x), graph_of(graph, weights, x), results.batch)
    return lambda: model(x)


def compiled(graph: Graph, weights: Mapping[str, Any], results: Results) -> Any:
    """Compile a graph; `results.compiling` gets the time that it took."""
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
