"""Models out of ONNX files: layouts, batches, names, and what is computed at load."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="onnx is not installed")

from bounds import gamma  # noqa: E402
from onnx_files import kinds, model, node, normal, saved  # noqa: E402
from tolerance import assert_close  # noqa: E402

from dsconv.onnx.reading.model import OnnxModel, load_onnx, read_onnx  # noqa: E402

# Calls


def test_the_files_own_layout(tmp_path: Path) -> None:
    """A map goes in and comes out with its channels first; any batch, or one image."""
    content = model([node("Relu", "x", "y")], {"x": ["N", 3, 5, 4]}, "y")
    loaded = load_onnx(saved(content, tmp_path))
    assert isinstance(loaded, OnnxModel) and loaded.layout == "NCHW"
    assert loaded.inputs == {"x": (3, 5, 4)} and loaded.outputs == {"y": (3, 5, 4)}
    x = normal(4, 3, 5, 4)
    for part in (x, x[:1], x[:0], x[0]):
        np.testing.assert_array_equal(loaded(part), np.maximum(part, 0))


@pytest.mark.parametrize("batch", [1, 2, "N", "batch"])
def test_any_batch_is_taken(tmp_path: Path, batch: Any) -> None:
    """Also where the file fixes it, and where it speaks of it in a shape."""
    nodes = [node("Shape", "x", "s"), node("Gather", "s zero", "n"),
             node("Unsqueeze", "n axis", "first"), node("Concat", "first rest", "t", axis=0),
             node("Reshape", "x t", "y")]  # fmt: skip
    constants = {"zero": np.int64(0), "axis": [0], "rest": [-1]}
    content = model(nodes, {"x": [batch, 3, 2, 2]}, "y", constants)
    loaded = load_onnx(saved(content, tmp_path))
    for count in (1, 2, 5):
        x = normal(count, 3, 2, 2)
        np.testing.assert_array_equal(loaded(x), x.reshape(count, 12))


def test_a_fixed_batch_in_a_constant_shape(tmp_path: Path) -> None:
    """Traced networks have the batch of the example in their shapes."""
    content = model([node("Reshape", "x shape", "y")], {"x": [2, 3, 4]}, "y", {"shape": [2, 4, 3]})
    x = normal(5, 3, 4)
    np.testing.assert_array_equal(load_onnx(saved(content, tmp_path))(x), x.reshape(5, 4, 3))


def test_several_inputs_and_outputs(tmp_path: Path) -> None:
    """In the file's order; an output may be an input, or another output once more."""
    nodes = [node("Sub", "b a", "difference"), node("Identity", "difference", "again"),
             node("Sigmoid", "a", "gate")]  # fmt: skip
    sizes = ["N", 2, 3, 4]
    content = model(nodes, {"a": sizes, "b": sizes}, "again gate b difference")
    loaded = load_onnx(saved(content, tmp_path))
    assert list(loaded.outputs) == ["again", "gate", "b", "difference"]
    a, b = normal(2, 2, 3, 4), normal(2, 2, 3, 4)
    again, gate, same, difference = loaded(a, b)
    np.testing.assert_array_equal(again, b - a)
    np.testing.assert_array_equal(difference, b - a)
    np.testing.assert_array_equal(same, b)
    np.testing.assert_allclose(gate, 1 / (1 + np.exp(-a.astype(float))), rtol=4e-6)


def test_wrong_calls(tmp_path: Path) -> None:
    content = model([node("Add", "a b", "y")], {"a": ["N", 2, 3, 4], "b": ["N", 2, 3, 4]}, "y")
    loaded = load_onnx(saved(content, tmp_path))
    x = normal(2, 2, 3, 4)
    with pytest.raises(ValueError, match=r"takes 2 inputs \('a', 'b'\), got 1"):
        loaded(x)
    with pytest.raises(ValueError, match=r"input 'b' must have shape \(N, 2, 3, 4\)"):
        loaded(x, x.transpose(0, 2, 3, 1))
    with pytest.raises(TypeError, match="input 'a' must be float32, got float64"):
        loaded(x.astype(float), x)
    with pytest.raises(ValueError, match="one batch size, got 2 and 1"):
        loaded(x, x[:1])


def test_numbers_without_axes(tmp_path: Path) -> None:
    """(N,) has nothing beside the batch."""
    nodes = [node("Squeeze", "x axes", "s"), node("Mul", "s two", "y")]
    content = model(nodes, {"x": ["N", 1]}, "y s", {"axes": [1], "two": np.float32(2)})
    loaded = load_onnx(saved(content, tmp_path))
    x = normal(3, 1)
    assert loaded.outputs == {"y": (), "s": ()}
    for result, value in zip(loaded(x), (2 * x[:, 0], x[:, 0]), strict=True):
        np.testing.assert_array_equal(result, value)


def test_pickle_and_profile(tmp_path: Path) -> None:
    nodes = [node("Conv", "x w", "c", pads=[1, 1, 1, 1]), node("Relu", "c", "y")]
    content = model(nodes, {"x": ["N", 3, 5, 4]}, "y c", {"w": normal(8, 3, 3, 3)})
    loaded = load_onnx(saved(content, tmp_path), threads=1)
    again = pickle.loads(pickle.dumps(loaded))
    x = normal(2, 3, 5, 4)
    for a, b in zip(loaded(x), again(x), strict=True):
        np.testing.assert_array_equal(a, b)
    assert (again.inputs, again.outputs, again.threads) == (loaded.inputs, loaded.outputs, 1)
    assert {step.name for step in loaded.profile(x, repeats=1).steps} >= {"c", "y"}


def test_names_of_any_kind(tmp_path: Path) -> None:
    """Graphs take no ":" and nothing that does not print; names that become equal stay apart."""
    nodes = [node("Relu", "a:0", "a_0"), node("Relu", "a_0", "b\n"), node("Relu", "b\n", "b:")]
    for n in nodes:
        n.name = "same"
    content = model(nodes, {"a:0": ["N", 3]}, "b: a_0")
    path = saved(content, tmp_path)
    loaded = load_onnx(path)
    assert list(loaded.inputs) == ["a:0"] and list(loaded.outputs) == ["b:", "a_0"]
    x = normal(2, 3)
    for result in loaded(x):
        np.testing.assert_array_equal(result, np.maximum(x, 0))
    names = list(read_onnx(path).graph.nodes)
    assert len(set(names)) == len(names) == 4


# Constants


def test_shapes_computed_in_the_file(tmp_path: Path) -> None:
    """What exporters write for sizes relative to another map."""
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
    loaded = load_onnx(saved(model(nodes, {"x": ["N", 2, 4, 4]}, "y", constants), tmp_path))
    x = normal(3, 2, 4, 4)
    np.testing.assert_array_equal(loaded(x), x[:, :, [0, 0, 1, 2, 2, 3]][..., [0, 2]])


def test_sizes_that_keep_minus_one(tmp_path: Path) -> None:
    """Where(sizes == -1, shape, sizes), as exporters write `expand`."""
    nodes = [
        node("Shape", "x", "s"),
        node("Equal", "sizes minus", "open"),
        node("Where", "open s sizes", "t"),
        node("Equal", "t minus", "none"),
        node("Where", "none s t", "u"),
        node("Expand", "x u", "y"),
    ]
    constants = {"sizes": [-1, 3, 2], "minus": [-1]}
    loaded = load_onnx(saved(model(nodes, {"x": ["N", 1, 2]}, "y", constants), tmp_path))
    x = normal(4, 1, 2)
    np.testing.assert_array_equal(loaded(x), np.broadcast_to(x, (4, 3, 2)))


def test_weights_made_of_constants(tmp_path: Path) -> None:
    """Transposed, reshaped and multiplied at load."""
    nodes = [
        node("Constant", "", "w", value=onnx.numpy_helper.from_array(normal(3, 8))),
        node("Transpose", "w", "t", perm=[1, 0]),
        node("Mul", "t two", "u"),
        node("Reshape", "u shape", "v"),
        node("Conv", "x v", "y"),
    ]
    weights = onnx.numpy_helper.to_array(nodes[0].attribute[0].t)
    content = model(
        nodes, {"x": ["N", 3, 2, 2]}, "y", {"two": np.float32(2), "shape": [8, 3, 1, 1]}
    )
    x = normal(1, 3, 2, 2)
    exact = np.einsum("nchw,co->nohw", x.astype(float), 2.0 * weights)
    scale = np.einsum("nchw,co->nohw", np.abs(x).astype(float), 2.0 * np.abs(weights))
    assert_close(load_onnx(saved(content, tmp_path))(x), exact, gamma(4) * scale)


@pytest.mark.parametrize("raw", [True, False])
def test_both_forms_of_arrays(tmp_path: Path, raw: bool) -> None:
    content = model([node("Add", "x c", "y")], {"x": ["N", 3]}, "y")
    values = [1.5, -2.0, 3.25]
    array = np.array(values, "<f4").tobytes() if raw else values
    content.graph.initializer.append(onnx.helper.make_tensor("c", 1, [3], array, raw=raw))
    x = normal(2, 3)
    result = load_onnx(saved(content, tmp_path))(x)
    np.testing.assert_array_equal(result, x + np.array(values, np.float32))


def test_initializers_among_the_inputs(tmp_path: Path) -> None:
    """Files of old list them there as well."""
    content = model([node("Add", "x c", "y")], {"x": ["N", 3], "c": [3]}, "y", {"c": normal(3)})
    assert list(load_onnx(saved(content, tmp_path)).inputs) == ["x"]


def test_what_no_output_needs_is_left_out(tmp_path: Path) -> None:
    nodes = [node("Relu", "x", "y"), node("Conv", "x w", "unused")]
    content = model(nodes, {"x": ["N", 3, 2, 2]}, "y", {"w": normal(4, 3, 1, 1)})
    assert kinds(saved(content, tmp_path)) == ["input", "clip"]


def test_weights_are_read_when_they_are_asked_for(tmp_path: Path) -> None:
    content = model(
        [node("Conv", "x w", "y")], {"x": ["N", 3, 2, 2]}, "y", {"w": normal(4, 3, 1, 1)}
    )
    network = read_onnx(saved(content, tmp_path))
    (name,) = network.weights
    assert network.weights[name] is not network.weights[name]
    np.testing.assert_array_equal(network.weights[name], network.weights[name])


def test_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(model([node("Relu", "x", "y")], {"x": ["N", 3]}, "y"), tmp_path)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"pip install 'dsconv\[onnx\]'"):
        load_onnx(path)
