"""One network on its own, step by step, through `Model.profile`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dsconv import models
from dsconv.bench.networks import compiled, pictures
from dsconv.bench.recorder import Recorder
from dsconv.bench.results import Step, Timed


def measure(recorder: Recorder, options: Mapping[str, Any]) -> None:
    """Measure every step of `results.network` and its whole call."""
    results = recorder.results
    graph = models.get(results.network, **options)
    cost = graph.cost()
    results.by_kind = {
        kind: (part.mult_adds * results.batch, part.weights)
        for kind, part in cost.by_kind().items()
        if part.weights
    }
    recorder.progress(f"{results.network}: compiling")
    model = compiled(graph, results)
    x = pictures(graph, results.batch)
    model(x)  # warms up
    results.whole = Timed(cost.mult_adds * results.batch)
    for number in range(1, results.repeats + 1):
        recorder.progress(f"{results.network}, round {number} of {results.repeats}")
        steps, seconds = profile_once(model, x)
        for step, more in zip(results.steps, steps, strict=bool(results.steps)):
            step.seconds += more.seconds
        results.steps = results.steps or steps
        results.whole.seconds.append(seconds)
        recorder.sample_peak()


def profile_once(model: Any, x: Any) -> tuple[list[Step], float]:
    """One round of `model.profile`: its steps, and the seconds of the whole call."""
    profile = model.profile(x, repeats=1)
    steps = [
        Step(
            name=step.name,
            kind=step.kind,
            mult_adds=step.mult_adds,
            parameters=step.parameters,
            seconds=list(step.times),
        )
        for step in profile.steps
    ]
    return steps, min(profile.total)
