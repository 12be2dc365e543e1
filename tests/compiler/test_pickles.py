"""Pickled models: the same bits, and weights that any instruction set can pack again."""

from __future__ import annotations

import pickle
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bounds import interpret_with_bounds
from compiled import assert_bits
from hypothesis import given
from random_graphs import RandomGraph, random_graphs, random_inputs, random_weights
from saved_networks import Saved
from small_models import one_input
from tolerance import assert_close

from dsconv import models
from dsconv.compiler.model import PICKLE
from dsconv.graph import Graph
from dsconv.kernels import dispatch


@given(case=random_graphs())
def test_pickles(isa: Any, case: RandomGraph) -> None:
    model = case.graph.compile(case.weights, threads=2)
    copy = pickle.loads(pickle.dumps(model))
    assert (copy.name, copy.threads) == (model.name, 2)
    assert (copy.inputs, copy.outputs) == (model.inputs, model.outputs)
    assert copy.arena_bytes == model.arena_bytes
    assert_bits(copy(case.x), model(case.x))
    assert_bits(deepcopy(copy)(case.x), model(case.x))


@pytest.mark.parametrize(
    "kind", ["convolution", "groups", "depthwise groups", "depthwise", "dense"]
)
@pytest.mark.parametrize("channels", [1, 7, 8, 9, 16, 17, 33, 64, 70])
def test_pickles_hold_weights_of_any_width(isa: Any, kind: str, channels: int) -> None:
    graph = Graph()
    x = graph.input((3, 4, 2 if kind in ("convolution", "groups") else channels))
    if kind == "convolution":
        y = graph.conv2d(x, channels, (2, 3))
    elif kind == "groups":
        y = graph.conv2d(x, 2 * channels, 3, groups=2)
    elif kind == "depthwise groups":
        y = graph.conv2d(x, 3 * channels, 3, groups=channels)
    elif kind == "depthwise":
        y = graph.depthwise_conv2d(x, multiplier=2)
    else:
        y = graph.dense(graph.global_average_pool(x), channels)
    graph.output(y)
    model = graph.compile()
    x_ = random_inputs(graph, 2)
    assert_bits(pickle.loads(pickle.dumps(model))(x_), model(x_))


def test_a_pickle_from_one_instruction_set_runs_on_another() -> None:
    graph = models.mobilenet_v2(0.35, 32, classes=5)
    weights = random_weights(graph, np.random.default_rng(0))
    x = random_inputs(graph, 1)
    available = dispatch.available()
    saved = {}
    for name in available:
        with dispatch.use(name):
            saved[name] = pickle.dumps(graph.compile(weights)), graph.compile(weights)(x)
    for data, _ in saved.values():
        for name in available:
            with dispatch.use(name):
                # folded weights are kept, not packed ones: the bits are those of a compilation here
                assert_bits(pickle.loads(data)(x), saved[name][1])


def test_a_model_stays_on_its_instruction_set() -> None:
    graph = models.mobilenet_v2(0.35, 32, classes=5)
    (x,) = random_inputs(graph, 2)
    with dispatch.use("baseline"):
        model = graph.compile()
        expected = model(x)
    for name in dispatch.available():
        with dispatch.use(name):
            assert_bits(model(x), expected)
            data = pickle.dumps(model)
    with dispatch.use("baseline"):
        assert_bits(pickle.loads(data)(x), expected)


@given(case=random_graphs())
def test_a_random_pickle_on_the_baseline(case: RandomGraph) -> None:
    data = pickle.dumps(case.graph.compile(case.weights))
    with dispatch.use("baseline"):
        y = pickle.loads(data)(case.x)
    expected = interpret_with_bounds(case.graph, case.weights, case.x)
    for result, (value, bound) in zip(y if isinstance(y, tuple) else (y,), expected, strict=True):
        assert_close(result, value, bound)


def test_a_batch_norm_named_like_a_parameter() -> None:
    """Call a layer "norm/scale", like a parameter of the L2 normalisation "norm"."""
    graph = Graph()
    x = graph.l2_normalize(graph.input((2, 3, 4)), name="norm")
    graph.output(graph.batch_norm(x, name="norm/scale"))
    model = graph.compile()
    x_ = random_inputs(graph, 2)
    assert_bits(pickle.loads(pickle.dumps(model))(x_), model(x_))


def test_a_state_can_be_used_twice(tmp_path: Path) -> None:
    model = Saved("mobilenet_v1").load(tmp_path)
    state = model.__getstate__()
    for _ in range(2):
        again = type(model).__new__(type(model))
        again.__setstate__(state)
        assert repr(again) == repr(model)


def test_pickles_of_another_version() -> None:
    model = one_input().compile()
    state = model.__getstate__()
    for version in ({}, {"version": PICKLE - 1}, {"version": PICKLE + 1}):
        other = {key: value for key, value in state.items() if key != "version"} | version
        with pytest.raises(ValueError, match="another version of dsconv"):
            type(model).__new__(type(model)).__setstate__(other)
