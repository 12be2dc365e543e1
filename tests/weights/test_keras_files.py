"""Keras weights in HDF5: names and numbers in the files of all its versions."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import numpy as np
import pytest

h5py = pytest.importorskip("h5py")

import keras_files  # noqa: E402
from hostile import read  # noqa: E402
from keras_files import Layer, h5  # noqa: E402

RNG = np.random.default_rng(0)


def array(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


def norm(name: str, channels: int) -> Layer:
    words = ("gamma", "beta", "moving_mean", "moving_variance")
    return Layer("BatchNormalization", name, {word: array(channels) for word in words})


def depthwise(name: str, word: str) -> Layer:
    return Layer("DepthwiseConv2D", name, {word: array(3, 3, 4, 1)})


def small(word: str = "kernel") -> list[Layer]:
    """Make a stem, a depthwise block, a classifier; `word` is the depthwise kernel's."""
    return [
        Layer("InputLayer", "input_1", {}),
        Layer("Conv2D", "conv1", {"kernel": array(3, 3, 3, 4)}),
        norm("conv1_bn", 4),
        Layer("ReLU", "conv1_relu", {}),
        depthwise("conv_dw_1", word),
        norm("conv_dw_1_bn", 4),
        Layer("Conv2D", "conv_pw_1", {"kernel": array(1, 1, 4, 6)}),
        Layer("Dropout", "dropout", {}),
        Layer("Dense", "predictions", {"kernel": array(6, 5), "bias": array(5)}),
    ]


def expected(layers: Any, prefix: str = "") -> dict[str, np.ndarray]:
    found = {}
    for layer in layers:
        for word, values in layer.arrays.items():
            found[f"{prefix}{layer.name}/{word}"] = values
        found |= expected(layer.layers, f"{prefix}{layer.name}/")
    return found


def assert_equal(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> None:
    assert set(ours) == set(theirs)
    for name, values in theirs.items():
        np.testing.assert_array_equal(ours[name], values, strict=True)
        assert ours[name].flags.c_contiguous and ours[name].flags.writeable


class TestNames:
    @pytest.mark.parametrize("whole", [False, True])
    @pytest.mark.parametrize("scope", ["", "_1"])
    def test_old_files(self, whole: bool, scope: str) -> None:
        """Read files with and without optimizer, built once or twice, when Keras counts scopes."""
        layers = small("depthwise_kernel")
        assert_equal(read(keras_files.old(layers, whole, scope)), expected(layers))

    @pytest.mark.parametrize("whole", [False, True])
    def test_old_files_with_a_model_inside(self, whole: bool) -> None:
        inner = Layer("Functional", "mobilenet_1.00_224", {}, tuple(small("depthwise_kernel")[:-1]))
        layers = [inner, Layer("Dense", "dense", {"kernel": array(6, 2), "bias": array(2)})]
        assert_equal(read(keras_files.old(layers, whole)), expected(layers))

    def test_keras_archive(self) -> None:
        layers = small()
        for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            assert_equal(read(keras_files.keras(layers, method)), expected(layers))

    def test_keras_archive_with_a_model_inside(self) -> None:
        inner = Layer("Functional", "mobilenet", {}, tuple(small()[:-1]))
        layers = [
            Layer("Conv2D", "adapter", {"kernel": array(1, 1, 3, 3), "bias": array(3)}),
            inner,
            Layer("Dense", "dense", {"kernel": array(6, 2), "bias": array(2)}),
        ]
        assert_equal(read(keras_files.keras(layers)), expected(layers))

    def test_keras_archive_of_tensorflow_2_13(self) -> None:
        """Read a file that counts each layer with weights twice: conv2d, conv2d_2, ..."""
        layers = small()
        data = keras_files.new(layers, container="_layer_checkpoint_dependencies")
        assert "conv2d_2" in h5py.File(io.BytesIO(data))["_layer_checkpoint_dependencies"]
        assert_equal(read(keras_files.keras(layers, weights=data)), expected(layers))

    @pytest.mark.parametrize("named", [False, True])
    def test_weights_without_config(self, named: bool) -> None:
        """Class and counter stand for the layer."""
        layers = small()
        names = {
            "conv1": "conv2d", "conv_pw_1": "conv2d_1", "conv1_bn": "batch_normalization",
            "conv_dw_1": "depthwise_conv2d", "conv_dw_1_bn": "batch_normalization_1",
            "predictions": "dense",
        }  # fmt: skip
        counted = [layer._replace(name=names.get(layer.name, layer.name)) for layer in layers]
        assert_equal(read(keras_files.new(layers, named)), expected(counted))

    def test_batch_norm_without_scale_or_centre(self) -> None:
        layers = [
            Layer("BatchNormalization", "full", norm("", 2).arrays),
            Layer(
                "BatchNormalization", "unscaled",
                {word: array(2) for word in ("beta", "moving_mean", "moving_variance")},
                options={"scale": False, "center": True},
            ),
            Layer(
                "BatchNormalization", "uncentred",
                {word: array(2) for word in ("gamma", "moving_mean", "moving_variance")},
                options={"scale": True, "center": False},
            ),
            Layer(
                "BatchNormalization", "plain",
                {word: array(2) for word in ("moving_mean", "moving_variance")},
            ),
        ]  # fmt: skip
        assert_equal(read(keras_files.keras(layers)), expected(layers))
        names = set(read(keras_files.new(layers)))
        assert "batch_normalization_1/0" in names  # without config: beta or gamma, nobody knows
        assert "batch_normalization_3/moving_mean" in names

    def test_unknown_classes_and_too_many_variables_keep_numbers(self) -> None:
        layers = [
            Layer("Embedding", "words", {"0": array(2)}),
            Layer("Dense", "dense", {str(i): array(2) for i in range(3)}),
        ]
        assert_equal(read(keras_files.keras(layers)), expected(layers))

    def test_a_config_of_another_model_is_not_applied(self) -> None:
        other = json.dumps(keras_files.config(small()[:2])).encode()
        names = set(read(keras_files.keras(small(), config=other)))
        assert "conv2d/kernel" in names and "conv1/kernel" not in names


class TestStorage:
    @pytest.mark.parametrize("libver", ["earliest", "v108", "v110", "latest"])
    def test_versions_of_hdf5_and_many_layers(self, libver: str) -> None:
        arrays = {f"layer{i}/kernel": array(i % 3, 2) for i in range(40)}

        def write(file: Any) -> None:
            for name, values in arrays.items():
                file[f"{name.split('/')[0]}/{name}:0"] = values

        assert_equal(read(h5(write, libver=libver)), arrays)

    @pytest.mark.parametrize("options", [
        {}, {"compression": "gzip"}, {"shuffle": True}, {"compression": "gzip", "shuffle": True}
    ])  # fmt: skip
    @pytest.mark.parametrize("dtype", ["<f4", ">f8", "<f2", ">i4", "u1"])
    def test_chunks(self, options: dict[str, Any], dtype: str) -> None:
        """Read chunks that the shape is no multiple of."""
        values = RNG.integers(0, 100, (7, 9, 2)).astype(dtype)
        data = h5(lambda file: file.create_dataset("l/a", data=values, chunks=(3, 4, 2), **options))
        ours = read(data)["l/a"]
        np.testing.assert_array_equal(ours, values)
        assert ours.dtype == values.dtype.newbyteorder("=")

    @pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", "<f2", "<i8", ">i2", "u1"])
    def test_dtypes(self, dtype: str) -> None:
        values = np.arange(6).reshape(2, 3).astype(dtype)
        ours = read(h5(lambda file: file.create_dataset("l/a", data=values)))["l/a"]
        np.testing.assert_array_equal(ours, values)
        assert ours.dtype == values.dtype.newbyteorder("=") and ours.dtype.isnative

    def test_scalars_and_empty_arrays(self) -> None:
        content = {"l/a": np.float32(3), "l/b": np.empty((0, 4), np.float32)}

        def write(file: Any) -> None:
            for name, values in content.items():
                file[name] = values

        assert_equal(read(h5(write)), {k: np.asarray(v) for k, v in content.items()})
