"""Families of files: the same network under every family's names gives the same numbers."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import family_files
import numpy as np
import pytest
from checkpoint_files import Arrays, npz, pth
from compiled import assert_bits
from golden import TOLERANCE, Golden
from graph_variants import padded_below, without_bound
from random_graphs import random_weights

from dsconv import models
from dsconv.files.load import load
from dsconv.graph import Graph
from dsconv.images.preprocessing import Preprocessing
from dsconv.models.topologies.mobilenet_v2 import rounded
from dsconv.weights.families.mobilenets import width_multiplier

CLASSES, RESOLUTION = 6, 64
IMAGENET = Preprocessing("torchvision")
TENSORFLOW = Preprocessing("tensorflow")
KERAS = Preprocessing("tensorflow", None, "nearest")


def mobilenet(version: int, padding: str, epsilon: float, alpha: float, resolution: int) -> Graph:
    build = {1: models.mobilenet_v1, 2: models.mobilenet_v2}[version]
    return build(alpha, resolution, CLASSES, padding, epsilon)


class Case(NamedTuple):
    """The known facts of a family, and the writer of its files."""

    family: str
    version: int
    preprocessing: Preprocessing
    rename: Callable[..., Arrays]
    padding: str = "symmetric"
    epsilon: float = 1e-5
    write: Callable[[Arrays], bytes] = pth
    relu6: bool = True

    def graph(self, alpha: float, resolution: int = RESOLUTION) -> Graph:
        graph = mobilenet(self.version, self.padding, self.epsilon, alpha, resolution)
        return graph if self.relu6 else without_bound(graph)


LIKE_TF = ("same", 1e-3, npz)
IN_A_MODEL = partial(
    family_files.keras_v2, depthwise="depthwise_kernel", logits="dense_1",
    prefix="mobilenetv2_1.00_224/",
)  # fmt: skip
CASES = {
    "slim v1": Case("MobileNetV1 of TF-slim", 1, TENSORFLOW, family_files.slim, *LIKE_TF),
    "slim v2": Case("MobileNetV2 of TF-slim", 2, TENSORFLOW, family_files.slim_v2, *LIKE_TF),
    "torchvision": Case("MobileNetV2 of torchvision", 2, IMAGENET, family_files.torchvision),
    "d-li14": Case("MobileNetV2 of d-li14", 2, IMAGENET, family_files.d_li14),
    "pytorch v1": Case("MobileNetV1 of PyTorch", 1, IMAGENET, family_files.pytorch_v1, relu6=False),
    "timm v1": Case(
        "MobileNetV1 of timm", 1, TENSORFLOW._replace(interpolation="bicubic"), family_files.timm_v1
    ),
    "timm v2": Case(
        "MobileNetV2 of timm", 2, IMAGENET._replace(interpolation="bicubic"), family_files.timm_v2
    ),
} | {
    name: Case(f"MobileNetV{version} of Keras", version, KERAS, rename, *LIKE_TF)
    for name, version, rename in (
        ("keras v1", 1, family_files.keras_v1),
        ("keras 3 v1", 1, partial(family_files.keras_v1, depthwise="kernel")),
        ("keras v2", 2, family_files.keras_v2),
        ("keras v2 in a model", 2, IN_A_MODEL),
        ("old keras v2", 2, family_files.old_keras_v2),
        ("counted keras v1", 1, family_files.counted_keras),
        ("counted keras v2", 2, family_files.counted_keras),
    )
}
CLASSIFIER = re.compile(r"Logits/|^classifier|^fc\.|^conv_preds/|^predictions/|^dense")
WIDTHS = {1: (0.25, 1.0), 2: (0.35, 1.3)}


def saved(case: Case, path: Path, arrays: Arrays) -> Path:
    path.write_bytes(case.write(arrays))
    return path


def assert_network(model: Any, graph: Graph, weights: Any, images: int = 2) -> None:
    """Check that the model computes, bit for bit, what the graph does with these weights."""
    shape = (images, *graph.shape("input"))
    x = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    expected = graph.compile(weights)(x)
    assert np.ptp(expected) > 0
    assert_bits(model(x), expected)


@pytest.mark.parametrize("width", [0, 1], ids=["thin", "wide"])
@pytest.mark.parametrize("name", CASES)
def test_the_network_of_a_file(tmp_path: Path, name: str, width: int) -> None:
    """Bit for bit what the graph with the family's padding, epsilon and activation gives."""
    case = CASES[name]
    graph = case.graph(WIDTHS[case.version][width])
    weights = random_weights(graph, np.random.default_rng(0))
    path = saved(case, tmp_path / "weights", case.rename(weights))
    model = load(path, resolution=RESOLUTION)
    assert model.family == case.family and case.family in repr(model)
    assert model.preprocessing == case.preprocessing
    assert (model.classes, model.labels) == (CLASSES, None)
    assert_network(model, graph, weights)


@pytest.mark.parametrize("name", CASES)
def test_without_classifier(tmp_path: Path, name: str) -> None:
    """Check that the pooled features are the output; there is nothing to classify with."""
    case = CASES[name]
    graph = case.graph(0.35)
    weights = random_weights(graph, np.random.default_rng(0))
    whole = load(saved(case, tmp_path / "whole", case.rename(weights)), resolution=RESOLUTION)
    without = {n: a for n, a in case.rename(weights).items() if not CLASSIFIER.search(n)}
    model = load(saved(case, tmp_path / "without", without), resolution=RESOLUTION)
    x = np.random.default_rng(1).normal(size=(3, RESOLUTION, RESOLUTION, 3)).astype(np.float32)
    assert model.classes is None and list(model.outputs) == ["pool"]
    assert_bits(model(x), whole.features(x))
    assert_bits(model.features(x), whole.features(x))
    with pytest.raises(ValueError, match=f"{case.family}: .*no classifier"):
        model.classify(np.zeros((70, 70, 3), np.uint8))
    for option in ({"classes": 6}, {"labels": ["a"] * 6}):
        with pytest.raises(ValueError, match="given, but the weights hold no classifier"):
            load(tmp_path / "without", resolution=RESOLUTION, **option)


@pytest.mark.parametrize("name", CASES)
def test_the_nearest_family_and_what_does_not_fit(tmp_path: Path, name: str) -> None:
    case = CASES[name]
    weights = case.graph(0.35).init_weights(0)
    arrays = case.rename(weights)
    mean = sorted(n for n in arrays if n.endswith(("mean", "running_mean")))[7]
    del arrays[mean]
    arrays["something/else"] = np.zeros(3, np.float32)
    with pytest.raises(ValueError) as caught:
        load(saved(case, tmp_path / "weights", arrays), resolution=RESOLUTION)
    message = str(caught.value)
    assert message.startswith(str(tmp_path / "weights")) and f"nearest is {case.family}" in message
    assert "1 missing (" in message and "1 left over ('something/else')" in message
    if not name.startswith(("counted", "old")) and "in a model" not in name:
        assert f"('{mean}')" in message


TORCH = ["torchvision", "d-li14", "pytorch v1", "timm v1", "timm v2"]
OTHER_NAMES: dict[str, tuple[list[str], Callable[[str], str]]] = {  # cases, name -> other name
    **{p: (TORCH, lambda n, p=p: p + n) for p in ("module.", "module.model.", "_orig_mod.", "net.")},
    "another classifier": (
        TORCH, lambda n: re.sub(r"^(classifier|fc)\b.*\.(?=weight|bias)", "classifier.4.", n)
    ),
    "TensorFlow's own": (["slim v2"], lambda n: f"{n}:0"),
}  # fmt: skip


@pytest.mark.parametrize("name, other", [(n, o) for o in OTHER_NAMES for n in OTHER_NAMES[o][0]])
def test_wrappers_and_other_names(tmp_path: Path, name: str, other: str) -> None:
    """Rename as trainers do that wrap networks, or replace the last layer or its sequence."""
    case = CASES[name]
    graph = case.graph(0.35)
    weights = random_weights(graph, np.random.default_rng(0))
    arrays = {OTHER_NAMES[other][1](n): array for n, array in case.rename(weights).items()}
    assert not arrays.keys() & case.rename(weights).keys() or other == "another classifier"
    model = load(saved(case, tmp_path / "weights", arrays), resolution=RESOLUTION)
    assert model.family == case.family
    assert_network(model, graph, weights, 1)


@pytest.mark.parametrize(("name", "resolution"), [("keras v1", 75), ("keras v2", 75)])
def test_keras_at_odd_sizes(tmp_path: Path, name: str, resolution: int) -> None:
    """Pad V1 below and on the right only: 75 -> 38 -> 19 -> 9 -> 4 -> 2, where SAME gives 10."""
    case = CASES[name]
    graph = case.graph(0.35, resolution)
    weights = random_weights(graph, np.random.default_rng(0))
    model = load(saved(case, tmp_path / "weights", case.rename(weights)), resolution=resolution)
    if case.version == 1:
        expected = padded_below(graph)
        assert expected.shape("block13/pointwise") != graph.shape("block13/pointwise")
        graph = expected
    assert_network(model, graph, weights, 1)


@pytest.mark.parametrize("name", [
    "slim v1", "keras v1", "keras 3 v1", "counted keras v1", "torchvision", "d-li14", "timm v2",
])  # fmt: skip
def test_golden_logits_under_other_names(tmp_path: Path, shared: Path, name: str) -> None:
    """Give trained weights another family's names; it computes the same network."""
    case = CASES[name]
    golden = Golden(shared, f"v{case.version}")
    model = load(saved(case, tmp_path / "weights", case.rename(golden.weights)))
    assert model.family == case.family and golden.error(model(golden.x)) <= TOLERANCE


def test_timm_by_the_name_of_the_file(tmp_path: Path) -> None:
    """Tell weights that were converted from TensorFlow by nothing but the file's name."""
    case, graph = CASES["timm v2"], mobilenet(2, "same", 1e-3, 0.35, RESOLUTION)
    weights = graph.init_weights(0)
    path = saved(case, tmp_path / "tf_a.pth", case.rename(weights))
    model = load(path, resolution=RESOLUTION)
    assert_network(model, graph, weights, 1)
    assert model.preprocessing == Preprocessing("tensorflow", 0.875, "bicubic")


def test_the_second_weights_of_torchvision(tmp_path: Path) -> None:
    case = CASES["torchvision"]
    arrays = case.rename(case.graph(0.35).init_weights(0))
    path = saved(case, tmp_path / "mobilenet_v2-7ebf99e0.pth", arrays)
    assert load(path, resolution=32).preprocessing == Preprocessing("torchvision", 224 / 232)


@pytest.mark.parametrize("resolution", [63, 64])
def test_resolution(tmp_path: Path, resolution: int) -> None:
    case = CASES["timm v1"]
    path = saved(case, tmp_path / "weights", case.rename(case.graph(0.25).init_weights(0)))
    assert load(path, resolution=resolution).inputs == {"input": (resolution, resolution, 3)}
    assert load(path).inputs == {"input": (224, 224, 3)}


@pytest.mark.parametrize("version", [1, 2])
def test_every_width_is_read_off_the_channels(version: int) -> None:
    """Find multipliers of two digits that give the channels of every layer again."""
    widths, width = {
        1: ((32, 64, 128, 256, 512, 1024), lambda wanted: max(int(wanted), 8)),
        2: ((16, 24, 32, 64, 96, 160, 320), rounded),
    }[version]
    for hundredths in range(5, 301):
        channels = {base: width(base * hundredths / 100) for base in widths}
        alpha = width_multiplier(channels, width)
        assert {base: width(base * alpha) for base in widths} == channels
        del channels[widths[-1]], channels[widths[0]]  # arrays of other layers are missing
        alpha = width_multiplier(channels, width)
        assert all(width(base * alpha) == count for base, count in channels.items())


def test_one_layer_against_the_others() -> None:
    """Damage any one layer, which does not decide; nothing at all is the plain network."""
    for damaged in (16, 96, 320):
        channels = {base: rounded(base * 0.75) for base in (16, 24, 32, 64, 96, 160, 320)}
        alpha = width_multiplier(channels | {damaged: 1000}, rounded)
        assert all(rounded(b * alpha) == n for b, n in channels.items() if b != damaged)
    assert width_multiplier({32: 0}, rounded) == 1
