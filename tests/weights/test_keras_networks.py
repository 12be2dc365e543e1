"""Whole MobileNets in all files of Keras, and on to the other formats: the same logits, bit by bit.

At even sizes Keras pads V1 as TensorFlow's "same" does, so that the trained weights of TF-slim give
the golden logits under Keras's names too.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("h5py")

import family_files  # noqa: E402
import keras_files  # noqa: E402
from compiled import assert_bits  # noqa: E402
from golden import TOLERANCE, Golden  # noqa: E402
from random_graphs import random_weights  # noqa: E402

from dsconv import models  # noqa: E402
from dsconv.files.load import load  # noqa: E402
from dsconv.files.save import save  # noqa: E402

NETWORKS = {"mobilenet_v1": family_files.keras_v1, "mobilenet_v2": family_files.keras_v2}
WRITE: dict[str, tuple[str, Callable[[Any], bytes]]] = {  # depthwise word, layers -> file
    "old.h5": ("depthwise_kernel", keras_files.old),
    "whole.h5": ("kernel", partial(keras_files.old, whole=True)),
    "a.weights.h5": ("kernel", keras_files.new),
    "a.keras": ("kernel", keras_files.keras),
}


def written(file: str, network: str, weights: Any) -> bytes:
    word, write = WRITE[file]
    return write(keras_files.network(NETWORKS[network](weights, word)))


@pytest.mark.parametrize("file", WRITE)
@pytest.mark.parametrize("name", ["mobilenet_v1", "mobilenet_v2"])
def test_small_networks(tmp_path: Path, name: str, file: str) -> None:
    graph = getattr(models, name)(0.25, 32, 6, padding="same", batch_norm_epsilon=1e-3)
    weights = random_weights(graph, np.random.default_rng(0))
    x = np.random.default_rng(1).normal(size=(2, 32, 32, 3)).astype(np.float32)
    expected = graph.compile(weights)(x)
    (tmp_path / file).write_bytes(written(file, name, weights))
    model = load(tmp_path / file, resolution=32)
    assert_bits(model(x), expected)
    for copy in ("copy.safetensors", "copy.npz"):
        save(model, tmp_path / copy)
        assert_bits(load(tmp_path / copy, resolution=32)(x), expected)


@pytest.mark.parametrize("file", WRITE)
def test_golden_logits(shared: Path, tmp_path: Path, file: str) -> None:
    golden = Golden(shared, "v1")
    (tmp_path / file).write_bytes(written(file, "mobilenet_v1", golden.weights))
    assert golden.error(load(tmp_path / file)(golden.x)) <= TOLERANCE
