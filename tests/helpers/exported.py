"""Run an exported file in another engine, and compare it with the interpreter layer by layer.

Every tensor of the graph becomes an output of the file. Each layer is compared with the
interpretation of exactly the inputs that it had, so that the bound of one layer applies: a bound
for the whole network would be too wide to tell anything.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
from bounds import UNIT_ROUNDOFF, Tensor, evaluate_with_bounds, gamma
from tolerance import assert_close

from dsconv.graph import Graph
from dsconv.layers import Input, Layer, LocalResponseNorm, Resize
from dsconv.onnx.writing.export import to_onnx

Tensors = dict[str, np.ndarray]
Arrays = tuple[np.ndarray, ...]
Engine = Callable[[bytes, Tensors], list[np.ndarray]]


def assert_exports(
    graph: Graph,
    weights: Mapping[str, np.ndarray],
    x: Arrays,
    engine: Engine,
    batch: int | None = None,
    most: float = math.inf,
) -> Tensors:
    """Check that the file is valid and each layer computes what ours means; return all tensors.

    Layers of more than `most` mult-adds run, but are not compared.
    """
    model = to_onnx(graph, weights, batch=batch)
    assert [value.name for value in model.graph.output] == list(graph.outputs)
    model.graph.output.extend(model.graph.value_info)
    del model.graph.value_info[:]
    tensors = dict(zip(graph.inputs, x, strict=True)) | run(model, x, engine)
    for name, node in graph.nodes.items():
        layer_mult_adds = node.layer.mult_adds(graph.input_shapes(name))
        if isinstance(node.layer, Input) or layer_mult_adds > most:
            continue
        own = {
            parameter: weights[f"{name}/{parameter}"].astype(np.float64)
            for parameter in node.layer.parameters(graph.input_shapes(name))
        }
        inputs = [exact(tensors[tensor]) for tensor in node.inputs]
        expected = evaluate_with_bounds(node.layer, own, *inputs)
        for tensor, (value, bound, _) in zip(graph.tensors(name), expected, strict=True):
            allowed = bound + slack(node.layer, inputs[0].value, value)
            try:
                assert_close(tensors[tensor], value, allowed)
            except AssertionError as error:
                raise AssertionError(f"{tensor} ({node.layer!r}): {error}") from None
    return tensors


def run(model: onnx.ModelProto, x: Arrays, engine: Engine) -> Tensors:
    """Check a file, run it, and return its outputs by name, in our layout."""
    content = model.SerializeToString()
    onnx.checker.check_model(content, full_check=True)
    names = [value.name for value in model.graph.input]
    feed = {name: channels_first(array) for name, array in zip(names, x, strict=True)}
    results = map(channels_last, engine(content, feed))
    return dict(zip((value.name for value in model.graph.output), results, strict=True))


def exact(x: np.ndarray) -> Tensor:
    return Tensor(x.astype(np.float64), np.zeros(x.shape))


def slack(layer: Layer, x: np.ndarray, y: np.ndarray) -> np.ndarray | float:
    """Bound the rounding errors of other engines that our kernels do not make.

    Resize: they take each position in float32, so it is off by at most four roundings of a number
    up to size + 1 (half a pixel, the scale, the quotient, half a pixel), and the result by as many
    times the largest step between two pixels, on each axis.
    Local response norm: they may slide the sum of squares along the channels, which takes two
    additions for each channel; d = bias + alpha * sum is off by them, and y by beta / d of that.
    """
    if isinstance(layer, Resize):
        positions = 4 * UNIT_ROUNDOFF * (x.shape[1] + x.shape[2] + 2)
        return 2 * np.abs(x).max() * positions
    if isinstance(layer, LocalResponseNorm):
        squares = (x**2).sum(axis=-1, keepdims=True)
        error = gamma(2 * x.shape[-1] + 4) * (layer.bias + layer.alpha * squares)
        return np.abs(y) * np.expm1(layer.beta * error / (layer.bias - error))
    return 0.0


def channels_first(x: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2)) if x.ndim == 4 else x


def channels_last(x: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1)) if x.ndim == 4 else x


def onnxruntime(content: bytes, feed: Tensors) -> list[np.ndarray]:
    """Run on one thread, without optimisations."""
    return session(content, optimised=False).run(None, feed)


def session(content: bytes, optimised: bool = True) -> Any:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    if not optimised:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def reference(content: bytes, feed: Tensors) -> list[np.ndarray]:
    """Run by the onnx package's own evaluation in numpy."""
    from onnx.reference import ReferenceEvaluator

    return ReferenceEvaluator(onnx.load_from_string(content)).run(None, feed)
