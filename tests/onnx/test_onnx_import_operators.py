"""How ONNX operators are expressed by layers, where the node tests do not tell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="onnx is not installed")

from bounds import gamma  # noqa: E402
from exported import slack  # noqa: E402
from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from onnx_files import kinds, model, node, normal, saved  # noqa: E402
from onnx_random_models import onnxruntime  # noqa: E402
from tolerance import assert_close  # noqa: E402

from dsconv.layers import Clip, Conv2D, DepthwiseConv2D, L2Normalize, Resize  # noqa: E402
from dsconv.onnx.reading.model import load_onnx, read_onnx  # noqa: E402


def test_depthwise_and_grouped(tmp_path: Path) -> None:
    """As many groups as channels are a depthwise convolution, also with a multiplier."""
    nodes = [node("Conv", "x w1", "a", group=4), node("Conv", "a w2", "y", group=2)]
    weights = {"w1": normal(8, 1, 3, 2), "w2": normal(6, 4, 1, 1)}
    content = model(nodes, {"x": ["N", 4, 5, 6]}, "y", weights)
    path = saved(content, tmp_path)
    graph = read_onnx(path).graph
    depthwise, grouped = graph.nodes["a"].layer, graph.nodes["y"].inputs
    assert isinstance(depthwise, DepthwiseConv2D) and depthwise.multiplier == 2
    pointwise = graph.nodes[grouped[0]].layer
    assert isinstance(pointwise, Conv2D) and pointwise.groups == 2


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
    loaded = load_onnx(saved(model(nodes, {"x": ["N", 3, 9, 9]}, "z", constants), tmp_path))
    labels = [n.layer.kind for n in loaded._lowered.graph.nodes.values()]
    assert labels == ["input", "transpose", "fused", "global_average_pool", "reshape", "fused"]


def test_padding_before_a_convolution(tmp_path: Path) -> None:
    """A Pad adds to the convolution's own padding, and stays for other readers."""
    nodes = [node("Pad", "x pads", "p"), node("Conv", "p w", "c", pads=[0, 1, 2, 0]),
             node("MaxPool", "p", "m", kernel_shape=[2, 2])]  # fmt: skip
    constants = {"pads": [0, 0, 1, 0, 0, 0, 0, 3], "w": normal(2, 3, 3, 3)}
    content = model(nodes, {"x": ["N", 3, 5, 4]}, "c m", constants)
    path = saved(content, tmp_path)
    layer = next(n.layer for n in read_onnx(path).graph.nodes.values() if n.name.startswith("c"))
    x = normal(2, 3, 5, 4)
    ours = load_onnx(path)(x)
    theirs = onnxruntime(content.SerializeToString(), {"x": x})
    for a, b, terms in zip(ours, theirs, (27, 0), strict=True):
        scale = np.abs(x).max() * np.abs(constants["w"]).max()
        assert_close(a, b, np.full(b.shape, 2 * gamma(terms + 1) * terms * scale))
    nodes = [n.layer for n in read_onnx(path).graph.nodes.values() if isinstance(n.layer, Conv2D)]
    assert nodes[0].padding == ((1, 2), (1, 3)) and layer is not None


def test_transposes_are_names_for_axes(tmp_path: Path) -> None:
    """The order of axes costs one copy at the entrance; a head of a detector costs no other."""
    nodes = [
        node("Conv", "x w", "c"),
        node("Transpose", "c", "t", perm=[0, 2, 3, 1]),
        node("Reshape", "t shape", "y"),
    ]
    constants = {"w": normal(8, 3, 1, 1), "shape": [0, -1, 4]}
    path = saved(model(nodes, {"x": ["N", 3, 2, 5]}, "y", constants), tmp_path)
    assert kinds(path) == ["input", "transpose", "conv2d", "reshape"]


def test_channel_shuffle_is_one_copy(tmp_path: Path) -> None:
    nodes = [
        node("Relu", "x", "r"),
        node("Reshape", "r split", "a"),
        node("Transpose", "a", "b", perm=[0, 2, 1, 3, 4]),
        node("Reshape", "b join", "c"),
        node("Conv", "c w", "y"),
    ]
    constants = {"split": [0, 2, 3, 4, 5], "join": [0, 6, 4, 5], "w": normal(1, 6, 1, 1)}
    path = saved(model(nodes, {"x": ["N", 6, 4, 5]}, "y", constants), tmp_path)
    graph = read_onnx(path).graph
    assert sum(n.layer.kind == "transpose" for n in graph.nodes.values()) <= 2  # one for the input
    x = normal(2, 6, 4, 5)
    (theirs,) = onnxruntime(Path(path).read_bytes(), {"x": x})
    scale = 6 * np.abs(x).max() * np.abs(constants["w"]).max()
    assert_close(load_onnx(path)(x), theirs, np.full(theirs.shape, 2 * gamma(7) * scale))


def test_l2_normalisation(tmp_path: Path) -> None:
    """ReduceSumSquare, Add, Sqrt and Div are one layer; ReduceL2 is another form."""
    nodes = [
        node("ReduceSumSquare", "x", "s", axes=[1]),
        node("Add", "epsilon s", "t"),
        node("Sqrt", "t", "r"),
        node("Div", "x r", "y"),
        node("ReduceL2", "x", "l", axes=[-3]),
        node("Div", "x l", "z"),
    ]
    content = model(nodes, {"x": ["N", 4, 3, 2]}, "y z", {"epsilon": np.float32(0.5)})
    path = saved(content, tmp_path)
    found = [n.layer for n in read_onnx(path).graph.nodes.values()]
    assert [layer.epsilon for layer in found if isinstance(layer, L2Normalize)] == [0.5, 0.0]
    x = normal(2, 4, 3, 2)
    for result, epsilon in zip(load_onnx(path)(x), (0.5, 0.0), strict=True):
        exact = x / np.sqrt((x.astype(float) ** 2).sum(1, keepdims=True) + epsilon)
        assert_close(result, exact, gamma(12) * np.abs(exact))


def test_limits_by_constants(tmp_path: Path) -> None:
    nodes = [node("Max", "x low", "a"), node("Min", "high a", "y"), node("Cast", "y", "z", to=1)]
    content = model(
        nodes, {"x": ["N", 9]}, "z", {"low": np.float32([-0.5]), "high": np.float32(0.25)}
    )
    path = saved(content, tmp_path)
    x = normal(4, 9)
    np.testing.assert_array_equal(load_onnx(path)(x), np.clip(x, -0.5, 0.25))
    layers = [n.layer for n in read_onnx(path).graph.nodes.values() if isinstance(n.layer, Clip)]
    assert [(layer.low, layer.high) for layer in layers] == [(-0.5, np.inf), (-np.inf, 0.25)]


@pytest.mark.parametrize(("operator", "constant"), [("Div", 0.0), ("Div", 1e-40), ("Mul", np.inf)])
def test_an_infinite_factor_is_refused(tmp_path: Path, operator: str, constant: float) -> None:
    """Batch norms, which carry out scalings, would make NaN of it where ONNX has infinity."""
    content = model([node(operator, "x c", "y")], {"x": ["N", 2]}, "y", {"c": np.float32(constant)})
    with pytest.raises(ValueError, match=f"{operator} node 'y': scaling by infinity"):
        load_onnx(saved(content, tmp_path))


def test_softmax_over_all_axes_before_opset_13(tmp_path: Path) -> None:
    x = normal(2, 3, 4, 5)
    for opset, axis in ((11, 1), (11, 2), (13, 1), (13, 2)):
        content = model(
            [node("Softmax", "x", "y", axis=axis)], {"x": ["N", 3, 4, 5]}, "y", None, opset
        )
        axes = tuple(range(axis, 4)) if opset < 13 else axis
        powers = np.exp(x.astype(float))
        result = load_onnx(saved(content, tmp_path))(x)
        np.testing.assert_allclose(result, powers / powers.sum(axes, keepdims=True), rtol=1e-5)


@given(
    size=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    new=st.tuples(st.integers(1, 14), st.integers(1, 14)),
    mode=st.sampled_from(["half_pixel", "align_corners", "asymmetric", "pytorch_half_pixel"]),
)
def test_bilinear_to_any_size(
    size: Any, new: Any, mode: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Within what the other engine's positions in float32 may change (see `exported.slack`)."""
    if mode == "pytorch_half_pixel" and 1 in new:
        return
    nodes = [node("Resize", "x - - sizes", "y", mode="linear", coordinate_transformation_mode=mode)]
    content = model(nodes, {"x": [1, 2, *size]}, "y", {"sizes": [1, 2, *new]})
    x = normal(1, 2, *size)
    result = load_onnx(saved(content, tmp_path_factory.mktemp("resize")))(x)
    (theirs,) = onnxruntime(content.SerializeToString(), {"x": x})
    pixels = x.transpose(0, 2, 3, 1)
    allowed = slack(Resize(*new), pixels, theirs) + 4 * gamma(10) * np.abs(x).max()
    assert_close(result, theirs, np.full(theirs.shape, allowed))


@pytest.mark.parametrize("operator, opset", [("Upsample", 7), ("Upsample", 9), ("Resize", 10)])
@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_resizing_in_old_files(tmp_path: Path, operator: str, opset: int, mode: str) -> None:
    """Scales alone, at positions output / scale; 2 and 4 keep these exact in float32."""
    scales = np.array([1, 1, 2, 4], np.float32)
    if opset == 7:
        resize, constants = node("Upsample", "x", "y", mode=mode, scales=scales.tolist()), {}
    else:
        resize, constants = node(operator, "x scales", "y", mode=mode), {"scales": scales}
    content = model([resize], {"x": [1, 2, 3, 5]}, "y", constants, opset)
    x = normal(1, 2, 3, 5)
    (theirs,) = onnxruntime(content.SerializeToString(), {"x": x})
    allowed = 4 * gamma(10) * np.abs(x).max() if mode == "linear" else 0.0
    result = load_onnx(saved(content, tmp_path))(x)
    assert_close(result, theirs, np.full(theirs.shape, allowed))


@given(
    size=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    new=st.tuples(st.integers(1, 14), st.integers(1, 14)),
    mode=st.sampled_from(["half_pixel", "align_corners", "asymmetric", "pytorch_half_pixel"]),
    nearest=st.sampled_from(["floor", "ceil", "round_prefer_floor", "round_prefer_ceil"]),
)
def test_nearest_takes_pixels_of_the_map(
    size: Any, new: Any, mode: str, nearest: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The exact rule with fractions, by hand: the engines round positions and differ at ties."""
    nodes = [
        node("Resize", "x - - sizes", "y", mode="nearest", nearest_mode=nearest,
             coordinate_transformation_mode=mode)
    ]  # fmt: skip
    content = model(nodes, {"x": [1, 2, *size]}, "y", {"sizes": [1, 2, *new]})
    x = normal(1, 2, *size)
    result = load_onnx(saved(content, tmp_path_factory.mktemp("resize")))(x)
    expected = x
    for axis, (old, count) in enumerate(zip(size, new, strict=True), start=2):
        expected = expected.take(
            [_nearest(i, old, count, mode, nearest) for i in range(count)], axis
        )
    np.testing.assert_array_equal(result, expected)


def _nearest(i: int, old: int, new: int, mode: str, nearest: str) -> int:
    """Row i reads (above / below), in whole numbers."""
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
