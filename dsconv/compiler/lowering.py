"""Lowering: an optimised graph becomes packed weights and steps for the kernels."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Protocol

import numpy as np

from dsconv import _dispatch, _steps, layers
from dsconv._geometry import window
from dsconv.compiler.fused import Fused, Stage
from dsconv.compiler.layout import VIEWS, Layout, Place
from dsconv.graph import Graph, Node
from dsconv.layers import Shape
from dsconv.packing import Block, PackedWeight, pack_named, packed_floats, round_up

Map = tuple[int, int, int]


class Weights(Protocol):
    """What lowering asks for: `dsconv.compiler.parameters.Parameters`, or a stored copy."""

    def read(self, name: str) -> np.ndarray: ...
    def stage(self, stage: Stage) -> tuple[np.ndarray, np.ndarray | None]: ...
    def norm(self, name: str, epsilon: float) -> tuple[np.ndarray, np.ndarray]: ...


@dataclass
class Record:
    """What a profile says of one layer of the optimised graph."""

    name: str
    kind: str
    mult_adds: int
    parameters: int  # kernel weights
    steps: int  # how many steps it became


@dataclass
class Lowered:
    """A graph ready to run on one instruction set."""

    graph: Graph  # optimised
    kernels: ModuleType
    layout: Layout
    block: Block  # memory of the packed weights
    steps: list[Any] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    packed: dict[str, tuple[PackedWeight, np.ndarray | None]] = field(default_factory=dict)
    norms: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)  # not folded
    plain: dict[str, np.ndarray] = field(default_factory=dict)  # learned scales


def lower(graph: Graph, weights: Weights) -> Lowered:
    """Plan memory, pack weights layer by layer and emit the steps."""
    lowered = Lowered(graph, _dispatch.kernels, Layout(graph), Block(_weight_floats(graph)))
    for node in graph.nodes.values():
        if isinstance(node.layer, (layers.Input, *VIEWS)):
            continue
        emit = _Emitter(lowered, node, weights)
        steps = _EMIT[type(node.layer)](emit)
        lowered.steps += steps
        shapes = graph.input_shapes(node.name)
        count = node.layer.weights(shapes) if isinstance(node.layer, Fused) else 0
        lowered.records.append(
            Record(node.name, node.layer.label, node.layer.mult_adds(shapes), count, len(steps))
        )
    for source, output in lowered.layout.copies:
        size = lowered.layout.size(source)
        place = lowered.layout.place(source), lowered.layout.output_place(output)
        lowered.steps.append(_copy(lowered.kernels, size, size, *place, (size,), (1,), (1,)))
        lowered.records.append(Record(output, "copy", 0, 0, 1))
    return lowered


def _weight_floats(graph: Graph) -> int:
    """Room for all packed weights of a graph, each from a cache line on."""
    total = 0
    for node in graph.nodes.values():
        if isinstance(node.layer, Fused):
            chain = node.layer.shapes(graph.input_shapes(node.name))
            for stage, shape in zip(node.layer.stages, chain, strict=False):
                weight = stage.layer.parameters([shape])["weight"]
                groups = getattr(stage.layer, "groups", 1)
                total += round_up(packed_floats(weight, _kind(stage), groups), 16)
    return total


def _kind(stage: Stage) -> str:
    """The kind of packed weight that a stage's kernel reads."""
    if isinstance(stage.layer, layers.DepthwiseConv2D):
        return "depthwise"
    return "dense" if isinstance(stage.layer, layers.Dense) else "conv2d"


class _Emitter:
    """What the emission of one node's steps looks at."""

    def __init__(self, lowered: Lowered, node: Node, weights: Weights) -> None:
        graph, layout = lowered.graph, lowered.layout
        self.kernels, self.node, self.layer = lowered.kernels, node, node.layer
        self.shapes = graph.input_shapes(node.name)
        self.inputs = [layout.place(tensor) for tensor in node.inputs]
        self.outputs = [layout.place(tensor) for tensor in graph.tensors(node.name)]
        self.output_shapes = [graph.shape(tensor) for tensor in graph.tensors(node.name)]
        self._lowered, self._weights = lowered, weights

    def stage(self, stage: Stage) -> tuple[Any, np.ndarray | None]:
        """Packed weight and bias of a stage; the raw array is dropped."""
        weight, bias = self._weights.stage(stage)
        groups = getattr(stage.layer, "groups", 1)
        packed = pack_named(
            weight, f"{stage.name}/weight", _kind(stage), groups, self._lowered.block
        )
        self._lowered.packed[stage.name] = packed, None if bias is None else bias.copy()
        return packed.data, bias

    def norm(self, name: str, epsilon: float) -> tuple[np.ndarray, np.ndarray]:
        factor, shift = self._weights.norm(name, epsilon)
        self._lowered.norms[name] = factor, shift
        return factor.astype(np.float32), shift.astype(np.float32)

    def read(self, name: str) -> np.ndarray:
        array = self._lowered.plain[name] = self._weights.read(name).copy()
        return array

    def step(self, op: str, **fields: Any) -> Any:
        """A step from the first input (and the second, if any) to the first output."""
        geometry = _steps.geometry(as_map(self.shapes[0]), as_map(self.output_shapes[0]), **fields)
        residual = self.inputs[1] if len(self.inputs) > 1 else None
        return self.kernels.Step(op, geometry, self.inputs[0], self.outputs[0], residual)


def as_map(shape: Shape) -> Map:
    """Any shape as (H, W, C) with the same last axis."""
    return (1, math.prod(shape[:-1]), shape[-1]) if len(shape) != 3 else tuple(shape)  # type: ignore


def _bounds(clip: tuple[float, float] | None) -> tuple[float, float]:
    return _steps.UNBOUNDED if clip is None else clip


def _fused(emit: _Emitter) -> list[Any]:
    """A chain of stages is one step, whichever kernel it takes."""
    layer: Fused = emit.layer  # type: ignore[assignment]
    chain = layer.shapes(emit.shapes)
    x, y = emit.inputs[0], emit.outputs[0]
    residual = emit.inputs[1] if layer.residual else None
    last, bounds = layer.last, _bounds(layer.last.layer.clip)
    if len(layer.stages) == 1:
        if isinstance(last.layer, layers.DepthwiseConv2D):
            place = last.layer.window([chain[0]])
            data = emit.stage(last)
            return [
                _steps.depthwise(
                    emit.kernels,
                    as_map(chain[0]),
                    place,
                    last.layer.multiplier,
                    *data,
                    bounds,
                    x,
                    y,
                )
            ]
        if isinstance(last.layer, layers.Dense):
            place, shape, groups = window((1, 1), 1), (1, 1, chain[0][0]), 1
        else:
            place, shape = last.layer.window([chain[0]]), as_map(chain[0])
            groups = last.layer.groups
        data = emit.stage(last)
        channels = chain[-1][-1]
        return [
            _steps.conv2d(
                emit.kernels, shape, place, channels, groups, *data, bounds, x, y, residual
            )
        ]
    depthwise = layer.stages[-2].layer
    assert isinstance(depthwise, layers.DepthwiseConv2D)
    middle, weights = _bounds(depthwise.clip), emit.stage(layer.stages[-2])
    projection = emit.stage(last)
    place, channels = depthwise.window([chain[-3]]), chain[-1][2]
    if len(layer.stages) == 2:
        return [
            _steps.separable(
                emit.kernels,
                as_map(chain[0]),
                place,
                depthwise.multiplier,
                channels,
                *weights,
                *projection,
                middle,
                bounds,
                x,
                y,
                residual,
            )  # fmt: skip
        ]
    expand = layer.stages[0]
    return [
        _steps.inverted_residual(
            emit.kernels,
            as_map(chain[0]),
            place,
            chain[1][2],
            channels,
            *emit.stage(expand),
            *weights,
            *projection,
            _bounds(expand.layer.clip),
            middle,
            bounds,
            x,
            y,
            residual,
        )  # fmt: skip
    ]


def _elementwise(op: str, **fields: Any) -> Callable[[_Emitter], list[Any]]:
    """A layer that one kernel runs with a few numbers from its attributes."""

    def emit_step(emit: _Emitter) -> list[Any]:
        values = {k: v(emit.layer) if callable(v) else v for k, v in fields.items()}
        return [emit.step(op, **values)]

    return emit_step


def _activation(mode: str) -> Callable[[_Emitter], list[Any]]:
    def emit_step(emit: _Emitter) -> list[Any]:
        layer = vars(emit.layer)
        bounds = layer.get("low", -math.inf), layer.get("high", math.inf)
        code = emit.kernels.MODES[mode]
        return [emit.step("activation", mode=code, alpha=layer.get("slope", 0.0), bounds=bounds)]

    return emit_step


def _batch_norm(emit: _Emitter) -> list[Any]:
    data = emit.norm(emit.node.name, vars(emit.layer)["epsilon"])
    return [
        _steps.scale(
            emit.kernels, as_map(emit.shapes[0]), *data, x=emit.inputs[0], y=emit.outputs[0]
        )
    ]


def _l2(emit: _Emitter) -> list[Any]:
    geometry = _steps.geometry(
        as_map(emit.shapes[0]), as_map(emit.shapes[0]), alpha=vars(emit.layer)["epsilon"]
    )
    weights = {"weight": emit.read(f"{emit.node.name}/scale")}
    return [emit.kernels.Step("l2", geometry, emit.inputs[0], emit.outputs[0], None, weights)]


def _mul(emit: _Emitter) -> list[Any]:
    """The map first; a vector is used again for every pixel."""
    (a, b), (first, second) = emit.shapes, emit.inputs
    if math.prod(a) < math.prod(b):
        (a, b), (first, second) = (b, a), (second, first)
    geometry = _steps.geometry(as_map(a), as_map(a), mode=int(math.prod(a) != math.prod(b)))
    return [emit.kernels.Step("mul", geometry, first, emit.outputs[0], second)]


def _pool(op: str) -> Callable[[_Emitter], list[Any]]:
    def emit_step(emit: _Emitter) -> list[Any]:
        layer: layers.AveragePool | layers.MaxPool = emit.layer  # type: ignore[assignment]
        mode = int(getattr(layer, "count_padding", False))
        return [emit.step(op, window=layer.window(emit.shapes), mode=mode)]

    return emit_step


def _softmax(emit: _Emitter) -> list[Any]:
    shape = emit.shapes[0]
    axis = vars(emit.layer)["axis"] % len(shape)
    folded = math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])
    geometry = _steps.geometry(folded, folded)
    return [emit.kernels.Step("softmax", geometry, emit.inputs[0], emit.outputs[0])]


def _copy(
    kernels: ModuleType, size: int, out_size: int, x: Place, y: Place,
    sizes: Sequence[int], strides: Sequence[int], to: Sequence[int], shift: int = 0, to_shift: int = 0,
) -> Any:  # fmt: skip
    """y[i . to + to_shift] = x[i . strides + shift] for all i < sizes; at most five axes."""
    fill = 5 - len(sizes)
    if fill and len(sizes) > 1:  # the first axis is shared among threads, the last is a run
        middle = (1,) * fill, (0,) * fill
        sizes, strides, to = (
            (*axes[:1], *middle[i], *axes[1:]) for axes, i in ((sizes, 0), (strides, 1), (to, 1))
        )
    elif fill:
        sizes, strides, to = (
            (1,) * 4 + tuple(sizes),
            (0,) * 4 + tuple(strides),
            (0,) * 4 + tuple(to),
        )
    layout = tuple(sizes), tuple(strides), tuple(to), shift, to_shift
    return kernels.Step(
        "copy", _steps.geometry((1, 1, size), (1, 1, out_size)), x, y, None, None, layout
    )


def _joined(emit: _Emitter, whole: Shape, parts: Sequence[Shape], split: bool) -> list[Any]:
    """Concat and split: each part is a run of every row of the whole."""
    axis = vars(emit.layer)["axis"] % len(whole)
    outer, row = math.prod(whole[:axis]), math.prod(whole[axis:])
    steps, start = [], 0
    for index, part in enumerate(parts):
        run, size = math.prod(part[axis:]), math.prod(part)
        total = math.prod(whole)
        if split:
            sides = total, size, emit.inputs[0], emit.outputs[index]
            step = _copy(emit.kernels, *sides, (outer, run), (row, 1), (run, 1), shift=start)
        else:
            sides = size, total, emit.inputs[index], emit.outputs[0]
            step = _copy(emit.kernels, *sides, (outer, run), (run, 1), (row, 1), to_shift=start)
        steps.append(step)
        start += run
    return steps


def _concat(emit: _Emitter) -> list[Any]:
    return _joined(emit, emit.output_shapes[0], emit.shapes, split=False)


def _split(emit: _Emitter) -> list[Any]:
    return _joined(emit, emit.shapes[0], emit.output_shapes, split=True)


def _move(
    emit: _Emitter,
    sizes: Sequence[int],
    strides: Sequence[int],
    to: Sequence[int],
    to_shift: int = 0,
) -> Any:
    totals = math.prod(emit.shapes[0]), math.prod(emit.output_shapes[0])
    return _copy(
        emit.kernels, *totals, emit.inputs[0], emit.outputs[0], sizes, strides, to, 0, to_shift
    )


def _channel_shuffle(emit: _Emitter) -> list[Any]:
    height, width, channels = emit.shapes[0]
    groups = vars(emit.layer)["groups"]
    each = channels // groups
    return [_move(emit, (height * width, each, groups), (channels, 1, each), (channels, groups, 1))]


def _space_to_depth(emit: _Emitter) -> list[Any]:
    _, width, channels = emit.shapes[0]
    rows, columns, deep = emit.output_shapes[0]
    block = vars(emit.layer)["block"]
    run = block * channels
    strides = block * width * channels, run, width * channels, 1
    return [_move(emit, (rows, columns, block, run), strides, (columns * deep, deep, run, 1))]


def _transpose(emit: _Emitter) -> list[Any]:
    """One copy for every index of the axes beyond five."""
    permutation, out = vars(emit.layer)["permutation"], emit.output_shapes[0]
    strides = [math.prod(emit.shapes[0][i + 1 :]) for i in permutation]
    to = [math.prod(out[i + 1 :]) for i in range(len(out))]
    total, extra = math.prod(out), max(len(out) - 5, 0)
    steps = []
    for index in np.ndindex(*out[:extra]):
        shift, to_shift = (
            sum(i * stride for i, stride in zip(index, s, strict=False)) for s in (strides, to)
        )
        axes = out[extra:], strides[extra:], to[extra:]
        places = emit.inputs[0], emit.outputs[0]
        steps.append(_copy(emit.kernels, total, total, *places, *axes, shift, to_shift))
    return steps


def _pad(emit: _Emitter) -> list[Any]:
    height, width, channels = emit.shapes[0]
    (top, _), (left, _) = emit.layer.pixels  # type: ignore[attr-defined]
    row = emit.output_shapes[0][1] * channels
    run = width * channels
    copy = _move(emit, (height, run), (run, 1), (row, 1), top * row + left * channels)
    return [emit.step("zero"), copy]


_EMIT: dict[type[layers.Layer], Callable[[_Emitter], list[Any]]] = {
    Fused: _fused,
    layers.Add: _elementwise("add", bounds=lambda layer: _bounds(layer.clip)),
    layers.Mul: _mul,
    layers.BatchNorm: _batch_norm,
    layers.L2Normalize: _l2,
    layers.LocalResponseNorm: _elementwise(
        "local_response",
        mode=lambda layer: layer.size,
        alpha=lambda layer: layer.alpha,
        beta=lambda layer: layer.beta,
        gamma=lambda layer: layer.bias,
    ),
    layers.Clip: _activation("clip"),
    layers.LeakyReLU: _activation("leaky_relu"),
    layers.HardSigmoid: _activation("hard_sigmoid"),
    layers.HardSwish: _activation("hard_swish"),
    layers.Sigmoid: _activation("sigmoid"),
    layers.Softmax: _softmax,
    layers.MaxPool: _pool("max_pool"),
    layers.AveragePool: _pool("average_pool"),
    layers.GlobalAveragePool: _elementwise("global_average"),
    layers.Resize: _elementwise("resize", mode=lambda layer: int(layer.mode == "half_pixel")),
    layers.Concat: _concat,
    layers.Split: _split,
    layers.ChannelShuffle: _channel_shuffle,
    layers.SpaceToDepth: _space_to_depth,
    layers.Transpose: _transpose,
    layers.Pad: _pad,
}
