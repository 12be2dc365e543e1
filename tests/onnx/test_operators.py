"""ONNX operators as layers, where the onnx package's node tests do not tell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

from bounds import gamma  # noqa: E402
from exported import onnxruntime, slack  # noqa: E402
from hypothesis import assume, given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from onnx_files import kinds, layers_of, loaded, model, node, normal  # noqa: E402
from tolerance import assert_close  # noqa: E402

from dsconv.layers import Clip, Conv2D, DepthwiseConv2D, L2Normalize, Resize  # noqa: E402

MODES = ["half_pixel", "align_corners", "asymmetric", "pytorch_half_pixel"]
SIZES = st.tuples(st.integers(1, 6), st.integers(1, 6))
NEW_SIZES = st.tuples(st.integers(1, 14), st.integers(1, 14))


def test_depthwise_and_grouped(tmp_path: Path) -> None:
    """Check that as many groups as channels are a depthwise convolution, with its multiplier."""
    nodes = [node("Conv", "x w1", "a", group=4), node("Conv", "a w2", "y", group=2)]
    weights = {"w1": normal(8, 1, 3, 2), "w2": normal(6, 4, 1, 1)}
    found = layers_of(model(nodes, {"x": ["N", 4, 5, 6]}, "y", weights), tmp_path)
    assert [x.multiplier for x in found if isinstance(x, DepthwiseConv2D)] == [2]
    assert [layer.groups for layer in found if isinstance(layer, Conv2D)] == [2]


def test_batch_norm_and_clip_are_fused(tmp_path: Path) -> None:
    nodes = [
        node("Conv", "x w", "c"),
        node("BatchNormalization", "c g b m v", "n"),
        node("Clip", "n low high", "y"),
        node("GlobalAveragePool", "y", "p"),
        node("Flatten", "p", "f"),
        node("Gemm", "f d", "z", transB=1),
    ]
    constants = {
        "w": normal(8, 3, 3, 3), "g": normal(8), "b": normal(8), "m": normal(8),
        "v": np.abs(normal(8)) + 0.1, "low": np.float32(0), "high": np.float32(6),
        "d": normal(5, 8),
    }  # fmt: skip
    ours = loaded(model(nodes, {"x": ["N", 3, 9, 9]}, "z", constants), tmp_path)
    kinds = [layer.kind for layer in ours._program.layers]
    assert kinds == ["transpose", "conv 3x3", "global average pool", "fully connected"]


def test_padding_before_a_convolution(tmp_path: Path) -> None:
    """Check that a Pad adds to the convolution's own padding, and stays for other readers."""
    nodes = [node("Pad", "x pads", "p"), node("Conv", "p w", "c", pads=[0, 1, 2, 0]),
             node("MaxPool", "p", "m", kernel_shape=[2, 2])]  # fmt: skip
    constants = {"pads": [0, 0, 1, 0, 0, 0, 0, 3], "w": normal(2, 3, 3, 3)}
    content = model(nodes, {"x": ["N", 3, 5, 4]}, "c m", constants)
    found = layers_of(content, tmp_path)
    assert [x.padding for x in found if isinstance(x, Conv2D)] == [((1, 2), (1, 3))]
    x = normal(2, 3, 5, 4)
    theirs = onnxruntime(content.SerializeToString(), {"x": x})
    scale = np.abs(x).max() * np.abs(constants["w"]).max()
    for a, b, terms in zip(loaded(content, tmp_path)(x), theirs, (27, 0), strict=True):
        assert_close(a, b, np.full(b.shape, 2 * gamma(terms + 1) * terms * scale))


def test_transposes_are_names_for_axes(tmp_path: Path) -> None:
    """Check that the order of axes costs one copy, at the input, and none in a detector's head."""
    nodes = [
        node("Conv", "x w", "c"),
        node("Transpose", "c", "t", perm=[0, 2, 3, 1]),
        node("Reshape", "t shape", "y"),
    ]
    constants = {"w": normal(8, 3, 1, 1), "shape": [0, -1, 4]}
    content = model(nodes, {"x": ["N", 3, 2, 5]}, "y", constants)
    assert kinds(content, tmp_path) == ["input", "transpose", "conv2d", "reshape"]


def test_channel_shuffle_is_one_copy(tmp_path: Path) -> None:
    nodes = [
        node("Relu", "x", "r"),
        node("Reshape", "r split", "a"),
        node("Transpose", "a", "b", perm=[0, 2, 1, 3, 4]),
        node("Reshape", "b join", "c"),
        node("Conv", "c w", "y"),
    ]
    constants = {"split": [0, 2, 3, 4, 5], "join": [0, 6, 4, 5], "w": normal(1, 6, 1, 1)}
    content = model(nodes, {"x": ["N", 6, 4, 5]}, "y", constants)
    assert kinds(content, tmp_path).count("transpose") <= 2  # one of them is for the input
    x = normal(2, 6, 4, 5)
    (theirs,) = onnxruntime(content.SerializeToString(), {"x": x})
    scale = 6 * np.abs(x).max() * np.abs(constants["w"]).max()
    result = loaded(content, tmp_path)(x)
    assert_close(result, theirs, np.full(theirs.shape, 2 * gamma(7) * scale))


def test_l2_normalisation(tmp_path: Path) -> None:
    """Check that both forms, ReduceSumSquare, Add, Sqrt, Div and ReduceL2, Div, are one layer."""
    nodes = [
        node("ReduceSumSquare", "x", "s", axes=[1]),
        node("Add", "epsilon s", "t"),
        node("Sqrt", "t", "r"),
        node("Div", "x r", "y"),
        node("ReduceL2", "x", "l", axes=[-3]),
        node("Div", "x l", "z"),
    ]
    content = model(nodes, {"x": ["N", 4, 3, 2]}, "y z", {"epsilon": np.float32(0.5)})
    found = layers_of(content, tmp_path)
    assert [layer.epsilon for layer in found if isinstance(layer, L2Normalize)] == [0.5, 0.0]
    x = normal(2, 4, 3, 2)
    for result, epsilon in zip(loaded(content, tmp_path)(x), (0.5, 0.0), strict=True):
        exact = x / np.sqrt((x.astype(float) ** 2).sum(1, keepdims=True) + epsilon)
        assert_close(result, exact, gamma(12) * np.abs(exact))


def test_limits_by_constants(tmp_path: Path) -> None:
    nodes = [node("Max", "x low", "a"), node("Min", "high a", "y"), node("Cast", "y", "z", to=1)]
    constants = {"low": np.float32([-0.5]), "high": np.float32(0.25)}
    content = model(nodes, {"x": ["N", 9]}, "z", constants)
    x = normal(4, 9)
    np.testing.assert_array_equal(loaded(content, tmp_path)(x), np.clip(x, -0.5, 0.25))
    found = [layer for layer in layers_of(content, tmp_path) if isinstance(layer, Clip)]
    assert [(layer.low, layer.high) for layer in found] == [(-0.5, np.inf), (-np.inf, 0.25)]


@pytest.mark.parametrize(("opset", "axis"), [(11, 1), (11, 2), (13, 1), (13, 2)])
def test_softmax_over_all_axes_before_opset_13(tmp_path: Path, opset: int, axis: int) -> None:
    nodes = [node("Softmax", "x", "y", axis=axis)]
    content = model(nodes, {"x": ["N", 3, 4, 5]}, "y", None, opset)
    x = normal(2, 3, 4, 5)
    powers = np.exp(x.astype(float))
    sums = powers.sum(tuple(range(axis, 4)) if opset < 13 else axis, keepdims=True)
    np.testing.assert_allclose(loaded(content, tmp_path)(x), powers / sums, rtol=1e-5)


def resize_to(size: Any, new: Any, **attributes: Any) -> Any:
    """Make a model that resizes a map of two channels."""
    nodes = [node("Resize", "x - - sizes", "y", **attributes)]
    return model(nodes, {"x": [1, 2, *size]}, "y", {"sizes": [1, 2, *new]})


@given(size=SIZES, new=NEW_SIZES, mode=st.sampled_from(MODES))
def test_bilinear_to_any_size(size: Any, new: Any, mode: str, tmp_path_factory: Any) -> None:
    """Allow for the other engine's rounded positions, which `exported.slack` bounds."""
    assume(mode != "pytorch_half_pixel" or 1 not in new)
    content = resize_to(size, new, mode="linear", coordinate_transformation_mode=mode)
    x = normal(1, 2, *size)
    result = loaded(content, tmp_path_factory.mktemp("resize"))(x)
    (theirs,) = onnxruntime(content.SerializeToString(), {"x": x})
    pixels = x.transpose(0, 2, 3, 1)
    allowed = slack(Resize(*new), pixels, theirs) + 4 * gamma(10) * np.abs(x).max()
    assert_close(result, theirs, np.full(theirs.shape, allowed))


@pytest.mark.parametrize("operator, opset", [("Upsample", 7), ("Upsample", 9), ("Resize", 10)])
@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_resizing_in_old_files(tmp_path: Path, operator: str, opset: int, mode: str) -> None:
    """Check files with scales only. The positions i / 2 and i / 4 are exact in float32."""
    scales = np.array([1, 1, 2, 4], np.float32)
    if opset == 7:
        resize, constants = node("Upsample", "x", "y", mode=mode, scales=scales.tolist()), {}
    else:
        resize, constants = node(operator, "x scales", "y", mode=mode), {"scales": scales}
    content = model([resize], {"x": [1, 2, 3, 5]}, "y", constants, opset)
    x = normal(1, 2, 3, 5)
    (theirs,) = onnxruntime(content.SerializeToString(), {"x": x})
    allowed = 4 * gamma(10) * np.abs(x).max() if mode == "linear" else 0.0
    assert_close(loaded(content, tmp_path)(x), theirs, np.full(theirs.shape, allowed))


@given(
    size=SIZES,
    new=NEW_SIZES,
    mode=st.sampled_from(MODES),
    nearest=st.sampled_from(["floor", "ceil", "round_prefer_floor", "round_prefer_ceil"]),
)
def test_nearest_takes_pixels_of_the_map(
    size: Any, new: Any, mode: str, nearest: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Compare with the exact rule, because other engines round positions and differ at ties."""
    content = resize_to(
        size, new, mode="nearest", nearest_mode=nearest, coordinate_transformation_mode=mode
    )
    x = expected = normal(1, 2, *size)
    result = loaded(content, tmp_path_factory.mktemp("resize"))(x)
    for axis, (old, count) in enumerate(zip(size, new, strict=True), start=2):
        indices = [_nearest(i, old, count, mode, nearest) for i in range(count)]
        expected = expected.take(indices, axis)
    np.testing.assert_array_equal(result, expected)


def _nearest(i: int, old: int, new: int, mode: str, nearest: str) -> int:
    """Return the row that row i reads: the position above / below, rounded in whole numbers."""
    if mode == "align_corners":
        above, below = i * (old - 1), max(new - 1, 1)
    elif mode == "asymmetric":
        above, below = i * old, new
    elif mode == "pytorch_half_pixel" and new == 1:
        above, below = 0, 1
    else:
        above, below = (2 * i + 1) * old - new, 2 * new
    whole = {
        "floor": above // below,
        "ceil": -(-above // below),
        "round_prefer_floor": -((below - 2 * above) // (2 * below)),
        "round_prefer_ceil": (2 * above + below) // (2 * below),
    }[nearest]
    return min(max(whole, 0), old - 1)
