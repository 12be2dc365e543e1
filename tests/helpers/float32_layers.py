"""Float32 evaluations of every layer kind, each time in another order and another form.

What `interpret_with_bounds` promises to bound: sums in any order, with fused multiply-adds or
without, batch norms folded into the layer before them, and the usual ways to write a formula.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dsconv import layers
from dsconv.arguments.window import Window
from dsconv.graph import Graph
from dsconv.interpreter.values import between, evaluate
from dsconv.layers import Layer

F = np.float32
Terms = list[tuple[Any, Any]]  # factors of each product
Random = np.random.Generator


def evaluate32(layer: Layer, weights: Any, inputs: Any, random: Random) -> list[np.ndarray]:
    """Evaluate one layer for float32 batches; every operation is rounded to float32."""
    with np.errstate(all="ignore"):
        outputs = _one(layer, weights, *inputs, random)
    outputs = list(outputs) if isinstance(outputs, list) else [outputs]
    assert all(y.dtype == F for y in outputs), layer
    return outputs


def run32(graph: Graph, weights: dict[str, Any], x: tuple[Any, ...], random: Random) -> list[Any]:
    """Evaluate a graph, folding at random batch norms that alone follow a convolution."""
    tensors = dict(zip(graph.inputs, x, strict=True))
    uses = [tensor for node in graph.nodes.values() for tensor in node.inputs]
    folded: dict[str, tuple[Layer, Any, Any]] = {}  # layer, weights and inputs behind a tensor
    for name, node in graph.nodes.items():
        if isinstance(node.layer, layers.Input):
            continue
        own = {p: weights[f"{name}/{p}"] for p in node.layer.parameters(graph.input_shapes(name))}
        layer, inputs = node.layer, [tensors[tensor] for tensor in node.inputs]
        before = node.inputs[0]
        alone = uses.count(before) == 1 and before not in graph.outputs
        if isinstance(layer, layers.BatchNorm) and before in folded and alone and coin(random):
            layer, own, inputs = fold(*folded[before], node.layer, own, random)
        if isinstance(layer, (layers.Conv2D, layers.DepthwiseConv2D, layers.Dense)):
            folded[name] = (layer, own, inputs)
        outputs = evaluate32(layer, own, inputs, random)
        tensors.update(zip(graph.tensors(name), outputs, strict=True))
    return [tensors[tensor] for tensor in graph.outputs]


def fold(
    layer: Any, weights: Any, inputs: Any, norm: Any, statistics: Any, random: Random
) -> tuple[Any, Any, Any]:
    """Fold a batch norm into the convolution or dense layer before it."""
    factor, shift = scale_and_shift(norm, statistics, random)
    weight, bias = weights["weight"], weights.get("bias", F(0))
    depthwise = isinstance(layer, layers.DepthwiseConv2D)
    scaled = weight * (factor.reshape(weight.shape[2:]) if depthwise else factor)
    if coin(random):
        new_bias = bias * factor + shift
    else:
        new_bias = (bias - statistics["mean"]) * factor + statistics["beta"]
    attributes = vars(layer) | {"bias": True}
    return type(layer)(**attributes), {"weight": scaled, "bias": new_bias}, inputs


def scale_and_shift(norm: Any, weights: Any, random: Random) -> tuple[Any, Any]:
    deviation = np.sqrt(weights["variance"] + F(norm.epsilon))
    factor = weights["gamma"] / deviation
    if coin(random):
        factor = weights["gamma"] * (F(1) / deviation)
    return factor, weights["beta"] - weights["mean"] * factor


def coin(random: Random) -> bool:
    return bool(random.random() < 0.5)


def add_up(terms: Terms, random: Random) -> Any:
    """Add products in random order, in one to three partial sums, fused or not."""
    fused, parts = coin(random), [F(0)] * int(random.integers(1, 4))
    for number, k in enumerate(random.permutation(len(terms))):
        a, b = terms[k]
        part = number % len(parts)
        if fused:  # the product of two float32 is exact in float64
            parts[part] = F(np.float64(parts[part]) + np.float64(a) * np.float64(b))
        else:
            parts[part] = parts[part] + a * b
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def patches(x: np.ndarray, window: Window) -> dict[tuple[int, int], np.ndarray]:
    """Return what each tap of the kernel meets at all output pixels: (N, OH, OW, C)."""
    frame = np.pad(x, ((0, 0), (99, 99), (99, 99), (0, 0)))
    found = {}
    for tap in np.ndindex(*window.kernel):
        rows, columns = (
            99 - window.pad[a][0] + tap[a] * window.dilation[a]
            + window.stride[a] * np.arange(window.output[a])
            for a in (0, 1)
        )  # fmt: skip
        found[tap] = frame[:, rows[:, None], columns]
    return found


def _one(layer: Any, weights: Any, *inputs_and_random: Any) -> Any:
    *inputs, random = inputs_and_random
    x = inputs[0]
    match layer:
        case layers.Conv2D() | layers.DepthwiseConv2D() | layers.Dense():
            y = add_up(products(layer, weights, x), random)
            return y if layer.clip is None else np.clip(y, *map(F, layer.clip))
        case layers.BatchNorm():
            factor, shift = scale_and_shift(layer, weights, random)
            if coin(random):
                return x * factor + shift
            return (x - weights["mean"]) * factor + weights["beta"]
        case layers.Add():
            y = x + inputs[1]
            return y if layer.clip is None else np.clip(y, *map(F, layer.clip))
        case layers.Mul():
            a, b = inputs
            if a.ndim != b.ndim:
                a, b = (v if v.ndim == 4 else v[:, None, None] for v in (a, b))
            return a * b
        case layers.AveragePool():
            window = layer.window([x.shape[1:]])
            return mean(list(patches(x, window).values()), counts(layer, window, x), random)
        case layers.GlobalAveragePool():
            pixels = [x[:, i : i + 1, j : j + 1] for i, j in np.ndindex(*x.shape[1:3])]
            y = mean(pixels, F(len(pixels)), random)
            return y if layer.keep_dims else y[:, 0, 0]
        case layers.Resize():
            return resize(layer, x, random)
        case layers.Clip():
            return np.clip(x, F(layer.low), F(layer.high))
        case layers.LeakyReLU():
            return np.where(x < 0, F(layer.slope) * x, x)
        case layers.HardSigmoid():
            return hard_sigmoid(x, random)
        case layers.HardSwish():
            if coin(random):
                return x * np.clip(x + F(3), F(0), F(6)) * F(1 / 6)
            return x * hard_sigmoid(x, random)
        case layers.Sigmoid():
            if coin(random):
                return (F(1) + np.tanh(x / F(2))) * F(0.5)
            return F(1) / (F(1) + np.exp(-x))
        case layers.Softmax():
            powers = np.moveaxis(np.exp(x - x.max(axis=layer.axis % x[0].ndim + 1, keepdims=True)),
                                 layer.axis % x[0].ndim + 1, 0)  # fmt: skip
            total = add_up([(power, F(1)) for power in powers], random)
            y = powers * (F(1) / total) if coin(random) else powers / total
            return np.moveaxis(y, 0, layer.axis % x[0].ndim + 1)
        case layers.LocalResponseNorm():
            return local_response_norm(layer, x, random)
        case layers.L2Normalize():
            squares = [(x[..., c], x[..., c]) for c in range(x.shape[-1])]
            length = np.sqrt(add_up(squares, random) + F(layer.epsilon))[..., None]
            if coin(random):
                return x / length * weights["scale"]
            return x * (weights["scale"] * (F(1) / length))
        case _:  # values move, or the largest wins: nothing is rounded
            outputs = evaluate(layer, weights, *(v.astype(np.float64) for v in inputs))
            return [y.astype(F) for y in outputs]


def products(layer: Any, weights: Any, x: np.ndarray) -> Terms:
    """Return the products and the bias that a convolution or a dense layer adds up."""
    weight = weights["weight"]
    bias: Terms = [(weights["bias"], F(1))] if "bias" in weights else []
    if isinstance(layer, layers.Dense):
        return bias + [(x[:, c, None], weight[c]) for c in range(x.shape[1])]
    taps = patches(x, layer.window([x.shape[1:]])).items()
    if isinstance(layer, layers.DepthwiseConv2D):
        source = np.repeat(np.arange(x.shape[3]), layer.multiplier)
        return bias + [(pixels[..., source], weight[tap].ravel()) for tap, pixels in taps]
    depth, filters = weight.shape[2:]
    group = np.arange(filters) // (filters // layer.groups)
    return bias + [
        (pixels[..., group * depth + c], weight[tap][c])
        for tap, pixels in taps
        for c in range(depth)
    ]


def counts(layer: Any, window: Window, x: np.ndarray) -> np.ndarray:
    """Count the pixels in each window of an average pooling: (1, OH, OW, 1)."""
    counted = np.ones((1, *x.shape[1:3], 1), F)
    if layer.count_padding:
        counted = np.pad(counted, ((0, 0), *window.pad, (0, 0)), constant_values=1)
        window = window._replace(pad=((0, 0), (0, 0)))
    return np.sum(list(patches(counted, window).values()), axis=0, dtype=F)


def mean(values: list[np.ndarray], count: Any, random: Random) -> Any:
    total = add_up([(value, F(1)) for value in values], random)
    return total / count if coin(random) else total * (F(1) / count)


def resize(layer: Any, x: np.ndarray, random: Random) -> Any:
    (top, bottom, down), (left, right, along) = (
        between(x.shape[1 + axis], size, layer.mode)
        for axis, size in enumerate((layer.height, layer.width))
    )
    down, along = down.astype(F).reshape(-1, 1, 1), along.astype(F).reshape(-1, 1)
    if coin(random):  # both axes at once
        terms = [
            (x[:, rows[:, None], columns], a * b)
            for rows, a in ((top, F(1) - down), (bottom, down))
            for columns, b in ((left, F(1) - along), (right, along))
        ]
        return add_up(terms, random)

    def mix(a: np.ndarray, b: np.ndarray, f: np.ndarray) -> np.ndarray:
        return a + f * (b - a) if coin(random) else a * (F(1) - f) + b * f

    if coin(random):
        between_rows = mix(x[:, top], x[:, bottom], down)
        return mix(between_rows[:, :, left], between_rows[:, :, right], along)
    between_columns = mix(x[:, :, left], x[:, :, right], along)
    return mix(between_columns[:, top], between_columns[:, bottom], down)


def hard_sigmoid(x: np.ndarray, random: Random) -> Any:
    if coin(random):
        return np.clip(x * F(1 / 6) + F(0.5), F(0), F(1))
    clipped = np.clip(x + F(3), F(0), F(6))
    return clipped / F(6) if coin(random) else clipped * F(1 / 6)


def local_response_norm(layer: Any, x: np.ndarray, random: Random) -> Any:
    channels = x.shape[3]
    sums = np.stack(
        [
            add_up(
                [(x[..., k], x[..., k]) for k in range(channels) if abs(k - c) <= layer.size // 2],
                random,
            )
            for c in range(channels)
        ],
        axis=-1,
    )
    d = F(layer.bias) + F(layer.alpha) * sums
    form = random.integers(3)
    if form == 0:
        return x / d ** F(layer.beta)
    if form == 1 and layer.beta == 0.75:
        root = np.sqrt(d)
        return x / (root * np.sqrt(root))
    return x * np.exp(F(-layer.beta) * np.log(d))
