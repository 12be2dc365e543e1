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

from dsconv import images
from dsconv.files.load import load
from dsconv.graph import Graph
from dsconv.weights import open_weights
from dsconv.weights.families import recognise

TOLERANCE = 1e-3
NETWORKS = ("v1", "v2")
FILES = {"v1": "mobilenet_v1_1.0_224_google_slim.npz", "v2": "mobilenet_v2-b0353104.pth"}
NORMALISATION = {"v1": "tensorflow", "v2": "torchvision"}


class Golden:
    """A trained network, four pictures, and their logits by an independent implementation."""

    def __init__(self, shared: Path, network: str) -> None:
        self.path = shared / "weights" / FILES[network]
        with open_weights(self.path) as file:
            found = recognise(file)
            self.graph = found.graph
            self.weights = {name: found.weights[name].copy() for name in found.weights}
        with np.load(shared / "golden" / "golden_logits.npz") as golden:
            self.pictures = golden["images"]
            self.names = golden["names"].tolist()
            self.logits = golden[f"mobilenet_{network}_logits"]
        self.x = images.normalise(self.pictures, NORMALISATION[network])
        self.offset = self.logits.shape[1] - 1000

    def error(self, logits: np.ndarray) -> float:
        return float(np.abs(logits - self.logits).max())

    def of_graph(self, graph: Graph) -> float:
        return self.error(graph.compile(self.weights)(self.x))

    def of_input(self, x: np.ndarray) -> float:
        return self.error(load(self.path)(np.ascontiguousarray(x, np.float32)))


@cache
def cached_golden(shared: Path, network: str) -> Golden:
    return Golden(shared, network)


@pytest.fixture(params=NETWORKS)
def golden(request: pytest.FixtureRequest, shared: Path) -> Golden:
    return cached_golden(shared, request.param)


def test_the_right_setting_passes(golden: Golden) -> None:
    assert golden.of_input(golden.x) <= TOLERANCE
    assert golden.of_graph(golden.graph) <= TOLERANCE


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
    assert golden.of_graph(WRONG_GRAPHS[mistake](golden.graph)) > TOLERANCE


def pixels(picture: np.ndarray) -> np.ndarray:
    return picture.astype(np.float64)


WRONG_INPUTS: dict[str, Callable[[np.ndarray], Any]] = {
    "without normalisation": pixels,
    "0 to 1": lambda p: pixels(p) / 255,
    "mean without deviation": lambda p: pixels(p) / 255 - [0.485, 0.456, 0.406],
    "mean in the order BGR": lambda p: (
        (pixels(p) / 255 - [0.406, 0.456, 0.485]) / [0.225, 0.224, 0.229]
    ),
    "x / 128 - 1": lambda p: pixels(p) / 128 - 1,
    "x / 127.5": lambda p: pixels(p) / 127.5,
}


@pytest.mark.parametrize("mistake", WRONG_INPUTS)
def test_wrong_normalisations_fail(golden: Golden, mistake: str) -> None:
    assert golden.of_input(WRONG_INPUTS[mistake](golden.pictures)) > TOLERANCE


def test_the_other_family_s_normalisation_fails(golden: Golden) -> None:
    for family in set(NORMALISATION.values()):
        x = images.normalise(golden.pictures, family)
        right = family == NORMALISATION["v1" if golden.offset else "v2"]
        assert (golden.of_input(x) <= TOLERANCE) == right


def test_bgr_fails(golden: Golden) -> None:
    assert golden.of_input(golden.x[..., ::-1]) > TOLERANCE


def test_transposed_pictures_fail(golden: Golden) -> None:
    assert golden.of_input(golden.x.swapaxes(1, 2)) > TOLERANCE


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
    assert labels is not None and len(labels) == 1000 + golden.offset
    assert labels[golden.offset] == "tench"
    assert labels[:1] == (("background",) if golden.offset else ("tench",))
