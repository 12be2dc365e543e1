"""From a file to a classifier: logits of the trained networks, and files that are no network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoint_files import npz
from compiled import assert_bits
from golden import FILES, TOLERANCE, Golden
from saved_networks import CLASSES, NETWORKS, Saved

from dsconv import images
from dsconv.files.load import load
from dsconv.vision.classifier import Classifier


@pytest.mark.parametrize("network", ["v1", "v2"])
def test_golden_logits(isa: Any, shared: Path, network: str) -> None:
    """Check for 1e-3 of an independent implementation, and the same bits on two threads."""
    golden = Golden(shared, network)
    logits = load(golden.path, threads=1)(golden.x)
    assert logits.dtype == np.float32 and golden.error(logits) <= TOLERANCE
    again = load(golden.path, threads=2)
    assert_bits(again(golden.x), logits)
    assert isinstance(again, Classifier) and again.inputs == {"input": (224, 224, 3)}
    about = again.name, again.threads, again.layout, again.outputs
    assert about == (f"mobilenet_{network}", 2, "NHWC", {"logits": logits.shape[1:]})


@pytest.mark.parametrize("network", ["v1", "v2"])
def test_pictures(shared: Path, network: str) -> None:
    pytest.importorskip("PIL")
    model = load(shared / "weights" / FILES[network])
    files = [shared / "images" / f for f in ("coffee.png", "burger.jpg", "chelsea.png")]
    coffee, burger, chelsea = model.classify(files)
    assert coffee[0].name == "espresso"
    assert burger[0].name == "cheeseburger"
    assert chelsea[0].name.endswith("cat") or chelsea[0].name.startswith("tabby")
    offset = 1 if network == "v1" else 0  # class 0 of TF-slim is the background
    assert (coffee[0].number, burger[0].number) == (967 + offset, 933 + offset)
    for predictions in (coffee, burger, chelsea):
        assert len(predictions) == 5
        probabilities = [p.probability for p in predictions]
        assert probabilities == sorted(probabilities, reverse=True)
        assert 0.2 < sum(probabilities) <= 1 + 1e-6
    (alone,) = {model.classify(files[0], top=1)[0]}
    assert (alone.name, alone.number) == (coffee[0].name, coffee[0].number)


# Files of other widths, resolutions and numbers of classes


@pytest.mark.parametrize(
    ("name", "alpha", "resolution"),
    [
        ("mobilenet_v1", 0.25, 32),
        ("mobilenet_v1", 0.5, 65),
        ("mobilenet_v1", 1 / 3, 32),
        ("mobilenet_v2", 0.35, 32),
        ("mobilenet_v2", 0.5, 65),
        ("mobilenet_v2", 1.4, 32),
    ],
)
def test_width_and_classes(tmp_path: Path, name: str, alpha: float, resolution: int) -> None:
    saved = Saved(name, alpha, resolution)
    model = saved.load(tmp_path)
    assert model.inputs == {"input": (resolution, resolution, 3)}
    assert model.outputs == {"logits": (CLASSES,)}
    random = np.random.default_rng(1)
    x = random.normal(size=(2, resolution, resolution, 3)).astype(np.float32)
    expected = saved.graph.compile(saved.weights)(x)
    assert np.ptp(expected) > 0
    assert_bits(model(x), expected)


@pytest.mark.parametrize("name", NETWORKS)
def test_classes_without_names(tmp_path: Path, name: str) -> None:
    """Check that classes are numbered in networks that do not have the 1000 or 1001 of ImageNet."""
    pytest.importorskip("PIL")
    model = Saved(name).load(tmp_path)
    picture = np.random.default_rng(2).integers(0, 256, (50, 60, 3), np.uint8)
    x = model.preprocess(picture)
    assert x.shape == (32, 32, 3) and x.dtype == np.float32
    family = "tensorflow" if name == "mobilenet_v1" else "torchvision"
    np.testing.assert_array_equal(x, images.preprocess(picture, 32, family))
    predictions = model.classify(picture, top=99)
    assert sorted(p.number for p in predictions) == list(range(CLASSES))
    assert all(p.name == f"class {p.number}" for p in predictions)
    logits = model(x).astype(np.float64)
    assert [p.number for p in predictions] == np.argsort(-logits, kind="stable").tolist()
    probabilities = np.exp(logits - logits.max())
    probabilities /= probabilities.sum()
    for p in predictions:  # softmax of six float32 logits: well below a hundred roundings
        assert abs(p.probability - probabilities[p.number]) < 100 * 2.0**-24
    assert model.classify([]) == []
    assert model.classify([picture, picture], top=2) == [predictions[:2]] * 2


def test_a_picture_that_is_none(tmp_path: Path) -> None:
    pytest.importorskip("PIL")
    model = Saved("mobilenet_v1").load(tmp_path)
    with pytest.raises(FileNotFoundError, match="nowhere.png"):
        model.classify(tmp_path / "nowhere.png")
    with pytest.raises(TypeError, match="must be uint8"):
        model.classify(np.zeros((40, 40, 3), np.float32))
    with pytest.raises(ValueError, match="must have shape"):
        model.classify(np.zeros((40, 40), np.uint8))


@pytest.mark.parametrize("top", [0, -1, 1.5])
def test_bad_top(tmp_path: Path, top: Any) -> None:
    pytest.importorskip("PIL")
    with pytest.raises((TypeError, ValueError), match="top must be"):
        Saved("mobilenet_v1").load(tmp_path).classify(np.zeros((40, 40, 3), np.uint8), top)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"threads": 0}, ValueError, "threads must be at least 1, got 0"),
        ({"resolution": 0}, ValueError, "resolution must be at least 1, got 0"),
        ({"resolution": (32, 48)}, TypeError, "resolution must be"),
    ],
)
def test_bad_options(tmp_path: Path, options: Any, error: type, message: str) -> None:
    path = tmp_path / "weights"
    path.write_bytes(npz(Saved("mobilenet_v1").arrays))
    with pytest.raises(error, match=message):
        load(path, **options)
