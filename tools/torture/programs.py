"""Run random steps and random graphs on arrays of exactly the size that they need.

    python -m tools.torture.programs SECONDS SEED

Every array lies beside a page that must not be touched; on a build with sanitizers the rest of the
memory is watched as well.
"""

from __future__ import annotations

import math
import sys
from typing import Any

import guarded_steps
import numpy as np
import step_cases
from hypothesis import strategies as st
from random_graphs import RandomGraph, random_graphs

from dsconv.kernels import dispatch
from tools.torture.examples import try_for


def run_graph(case: RandomGraph, at_end: bool, threads: int) -> None:
    """Run a compiled graph between forbidden pages, and compare with a run on ordinary arrays."""
    model = case.graph.compile(case.weights, threads=threads)
    images = len(case.x[0])
    x = [guarded_steps.guarded(a, at_end) for a in case.x]
    sizes = [images * math.prod(shape) for shape in model.outputs.values()]
    y = [guarded_steps.fresh(size, at_end) for size in sizes]
    model._program.run((*x, *y), images, threads)
    expected = model(case.x)
    expected = expected if isinstance(expected, tuple) else (expected,)
    for a, b in zip(y, expected, strict=True):
        assert a.tobytes() == b.tobytes(), "other arrays gave other bits"
    assert all(np.array_equal(a, b) for a, b in zip(x, case.x, strict=True)), "an input changed"


def check(case: Any) -> None:
    """Run a step or a graph on the instruction set in use."""
    what, at_end, threads = case
    if isinstance(what, RandomGraph):
        run_graph(what, at_end, threads)
    else:
        guarded_steps.run(dispatch.kernels, what, at_end)


if __name__ == "__main__":
    steps = st.sampled_from(list(step_cases.GOOD)).flatmap(step_cases.cases)
    cases = st.tuples(steps | random_graphs(), st.booleans(), st.integers(1, 4))
    print(try_for(float(sys.argv[1]), int(sys.argv[2]), cases, check))
