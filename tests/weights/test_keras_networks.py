"""Whole MobileNets in all files of Keras, and on to the other formats: the same logits, bit by bit.

At even sizes Keras pads V1 as TensorFlow's "same" does, so that the trained weights of TF-slim give
the golden logits under Keras's names too.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("h5py")

import keras_files  # noqa: E402
from random_graphs import random_weights  # noqa: E402

from dsconv import images, models  # noqa: E402
from dsconv.files.load import load  # noqa: E402
from dsconv.files.save import save  # noqa: E402
from dsconv.weights import open_weights  # noqa: E402
from dsconv.weights.families import recognise  # noqa: E402

WRITE: dict[str, Callable[[Any, Any], bytes]] = {  # network with its depthwise word, weights
    "old.h5": lambda network, weights: keras_files.old(network(weights, "depthwise_kernel")),
    "whole.h5": lambda network, weights: keras_files.old(network(weights, "kernel"), whole=True),
    "a.weights.h5": lambda network, weights: keras_files.new(network(weights, "kernel")),
    "a.keras": lambda network, weights: keras_files.keras(network(weights, "kernel")),
}


def assert_bits(a: np.ndarray, b: np.ndarray) -> None:
    np.testing.assert_array_equal(a.view(np.uint32), b.view(np.uint32))


@pytest.mark.parametrize("file", WRITE)
@pytest.mark.parametrize("name", ["mobilenet_v1", "mobilenet_v2"])
def test_small_networks(tmp_path: Path, name: str, file: str) -> None:
    graph = getattr(models, name)(0.25, 32, 6, padding="same", batch_norm_epsilon=1e-3)
    weights = random_weights(graph, np.random.default_rng(0))
    x = np.random.default_rng(1).normal(size=(2, 32, 32, 3)).astype(np.float32)
    expected = graph.compile(weights)(x)
    (tmp_path / file).write_bytes(WRITE[file](getattr(keras_files, name), weights))
    model = load(tmp_path / file, resolution=32)
    assert_bits(model(x), expected)
    for copy in ("copy.safetensors", "copy.npz"):
        save(model, tmp_path / copy)
        assert_bits(load(tmp_path / copy, resolution=32)(x), expected)


@pytest.mark.parametrize("file", WRITE)
def test_golden_logits(shared: Path, tmp_path: Path, file: str) -> None:
    golden = np.load(shared / "golden" / "golden_logits.npz")
    with open_weights(shared / "weights" / "mobilenet_v1_1.0_224_google_slim.npz") as slim:
        weights = recognise(slim).weights
        (tmp_path / file).write_bytes(WRITE[file](keras_files.mobilenet_v1, weights))
    logits = load(tmp_path / file)(images.normalise(golden["images"], "tensorflow"))
    np.testing.assert_allclose(logits, golden["mobilenet_v1_logits"], rtol=0, atol=1e-3)
