"""The options of `load`: names, other formats, classes and labels, features."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoint_files import npz
from compiled import assert_bits
from hostile import at_most
from random_graphs import random_weights
from saved_networks import CLASSES, NETWORKS, Saved

import dsconv
from dsconv import models
from dsconv.compiler import Model
from dsconv.files.load import load
from dsconv.files.save import save
from dsconv.graph import Graph
from dsconv.vision.classifier import Classifier
from dsconv.weights.families.with_graph import write_with_graph

NAMES = ["ant", "bee", "cat", "dog", "elk", "fox"]


def batch(count: int, resolution: int = 32, seed: int = 1) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.normal(size=(count, resolution, resolution, 3)).astype(np.float32)


class TestFeatures:
    @pytest.mark.parametrize("name", NETWORKS)
    def test_they_are_the_pooled_map(self, tmp_path: Path, name: str) -> None:
        """Bit for bit the output of the network without its classifier."""
        saved = Saved(name)
        model = saved.load(tmp_path)
        short = Graph("short")
        for node in saved.graph.nodes.values():
            if node.name != "logits":
                short.add(node.layer, *node.inputs, name=node.name)
        short.output("pool")
        weights = {n: w for n, w in saved.weights.items() if not n.startswith("logits/")}
        x = batch(3)
        expected = short.compile(weights)(x)
        assert_bits(model.features(x), expected)
        assert_bits(model.features(x[0]), expected[0])
        assert_bits(model.features(x[:0]), expected[:0])
        assert_bits(model(x), saved.graph.compile(saved.weights)(x))

    @pytest.mark.parametrize("name", NETWORKS)
    def test_the_classifier_follows_from_them(self, tmp_path: Path, name: str) -> None:
        saved = Saved(name)
        model = saved.load(tmp_path)
        x = batch(2)
        features = model.features(x).astype(np.float64)
        weight = saved.weights["logits/weight"].astype(np.float64)
        logits = features @ weight + saved.weights["logits/bias"]
        # one rounding for each of the terms and the bias: gamma(n) sum |w| |x|
        terms = len(weight) + 1
        size = np.abs(features) @ np.abs(weight) + np.abs(saved.weights["logits/bias"])
        assert (np.abs(model(x) - logits) <= 1.01 * terms * 2.0**-24 * size).all()

    def test_many_images_threads_and_callers(self, tmp_path: Path, monkeypatch: Any) -> None:
        """Check parts, two threads, several callers at once, and a pickle."""
        model = Saved("mobilenet_v2").load(tmp_path)
        x = batch(9)
        expected = np.stack([model.features(one) for one in x])
        assert_bits(model.features(x), expected)
        assert_bits(pickle.loads(pickle.dumps(model)).features(x), expected)
        assert_bits(Saved("mobilenet_v2").load(tmp_path, threads=2).features(x), expected)
        fresh = Saved("mobilenet_v2").load(tmp_path)
        with ThreadPoolExecutor(4) as callers:
            for result in callers.map(fresh.features, [x] * 8):
                assert_bits(result, expected)
        monkeypatch.setattr("dsconv.compiler.model.CHUNK_BYTES", 1)
        assert_bits(Saved("mobilenet_v2").load(tmp_path).features(x), expected)

    def test_packed_weights_are_shared(self, tmp_path: Path) -> None:
        model = Saved("mobilenet_v1").load(tmp_path)
        model.features(batch(1))
        assert model._features._program.floats is model._program.floats

    def test_bad_input(self, tmp_path: Path) -> None:
        model = Saved("mobilenet_v1").load(tmp_path)
        with pytest.raises(ValueError, match="must have shape"):
            model.features(np.zeros((1, 31, 32, 3), np.float32))
        with pytest.raises(TypeError, match="float32"):
            model.features(np.zeros((1, 32, 32, 3)))


class TestClassesAndLabels:
    @pytest.mark.parametrize("as_file", [False, True])
    def test_names_of_a_network_trained_further(self, tmp_path: Path, as_file: bool) -> None:
        pytest.importorskip("PIL")
        labels: Any = NAMES
        if as_file:
            labels = tmp_path / "labels.txt"
            labels.write_text("\ufeff" + "\r\n".join(NAMES) + "\r\n\n", encoding="utf-8")
        model = Saved("mobilenet_v1").load(tmp_path, classes=CLASSES, labels=labels)
        assert model.labels == tuple(NAMES) and model.classes == CLASSES
        picture = np.random.default_rng(2).integers(0, 256, (50, 60, 3), np.uint8)
        predictions = model.classify(picture, top=CLASSES)
        assert sorted(p.number for p in predictions) == list(range(CLASSES))
        assert all(p.name == NAMES[p.number] for p in predictions)
        copy = pickle.loads(pickle.dumps(model))
        assert copy.classify(picture, top=CLASSES) == predictions
        assert (copy.family, copy.preprocessing) == (model.family, model.preprocessing)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"classes": 5}, "the classifier has 6 classes, not those of classes=5"),
            ({"classes": 0}, "classes must be at least 1, got 0"),
            ({"labels": NAMES[:5]}, "the classifier has 6 classes, not those of 5 labels"),
            ({"labels": []}, "the classifier has 6 classes, not those of 0 labels"),
            ({"labels": [1] * 6}, "labels must be names or the path of a text file"),
            ({"labels": 6}, "labels must be names or the path of a text file"),
            ({"classes": "6"}, "classes must be an integer"),
        ],
    )
    def test_they_are_checked(self, tmp_path: Path, options: Any, message: str) -> None:
        with pytest.raises((TypeError, ValueError), match=message):
            Saved("mobilenet_v2").load(tmp_path, **options)

    def test_label_files_that_are_none(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match="none.txt"):
            Saved("mobilenet_v2").load(tmp_path, labels=tmp_path / "none.txt")
        path = tmp_path / "latin.txt"
        path.write_bytes(b"caf\xe9\n" * CLASSES)
        with pytest.raises(ValueError, match="latin.txt: labels must be UTF-8"):
            Saved("mobilenet_v2").load(tmp_path, labels=path)


class TestNames:
    def test_a_name_is_looked_up(self, tmp_path: Path, shared: Path, monkeypatch: Any) -> None:
        """Find a file in the folder of DSCONV_HOME, with the hash that is pinned."""
        from dsconv import pretrained

        monkeypatch.setenv("DSCONV_HOME", str(tmp_path))
        monkeypatch.chdir(tmp_path)
        source = shared / "weights" / "mobilenet_v2-b0353104.pth"
        target = Path(pretrained.home()) / source.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(source)
        assert load("mobilenet_v2").family == "MobileNetV2 of torchvision"

    def test_a_file_goes_before_a_name(self, tmp_path: Path, monkeypatch: Any) -> None:
        monkeypatch.chdir(tmp_path)
        Path("mobilenet_v2").write_bytes(npz(Saved("mobilenet_v1").arrays))
        assert load("mobilenet_v2", resolution=32).family == "MobileNetV1 of TF-slim"

    def test_a_folder_does_not(self, tmp_path: Path, monkeypatch: Any) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("DSCONV_HOME", str(tmp_path / "cache"))
        Path("mobilenet_v1").mkdir()
        with pytest.raises(FileNotFoundError, match="npz is not in .*cache.*cannot be downloaded"):
            load("mobilenet_v1")

    @pytest.mark.parametrize("name", ["mobilenet_v9", "no/such", "a.npz", "a.onnx", "a.dsconv"])
    def test_neither_file_nor_name(self, tmp_path: Path, monkeypatch: Any, name: str) -> None:
        if name.endswith(".onnx"):
            pytest.importorskip("onnx")
        monkeypatch.chdir(tmp_path)
        with pytest.raises(FileNotFoundError, match=name):
            load(name)

    def test_the_names_are_told(self, tmp_path: Path, monkeypatch: Any) -> None:
        monkeypatch.chdir(tmp_path)
        with pytest.raises(FileNotFoundError, match=r"published weights \(mobilenet_v2\)"):
            load("mobilenet")

    def test_bytes_are_no_path(self) -> None:
        with pytest.raises(TypeError, match="path_or_name must be a path or a name"):
            load(b"mobilenet_v2")  # type: ignore[arg-type]


class TestOnnx:
    def test_a_network_of_its_own(self, tmp_path: Path) -> None:
        pytest.importorskip("onnx")
        from dsconv.onnx.reading.model import load_onnx

        saved = Saved("mobilenet_v2")
        path = tmp_path / "net.onnx"
        save(saved.graph.compile(saved.weights), path)
        model = dsconv.load(path, threads=1)
        x = batch(2)
        assert_bits(model(x.transpose(0, 3, 1, 2).copy()), load_onnx(path)(x.transpose(0, 3, 1, 2)))
        for option in ({"resolution": 32}, {"classes": 6}, {"labels": NAMES}):
            with pytest.raises(ValueError, match="does not apply to a file that holds its graph"):
                load(path, **option)


class TestFilesWithTheirGraph:
    @pytest.mark.parametrize("suffix", ["npz", "safetensors"])
    def test_a_classifier(self, tmp_path: Path, suffix: str) -> None:
        """Check its own resolution and names; how pictures are prepared is not known."""
        graph = models.mobilenet_v2(0.35, 48, CLASSES, softmax=True)
        weights = random_weights(graph, np.random.default_rng(0))
        path = tmp_path / f"own.{suffix}"
        save(graph.compile(weights), path)
        model = load(path, labels=NAMES)
        x = batch(2, 48)
        assert isinstance(model, Classifier) and model.classes == CLASSES
        assert model.family == "mobilenet_v2, saved with its graph"
        assert_bits(model(x), graph.compile(weights)(x))
        assert model.features(x).shape == (2, 1280)
        with pytest.raises(ValueError, match="does not say how pictures are prepared"):
            model.classify(np.zeros((50, 50, 3), np.uint8))
        assert load(path, resolution=48).inputs == {"input": (48, 48, 3)}
        with pytest.raises(ValueError, match=r"own.*inputs of \[\(48, 48, 3\)., not resolution=32"):
            load(path, resolution=32)

    def test_any_other_network(self, tmp_path: Path) -> None:
        graph = models.ssdlite_mobilenet_v2(resolution=64, classes=4, alpha=0.35)
        weights = graph.init_weights(0)
        save(graph.compile(weights), tmp_path / "own.npz")
        model = load(tmp_path / "own.npz")
        assert type(model) is Model and list(model.outputs) == list(graph.outputs)
        x = batch(1, 64)
        for mine, expected in zip(model(x), graph.compile(weights)(x), strict=True):
            assert_bits(mine, expected)
        with pytest.raises(ValueError, match="given, but the weights hold no classifier"):
            load(tmp_path / "own.npz", classes=4)

    def test_weights_that_nothing_pays_for(self, tmp_path: Path) -> None:
        """Refuse a graph of 4 GB in a file of a few kilobytes."""
        graph = Graph("large")
        x = graph.global_average_pool(graph.conv2d(graph.input((8, 8, 3)), 2**15, name="conv"))
        graph.output(graph.dense(x, 2**15, name="logits"))
        arrays = {name: np.zeros(0, np.float32) for name in graph.parameters()}
        write_with_graph(tmp_path / "own.safetensors", graph, arrays)
        with at_most(2**26), pytest.raises(ValueError, match=r"array '.*' has the shape \(0,\)"):
            load(tmp_path / "own.safetensors")

    def test_a_network_whose_classifier_is_a_convolution(self, tmp_path: Path) -> None:
        graph = models.squeezenet(resolution=64, classes=5)
        save(graph.compile(graph.init_weights(0)), tmp_path / "own.npz")
        model = load(tmp_path / "own.npz")
        assert type(model) is Classifier
        with pytest.raises(ValueError, match="does not end in a fully connected layer"):
            model.features(batch(1, 64))


def test_a_name_family_and_shapes_in_repr(tmp_path: Path) -> None:
    model = Saved("mobilenet_v1").load(tmp_path)
    assert repr(model) == (
        "Classifier('mobilenet_v1', family='MobileNetV1 of TF-slim', "
        "inputs={'input': (32, 32, 3)}, outputs={'logits': (6,)})"
    )
