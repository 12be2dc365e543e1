"""Compiled models in files: classifiers, and networks out of ONNX files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoint_files import npz
from compiled import assert_bits
from compiled_files import through_a_file
from hypothesis import given
from processes import run
from saved_networks import CLASSES, NETWORKS, Saved

from dsconv import models
from dsconv.files.load import load
from dsconv.files.save import save
from dsconv.kernels import dispatch
from dsconv.vision.classifier import Classifier
from dsconv.weights.families.with_graph import write_with_graph

# Classifiers


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("labels", [None, [f"class {i}é" for i in range(CLASSES)]])
def test_classifiers(tmp_path: Path, name: str, labels: list[str] | None) -> None:
    model = Saved(name).load(tmp_path, labels=labels, threads=1)
    again = through_a_file(model, tmp_path)
    assert isinstance(again, Classifier) and again.preprocessing is not None
    for attribute in ("family", "preprocessing", "classes", "labels"):
        assert getattr(again, attribute) == getattr(model, attribute)
    picture = np.random.default_rng(2).integers(0, 256, (40, 50, 3), np.uint8)
    x = model.preprocess(picture)
    assert_bits(again.preprocess(picture), x)
    assert_bits(again(x), model(x))
    assert_bits(again.features(x), model.features(x))
    assert again.classify([picture], 3) == model.classify([picture], 3)


@pytest.mark.parametrize("classes", [1000, 1001])
def test_names_of_imagenet(tmp_path: Path, classes: int) -> None:
    """Check that ImageNet's names are not in the file."""
    graph = models.mobilenet_v1(0.25, 32, classes)
    write_with_graph(tmp_path / "a.npz", graph, graph.init_weights())
    model = load(tmp_path / "a.npz")
    assert model.labels is not None and len(model.labels) == classes
    assert through_a_file(model, tmp_path).labels == model.labels
    assert b"tench" not in (tmp_path / "model.dsconv").read_bytes()
    again = load(tmp_path / "model.dsconv", labels=list(map(str, range(classes))))
    assert again.labels == tuple(map(str, range(classes)))
    assert through_a_file(again, tmp_path).labels == again.labels


def test_features_without_a_classifier(tmp_path: Path) -> None:
    saved = Saved("mobilenet_v1")
    arrays = {name: array for name, array in saved.arrays.items() if "Logits" not in name}
    (tmp_path / "features").write_bytes(npz(arrays))
    model = load(tmp_path / "features", resolution=32)
    again = through_a_file(model, tmp_path)
    x = np.ones((32, 32, 3), np.float32)
    assert again.classes is None and again.labels is None
    assert_bits(again.features(x), model.features(x))
    with pytest.raises(ValueError, match="model.dsconv: classes given, but the weights hold no"):
        load(tmp_path / "model.dsconv", classes=5)


# Networks out of ONNX files

WITHOUT_ONNX = """
import sys
sys.modules["onnx"] = None  # importing it is an ImportError
import numpy as np, dsconv
model, x, y = dsconv.load(sys.argv[1]), *map(np.load, sys.argv[2:])
assert (model(x).view(np.uint32) == y.view(np.uint32)).all() and model.layout == "NCHW"
print(model.inputs, model.outputs)
"""


def test_onnx(isa: Any, tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="onnx is not installed")
    graph = models.mobilenet_v2(0.35, 32, classes=5)
    save(graph, tmp_path / "network.onnx")
    model = load(tmp_path / "network.onnx", threads=1)
    x = np.random.default_rng(3).normal(size=(2, 3, 32, 32)).astype(np.float32)
    again = through_a_file(model, tmp_path)
    assert_bits(again(x), model(x))
    assert again.inputs == {"input": (3, 32, 32)} and again.layout == "NCHW"
    for name, array in (("x", x), ("y", model(x))):
        np.save(tmp_path / f"{name}.npy", array)
    files = (str(tmp_path / name) for name in ("model.dsconv", "x.npy", "y.npy"))
    found = run(WITHOUT_ONNX, *files, DSCONV_ISA=dispatch.isa)
    assert found.returncode == 0, found.stderr
    assert found.stdout == f"{model.inputs} {model.outputs}\n"


def test_random_onnx_models(tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="onnx is not installed")
    from onnx_files import listed, saved
    from onnx_random_models import RandomModel, random_models

    @given(random_models())
    def check(case: RandomModel) -> None:
        model = load(saved(case.model, tmp_path))
        results, expected = through_a_file(model, tmp_path)(*case.x), model(*case.x)
        assert type(results) is type(expected)
        for a, b in zip(listed(results), listed(expected), strict=True):
            assert_bits(a, b)

    check()
