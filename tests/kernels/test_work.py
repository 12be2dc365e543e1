"""Steps count their multiply-adds as dsconv.cost does, and their work as an upper bound."""

from __future__ import annotations

import pytest
from hypothesis import given
from random_graphs import RandomGraph, random_graphs

from dsconv import models
from dsconv.kernels import dispatch


@given(case=random_graphs())
def test_the_steps_of_random_graphs(case: RandomGraph) -> None:
    program = case.graph.compile(case.weights)._program
    assert sum(program.mult_adds) == case.graph.cost().mult_adds
    assert program.work >= case.graph.cost().mult_adds


@pytest.mark.parametrize("name", ["mobilenet_v1", "mobilenet_v2", "shufflenet", "googlenet"])
def test_the_steps_of_topologies(name: str) -> None:
    graph = models.get(name)
    program = graph.compile()._program
    cost = graph.cost().mult_adds
    assert sum(program.mult_adds) == cost
    assert cost <= program.work < 1.5 * cost


def test_what_is_no_convolution() -> None:
    """Count the taps of windows within the map, neighbours, and floats that are moved."""
    steps, places = dispatch.kernels.Step, ((1, 0), (2, 0))
    side = {"h": 2000, "w": 2000, "oh": 2000, "ow": 2000, "kh": 4000, "kw": 4000}
    pool = steps("average_pool", {**side, "top": 2000, "left": 2000}, *places)
    assert (pool.mult_adds, pool.work) == (0, 2000.0**4)
    norm = steps("local_response", {"c": 50, "oc": 50, "mode": 2**31 - 1}, *places)
    assert norm.work == 50 * 50
    mean = steps("global_average", {"h": 30, "w": 20, "c": 7, "oc": 7}, *places)
    assert mean.work == 30 * 20 * 7
    fill = steps("zero", {"oc": 1000}, *places)
    assert fill.work == 1000
