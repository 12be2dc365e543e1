"""Models out of ONNX files: layouts, batches, names, and constants computed at load."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="onnx is not installed")

from bounds import gamma  # noqa: E402
from onnx_files import kinds, loaded, model, node, normal, saved  # noqa: E402
from tolerance import assert_close  # noqa: E402

from dsconv.onnx.reading.model import OnnxModel, load_onnx, read_onnx  # noqa: E402

# Calls


def test_the_files_own_layout(tmp_path: Path) -> None:
    """Check that maps have their channels first, for any batch and for one image."""
    ours = loaded(model([node("Relu", "x", "y")], {"x": ["N", 3, 5, 4]}, "y"), tmp_path)
    assert isinstance(ours, OnnxModel) and ours.layout == "NCHW"
    assert ours.inputs == {"x": (3, 5, 4)} and ours.outputs == {"y": (3, 5, 4)}
    x = normal(4, 3, 5, 4)
    for part in (x, x[:1], x[:0], x[0]):
        np.testing.assert_array_equal(ours(part), np.maximum(part, 0))


@pytest.mark.parametrize("batch", [1, 2, "N", "batch"])
def test_any_batch_is_taken(tmp_path: Path, batch: Any) -> None:
    """Check that the batch is free even if the file fixes it or reads it from a shape."""
    nodes = [node("Shape", "x", "s"), node("Gather", "s zero", "n"),
             node("Unsqueeze", "n axis", "first"), node("Concat", "first rest", "t", axis=0),
             node("Reshape", "x t", "y")]  # fmt: skip
    constants = {"zero": np.int64(0), "axis": [0], "rest": [-1]}
    ours = loaded(model(nodes, {"x": [batch, 3, 2, 2]}, "y", constants), tmp_path)
    for count in (1, 2, 5):
        x = normal(count, 3, 2, 2)
        np.testing.assert_array_equal(ours(x), x.reshape(count, 12))


def test_a_fixed_batch_in_a_constant_shape(tmp_path: Path) -> None:
    """Check a traced network, whose shapes contain the batch of the example."""
    content = model([node("Reshape", "x shape", "y")], {"x": [2, 3, 4]}, "y", {"shape": [2, 4, 3]})
    x = normal(5, 3, 4)
    np.testing.assert_array_equal(loaded(content, tmp_path)(x), x.reshape(5, 4, 3))


def test_several_inputs_and_outputs(tmp_path: Path) -> None:
    """Check the order of the file. An output may be an input, or another output once more."""
    nodes = [node("Sub", "b a", "difference"), node("Identity", "difference", "again"),
             node("Sigmoid", "a", "gate")]  # fmt: skip
    sizes = ["N", 2, 3, 4]
    ours = loaded(model(nodes, {"a": sizes, "b": sizes}, "again gate b difference"), tmp_path)
    assert list(ours.outputs) == ["again", "gate", "b", "difference"]
    a, b = normal(2, 2, 3, 4), normal(2, 2, 3, 4)
    again, gate, same, difference = ours(a, b)
    for result, value in ((again, b - a), (difference, b - a), (same, b)):
        np.testing.assert_array_equal(result, value)
    np.testing.assert_allclose(gate, 1 / (1 + np.exp(-a.astype(float))), rtol=4e-6)


def test_wrong_calls(tmp_path: Path) -> None:
    sizes = ["N", 2, 3, 4]
    ours = loaded(model([node("Add", "a b", "y")], {"a": sizes, "b": sizes}, "y"), tmp_path)
    x = normal(2, 2, 3, 4)
    with pytest.raises(ValueError, match=r"takes 2 inputs \('a', 'b'\), got 1"):
        ours(x)
    with pytest.raises(ValueError, match=r"input 'b' must have shape \(N, 2, 3, 4\)"):
        ours(x, x.transpose(0, 2, 3, 1))
    with pytest.raises(TypeError, match="input 'a' must be a NumPy array of float32, got float64"):
        ours(x.astype(float), x)
    with pytest.raises(ValueError, match="one batch size, got 2 and 1"):
        ours(x, x[:1])


def test_numbers_without_axes(tmp_path: Path) -> None:
    """Check tensors of the shape (N,), which have no axis beside the batch."""
    nodes = [node("Squeeze", "x axes", "s"), node("Mul", "s two", "y")]
    constants = {"axes": [1], "two": np.float32(2)}
    ours = loaded(model(nodes, {"x": ["N", 1]}, "y s", constants), tmp_path)
    x = normal(3, 1)
    assert ours.outputs == {"y": (), "s": ()}
    for result, value in zip(ours(x), (2 * x[:, 0], x[:, 0]), strict=True):
        np.testing.assert_array_equal(result, value)


def test_pickle_and_profile(tmp_path: Path) -> None:
    nodes = [node("Conv", "x w", "c", pads=[1, 1, 1, 1]), node("Relu", "c", "y")]
    ours = loaded(model(nodes, {"x": ["N", 3, 5, 4]}, "y c", {"w": normal(8, 3, 3, 3)}), tmp_path)
    again = pickle.loads(pickle.dumps(ours))
    x = normal(2, 3, 5, 4)
    for a, b in zip(ours(x), again(x), strict=True):
        np.testing.assert_array_equal(a, b)
    assert (again.inputs, again.outputs, again.threads) == (ours.inputs, ours.outputs, 1)
    assert {step.name for step in ours.profile(x, repeats=1).steps} >= {"c", "y"}


def test_names_of_any_kind(tmp_path: Path) -> None:
    """Check names with ":" and control characters, which graphs refuse, and equal names."""
    nodes = [node("Relu", "a:0", "a_0"), node("Relu", "a_0", "b\n"), node("Relu", "b\n", "b:")]
    for n in nodes:
        n.name = "same"
    path = saved(model(nodes, {"a:0": ["N", 3]}, "b: a_0"), tmp_path)
    ours = load_onnx(path)
    assert list(ours.inputs) == ["a:0"] and list(ours.outputs) == ["b:", "a_0"]
    x = normal(2, 3)
    for result in ours(x):
        np.testing.assert_array_equal(result, np.maximum(x, 0))
    names = list(read_onnx(path).graph.nodes)
    assert len(set(names)) == len(names) == 4


# Constants


def test_shapes_computed_in_the_file(tmp_path: Path) -> None:
    """Check the nodes that exporters write for sizes relative to another map."""
    nodes = [
        node("Shape", "x", "s"),
        node("Slice", "s two four", "hw"),
        node("Cast", "hw", "f", to=1),
        node("Mul", "f half", "g"),
        node("Floor", "g", "h"),
        node("Cast", "h", "i", to=7),
        node("Slice", "s zero two", "nc"),
        node("Concat", "nc i", "sizes", axis=0),
        node("Resize", "x - - sizes", "y", mode="nearest", nearest_mode="floor",
             coordinate_transformation_mode="asymmetric"),
    ]  # fmt: skip
    constants = {"zero": [0], "two": [2], "four": [4], "half": np.float32([1.5, 0.5])}
    ours = loaded(model(nodes, {"x": ["N", 2, 4, 4]}, "y", constants), tmp_path)
    x = normal(3, 2, 4, 4)
    np.testing.assert_array_equal(ours(x), x[:, :, [0, 0, 1, 2, 2, 3]][..., [0, 2]])


def test_sizes_that_keep_minus_one(tmp_path: Path) -> None:
    """Check Where(sizes == -1, shape, sizes), which exporters write for `expand`."""
    nodes = [
        node("Shape", "x", "s"),
        node("Equal", "sizes minus", "open"),
        node("Where", "open s sizes", "t"),
        node("Equal", "t minus", "none"),
        node("Where", "none s t", "u"),
        node("Expand", "x u", "y"),
    ]
    constants = {"sizes": [-1, 3, 2], "minus": [-1]}
    x = normal(4, 1, 2)
    result = loaded(model(nodes, {"x": ["N", 1, 2]}, "y", constants), tmp_path)(x)
    np.testing.assert_array_equal(result, np.broadcast_to(x, (4, 3, 2)))


def test_weights_made_of_constants(tmp_path: Path) -> None:
    """Check a weight that is transposed, reshaped and multiplied at load."""
    weights = normal(3, 8)
    nodes = [
        node("Constant", "", "w", value=onnx.numpy_helper.from_array(weights)),
        node("Transpose", "w", "t", perm=[1, 0]),
        node("Mul", "t two", "u"),
        node("Reshape", "u shape", "v"),
        node("Conv", "x v", "y"),
    ]
    constants = {"two": np.float32(2), "shape": [8, 3, 1, 1]}
    x = normal(1, 3, 2, 2)
    exact = np.einsum("nchw,co->nohw", x.astype(float), 2.0 * weights)
    scale = np.einsum("nchw,co->nohw", np.abs(x).astype(float), 2.0 * np.abs(weights))
    result = loaded(model(nodes, {"x": ["N", 3, 2, 2]}, "y", constants), tmp_path)(x)
    assert_close(result, exact, gamma(4) * scale)


@pytest.mark.parametrize("raw", [True, False])
def test_both_forms_of_arrays(tmp_path: Path, raw: bool) -> None:
    content = model([node("Add", "x c", "y")], {"x": ["N", 3]}, "y")
    values = [1.5, -2.0, 3.25]
    array = np.array(values, "<f4").tobytes() if raw else values
    content.graph.initializer.append(onnx.helper.make_tensor("c", 1, [3], array, raw=raw))
    x = normal(2, 3)
    np.testing.assert_array_equal(loaded(content, tmp_path)(x), x + np.array(values, np.float32))


def test_initializers_among_the_inputs(tmp_path: Path) -> None:
    """Check that an initializer which the file lists as an input, as old ones do, is none."""
    content = model([node("Add", "x c", "y")], {"x": ["N", 3], "c": [3]}, "y", {"c": normal(3)})
    assert list(loaded(content, tmp_path).inputs) == ["x"]


def test_nodes_that_no_output_needs_are_left_out(tmp_path: Path) -> None:
    nodes = [node("Relu", "x", "y"), node("Conv", "x w", "unused")]
    content = model(nodes, {"x": ["N", 3, 2, 2]}, "y", {"w": normal(4, 3, 1, 1)})
    assert kinds(content, tmp_path) == ["input", "clip"]


def test_weights_are_read_when_they_are_asked_for(tmp_path: Path) -> None:
    nodes = [node("Conv", "x w", "y")]
    content = model(nodes, {"x": ["N", 3, 2, 2]}, "y", {"w": normal(4, 3, 1, 1)})
    weights = read_onnx(saved(content, tmp_path)).weights
    (name,) = weights
    assert weights[name] is not weights[name]
    np.testing.assert_array_equal(weights[name], weights[name])


def test_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(model([node("Relu", "x", "y")], {"x": ["N", 3]}, "y"), tmp_path)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"pip install 'dsconv\[onnx\]'"):
        load_onnx(path)
