"""Pickled models: the same bits, and weights that any instruction set can pack again."""

from __future__ import annotations

import pickle
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compiled import assert_bits
from hypothesis import given
from random_graphs import RandomGraph, random_graphs, random_inputs, random_weights
from saved_networks import Saved
from small_models import one_input

from dsconv import models
from dsconv.compiler.model import PICKLE
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
