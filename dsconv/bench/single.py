"""Measure one network step by step through `Model.profile`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dsconv import models
from dsconv.bench.check import check, graph_of
from dsconv.bench.networks import compiled, pictures
from dsconv.bench.recorder import Recorder
from dsconv.bench.results import Step, Timed
from dsconv.bench.timing import rounds

if TYPE_CHECKING:
    from dsconv.compiler import Model
    from dsconv.graph import Graph


def measure(recorder: Recorder, options: Mapping[str, Any]) -> None:
    """Measure whole calls of `results.network`, its steps, and its layers unfused, in turn.

    Raises
    ------
    MemoryError
        If the batch is too large for a profile.
    """
    results = recorder.results
    graph = models.get(results.network, **options)
    recorder.progress(f"{results.network}: compiling")
    x = pictures(graph, results.batch)
    weights = graph.init_weights(0)
    model, layers = compiled(graph, weights, results), unfused(graph, weights, results.threads)
    recorder.progress(f"{results.network}: checking")
    expected = graph_of(graph, weights, x)
    for what, each in ((graph.name, model), (f"{graph.name} unfused", layers)):
        check(what, each(x), expected, results.batch)
    try:  # warms up; these times are not kept
        results.steps, results.layers = profile(model, x), profile(layers, x)
    except ValueError as error:
        raise MemoryError(str(error)) from None
    for step in results.steps + results.layers:
        step.seconds.clear()
    results.whole = Timed(graph.cost().mult_adds * results.batch)
    taken = rounds([lambda: model(x)], results.repeats)
    recorder.peak()
    for number, (seconds,) in enumerate(taken, start=1):
        again = profile(model, x) + profile(layers, x)
        peak = recorder.peak()
        results.whole.add(seconds, peak)
        for step, once in zip(results.steps + results.layers, again, strict=True):
            step.add(once.seconds[0], peak)
        recorder.progress(f"{results.network}, round {number} of {results.repeats}")


def profile(model: Model, x: Any) -> list[Step]:
    """Return the steps of one run of `model`, with the counts of the whole batch."""
    return [
        Step(step.mult_adds * len(x), step.times, name=step.name, kind=step.kind,
             parameters=step.parameters)
        for step in model.profile(x, repeats=1).steps
    ]  # fmt: skip


def unfused(graph: Graph, weights: Mapping[str, Any], threads: int) -> Model:
    """Compile a graph so that every convolution, with batch norm and clip, is a step of its own."""
    from dsconv.compiler.lowering import lower
    from dsconv.compiler.model import Model
    from dsconv.compiler.passes import LAYERWISE, optimise
    from dsconv.compiler.weights import FoldedWeights

    folded = FoldedWeights(graph, weights)
    return Model(graph.name, lower(optimise(graph, LAYERWISE), folded), threads)
