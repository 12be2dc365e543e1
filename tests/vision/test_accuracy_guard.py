"""The classical mistakes, one by one: each moves the golden logits by more than the tolerance.

Most mistakes hardly change which class is the first, so the logits are compared. The right setting
must pass, and every wrong one must fail, because a tolerance that none exceeds means nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import graph_variants
import numpy as np
import pytest
from golden import FILES, NORMALISATION, TOLERANCE, Golden

from dsconv import images
from dsconv.files.load import load
from dsconv.graph import Graph


def of_graph(golden: Golden, graph: Graph) -> float:
    return golden.error(graph.compile(golden.weights)(golden.x))


def of_input(golden: Golden, x: np.ndarray) -> float:
    return golden.error(load(golden.path)(np.ascontiguousarray(x, np.float32)))


@cache
def cached_golden(shared: Path, network: str) -> Golden:
    return Golden(shared, network)


@pytest.fixture(params=FILES)
def golden(request: pytest.FixtureRequest, shared: Path) -> Golden:
    return cached_golden(shared, request.param)


def test_the_right_setting_passes(golden: Golden) -> None:
    assert of_input(golden, golden.x) <= TOLERANCE
    assert of_graph(golden, golden.graph) <= TOLERANCE


def offset(golden: Golden) -> int:
    return golden.logits.shape[1] - 1000


def epsilon_of(graph: Graph) -> float:
    (epsilon,) = {
        vars(node.layer)["epsilon"]
        for node in graph.nodes.values()
        if node.layer.kind == "batch_norm"
    }
    return epsilon


def other_epsilon(graph: Graph) -> Graph:
    other = {1e-3: 1e-5, 1e-5: 1e-3}[epsilon_of(graph)]
    return graph_variants.with_epsilon(graph, other)


def other_padding(graph: Graph) -> Graph:
    other = {1e-3: 1, 1e-5: "same"}[epsilon_of(graph)]  # SAME goes with 1e-3, symmetric with 1e-5
    return graph_variants.with_padding(graph, other)


WRONG_GRAPHS: dict[str, Callable[[Graph], Graph]] = {
    "epsilon": other_epsilon,
    "padding": other_padding,
    "ReLU for ReLU6": graph_variants.without_bound,
}


@pytest.mark.parametrize("mistake", WRONG_GRAPHS)
def test_wrong_networks_fail(golden: Golden, mistake: str) -> None:
    assert of_graph(golden, WRONG_GRAPHS[mistake](golden.graph)) > TOLERANCE


WRONG_INPUTS: dict[str, Callable[[Golden], Any]] = {
    "without normalisation": lambda golden: golden.pictures,
    "0 to 1": lambda golden: golden.pictures / 255,
    "mean without deviation": lambda golden: golden.pictures / 255 - [0.485, 0.456, 0.406],
    "mean in the order BGR": lambda golden: (
        (golden.pictures / 255 - [0.406, 0.456, 0.485]) / [0.225, 0.224, 0.229]
    ),
    "x / 128 - 1": lambda golden: golden.pictures / 128 - 1,
    "x / 127.5": lambda golden: golden.pictures / 127.5,
    "BGR": lambda golden: golden.x[..., ::-1],
    "transposed": lambda golden: golden.x.swapaxes(1, 2),
}


@pytest.mark.parametrize("mistake", WRONG_INPUTS)
def test_wrong_inputs_fail(golden: Golden, mistake: str) -> None:
    assert of_input(golden, WRONG_INPUTS[mistake](golden)) > TOLERANCE


def test_the_other_family_s_normalisation_fails(golden: Golden) -> None:
    for family in set(NORMALISATION.values()):
        x = images.normalise(golden.pictures, family)
        right = family == NORMALISATION["v1" if offset(golden) else "v2"]
        assert (of_input(golden, x) <= TOLERANCE) == right


def test_classes_off_by_one_fail(golden: Golden) -> None:
    """Shift the classes by one to either side, which changes the logits and the names."""
    model = load(golden.path)
    logits = model(golden.x)
    expected = {"coffee": "espresso", "hotdog": "hotdog"}
    rows = [golden.names.index(name) for name in expected]
    assert model.labels is not None
    named = [model.labels[i] for i in logits[rows].argmax(axis=1)]
    assert named == list(expected.values())
    for shift in (-1, 1):
        shifted = np.roll(logits, shift, axis=1)
        assert golden.error(shifted) > TOLERANCE
        wrong = [model.labels[i] for i in shifted[rows].argmax(axis=1)]
        assert not set(wrong) & set(expected.values())


def test_the_offset_is_the_background(golden: Golden) -> None:
    """Check that 1001 classes begin with the background, and 1000 with the tench."""
    labels = load(golden.path).labels
    assert labels is not None and len(labels) == 1000 + offset(golden)
    assert labels[offset(golden)] == "tench"
    assert labels[:1] == (("background",) if offset(golden) else ("tench",))
