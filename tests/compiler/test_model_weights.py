"""The weights that a model is compiled from: read once, checked, and then no longer needed."""

from __future__ import annotations

import math
import pickle
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest
from compiled import assert_bits
from random_graphs import random_inputs
from small_models import GATE, MAP, one_input, two_inputs

from dsconv import models
from dsconv.graph import Graph
from dsconv.interpreter import interpret


class Recorded(Mapping[str, np.ndarray]):
    """Weights that write down what is read of them."""

    def __init__(self, weights: Mapping[str, np.ndarray]) -> None:
        self.weights, self.read = weights, list[str]()

    def __getitem__(self, name: str) -> np.ndarray:
        self.read.append(name)
        return self.weights[name].copy()

    def __iter__(self) -> Iterator[str]:
        return iter(self.weights)

    def __len__(self) -> int:
        return len(self.weights)


@pytest.mark.parametrize("build", [two_inputs, lambda: models.mobilenet_v2(0.35, 32, classes=5)])
def test_weights_are_read_once_and_layer_by_layer(build: Any) -> None:
    graph = build()
    weights = Recorded(graph.init_weights(0))
    model = graph.compile(weights)
    assert sorted(weights.read) == sorted(graph.parameters())
    # all of a convolution and its batch norm, before anything of the next layer
    owners = [name.rpartition("/")[0].removesuffix("/bn") for name in weights.read]
    changes = [a for a, b in zip(owners, [None, *owners], strict=False) if a != b]
    assert len(changes) == len(set(changes))
    x = random_inputs(graph, 2)
    assert_bits(model(x), graph.compile(weights.weights)(x))
    assert len(weights.read) == len(graph.parameters())  # calls read nothing


def test_a_model_does_not_follow_its_weights() -> None:
    graph = Graph()
    x = graph.l2_normalize(graph.batch_norm(graph.input((6, 5, 4))))
    graph.output(graph.depthwise_conv2d(x), graph.conv2d(x, 3), graph.conv2d(x, 3, bias=False))
    weights = graph.init_weights(0)
    model = graph.compile(weights)
    before = model(MAP)
    for array in weights.values():
        array[...] = 7
    assert_bits(model(MAP), before)
    assert_bits(pickle.loads(pickle.dumps(model))(MAP), before)


def test_missing_and_left_over_weights() -> None:
    graph = two_inputs()
    weights = graph.init_weights(0)
    del weights["conv/bn/beta"]
    with pytest.raises(ValueError, match="'two inputs': 1 missing: 'conv/bn/beta'"):
        graph.compile(weights)
    weights |= {"conv/bn/beta": np.zeros(4, np.float32), "conv/weights": np.zeros(3, np.float32)}
    with pytest.raises(ValueError, match="1 left over: 'conv/weights'"):
        graph.compile(weights)
    recorded = Recorded(weights)
    with pytest.raises(ValueError, match="left over"):
        graph.compile(recorded)
    assert recorded.read == []


@pytest.mark.parametrize("name", list(two_inputs().parameters()))
@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda a: a[..., :-1], ValueError, "must have the shape"),
        (lambda a: a[np.newaxis], ValueError, "must have the shape"),
        (lambda a: a.astype(np.float64), TypeError, "must be an array of native float32, got <f8"),
        (lambda a: a.astype(">f4"), TypeError, "must be an array of native float32, got >f4"),
        (lambda a: a.tolist(), TypeError, "must be an array of native float32, got list"),
    ],
)
def test_bad_weights(name: str, change: Any, error: type[Exception], message: str) -> None:
    graph = two_inputs()
    weights: dict[str, Any] = graph.init_weights(0)
    weights[name] = change(weights[name])
    with pytest.raises(error, match=f"weight {name!r} {message}"):
        graph.compile(weights)


@pytest.mark.parametrize("variance", [-0.001, -1.0, math.nan, -math.inf])
@pytest.mark.parametrize("norm", ["folded", "apart"])
def test_bad_variances(norm: str, variance: float) -> None:
    """Refuse a variance for which gamma / sqrt(variance + epsilon) is no number."""
    graph = Graph()
    x = graph.input((2, 2, 3))
    folded = graph.batch_norm(graph.conv2d(x, 3), 1e-3, name="folded")
    graph.output(folded, graph.batch_norm(x, 1e-3, name="apart"))
    weights = graph.init_weights(0)
    weights[f"{norm}/variance"][1] = variance
    for run in (graph.compile, lambda w: interpret(graph, w, np.ones((1, 2, 2, 3)))):
        with pytest.raises(ValueError, match=f"weight '{norm}/variance'"):
            run(weights)


def test_weights_that_are_no_mapping() -> None:
    with pytest.raises(TypeError, match="weights must map names to arrays, got list"):
        one_input().compile([1, 2])


def test_weights_that_fail_while_they_are_read() -> None:
    """Check that the error of the mapping itself comes through."""

    class Broken(Recorded):
        def __getitem__(self, name: str) -> np.ndarray:
            raise OSError(f"the disk that holds {name} is gone")

    graph = one_input()
    with pytest.raises(OSError, match="conv/weight is gone"):
        graph.compile(Broken(graph.init_weights(0)))


def test_read_only_and_strided_weights() -> None:
    graph = two_inputs()
    weights = graph.init_weights(0)
    expected = graph.compile(weights)((MAP, GATE))
    for name, array in weights.items():
        wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), np.float32)
        wide[..., ::2] = array
        weights[name] = wide[..., ::2]
        weights[name].flags.writeable = False
    assert_bits(graph.compile(weights)((MAP, GATE)), expected)
