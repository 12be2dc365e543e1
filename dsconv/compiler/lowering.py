"""Lowering: an optimised graph becomes packed weights and steps for the kernels."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, NamedTuple, Protocol

import numpy as np

from dsconv import layers
from dsconv.arguments.window import window
from dsconv.compiler.executable import MOST_STEPS
from dsconv.compiler.fused import Fused, Stage
from dsconv.compiler.layout import VIEWS, Layout
from dsconv.compiler.packings import Packing, packings_of
from dsconv.compiler.rearranging import (
    broadcast,
    channel_shuffle,
    concat,
    copy_step,
    pad,
    slice_axes,
    space_to_depth,
    split,
    transpose,
)
from dsconv.kernels import dispatch
from dsconv.kernels import steps as kernel_steps
from dsconv.kernels.memory import Block
from dsconv.kernels.packing import PackedWeight, round_up
from dsconv.layers import Shape
from dsconv.network.structure import Node, Structure

Map = tuple[int, int, int]
Packings = Mapping[str, Packing]


class Weights(Protocol):
    """What lowering asks for: `Parameters` of a graph, or what `stored` has of a compiled one."""

    def packed(
        self, stage: Stage, packing: Packing, block: Block
    ) -> tuple[PackedWeight, np.ndarray | None]: ...
    def norm(self, name: str, epsilon: float) -> tuple[np.ndarray, np.ndarray]: ...
    def read(self, name: str) -> np.ndarray: ...


class Record(NamedTuple):
    """What a profile says of one layer of the optimised graph."""

    name: str
    kind: str
    mult_adds: int
    parameters: int  # kernel weights
    steps: int  # how many steps it became


class Lowered:
    """A graph ready to run on one instruction set."""

    def __init__(self, graph: Structure, kernels: ModuleType, packings: Packings) -> None:
        self.graph, self.kernels = graph, kernels  # the graph is optimised
        self.packings = packings  # by name of the stage
        self.layout = Layout(graph)
        widths = kernels.lanes, kernels.block
        floats = sum(round_up(packing.floats(widths), 16) for packing in packings.values())
        self.block = Block(floats)  # memory of the packed weights, each from a cache line on
        self.steps: list[Any] = []
        self.records: list[Record] = []
        # Called before the weights are touched: raises ValueError if they are no longer there.
        self.check: Callable[[], None] = _always_there

    @property
    def inputs(self) -> dict[str, Shape]:
        """Shapes by tensor name, without the batch."""
        return {name: self.graph.shape(name) for name in self.graph.inputs}

    @property
    def outputs(self) -> dict[str, Shape]:
        """Shapes by tensor name, without the batch."""
        return {name: self.graph.shape(name) for name in self.graph.outputs}

    @property
    def unshared(self) -> int:
        """Floats of the arena for each image if no two tensors shared memory."""
        return self.layout.unshared

    @property
    def mult_adds(self) -> int:
        """Of all layers, for each image."""
        return sum(record.mult_adds for record in self.records)

    @property
    def lowered(self) -> Lowered:
        """Itself: see `Runnable`."""
        return self


def _always_there() -> None:
    """Weights in memory of their own."""


def lower(graph: Structure, weights: Weights, packings: Packings | None = None) -> Lowered:
    """Plan memory, pack weights layer by layer and emit the steps.

    Parameters
    ----------
    graph
        An optimised graph.
    weights
        Where to get them.
    packings
        `packings_of(graph)`, perhaps with tiles of Winograd's algorithm.

    Raises
    ------
    ValueError
        If there are more than 2^16 steps, as only copies of maps with many axes make.
    """
    lowered = Lowered(graph, dispatch.kernels, packings or packings_of(graph))
    for node in graph.nodes.values():
        if isinstance(node.layer, (layers.Input, *VIEWS)):
            continue
        emit = Emitter(lowered, node, weights)
        steps = _EMIT[type(node.layer)](emit)
        lowered.steps += steps
        if len(lowered.steps) + len(lowered.layout.copies) > MOST_STEPS:
            raise ValueError(f"layer {node.name!r}: the graph takes more than {MOST_STEPS} steps")
        shapes = graph.input_shapes(node.name)
        count = node.layer.weights(shapes) if isinstance(node.layer, Fused) else 0
        lowered.records.append(
            Record(node.name, node.layer.label, node.layer.mult_adds(shapes), count, len(steps))
        )
    for source, output in lowered.layout.copies:
        size = lowered.layout.size(source)
        place = lowered.layout.place(source), lowered.layout.output_place(output)
        lowered.steps.append(copy_step(lowered.kernels, size, size, *place, (size,), (1,), (1,)))
        lowered.records.append(Record(output, "copy", 0, 0, 1))
    return lowered


class Emitter:
    """What the emission of one node's steps looks at."""

    def __init__(self, lowered: Lowered, node: Node, weights: Weights) -> None:
        graph, layout = lowered.graph, lowered.layout
        self.kernels, self.node, self.layer = lowered.kernels, node, node.layer
        self.shapes = graph.input_shapes(node.name)
        self.inputs = [layout.place(tensor) for tensor in node.inputs]
        self.outputs = [layout.place(tensor) for tensor in graph.tensors(node.name)]
        self.output_shapes = [graph.shape(tensor) for tensor in graph.tensors(node.name)]
        self._lowered, self._weights = lowered, weights

    def stage(self, stage: Stage) -> kernel_steps.Convolution:
        """Return packed weight, bias and clamp of a stage."""
        packing = self._lowered.packings[stage.name]
        packed, bias = self._weights.packed(stage, packing, self._lowered.block)
        return kernel_steps.Convolution(packed, bias, _bounds(stage.layer.clip))

    def norm(self, name: str, epsilon: float) -> tuple[np.ndarray, np.ndarray]:
        factor, shift = self._weights.norm(name, epsilon)
        return factor.astype(np.float32), shift.astype(np.float32)

    def read(self, name: str) -> np.ndarray:
        return self._weights.read(name).copy()

    def step(self, op: str, **fields: Any) -> Any:
        """A step from the first input (and the second, if any) to the first output."""
        geometry = kernel_steps.geometry(
            as_map(self.shapes[0]), as_map(self.output_shapes[0]), **fields
        )
        residual = self.inputs[1] if len(self.inputs) > 1 else None
        return self.kernels.Step(op, geometry, self.inputs[0], self.outputs[0], residual)


def as_map(shape: Shape) -> Map:
    """Any shape as (H, W, C) with the same last axis."""
    return (1, math.prod(shape[:-1]), shape[-1]) if len(shape) != 3 else tuple(shape)  # type: ignore


def _bounds(clip: tuple[float, float] | None) -> tuple[float, float]:
    return kernel_steps.UNBOUNDED if clip is None else clip


def _fused(emit: Emitter) -> list[Any]:
    """Return the one step of a chain of stages."""
    layer: Fused = emit.layer  # type: ignore[assignment]
    first = len(layer.stages) - len(layer.stages[-2:])  # the depthwise stage, or the only one
    sliding, shapes = layer.stages[first].layer, layer.shapes(emit.shapes)
    if isinstance(sliding, layers.Dense):
        shape, place = (1, 1, math.prod(shapes[0])), window((1, 1), 1)
    else:
        shape, place = as_map(shapes[0]), sliding.window([shapes[first]])
    step = kernel_steps.convolve(
        emit.kernels, shape, place, *map(emit.stage, layer.stages),
        x=emit.inputs[0], y=emit.outputs[0], residual=emit.inputs[1] if layer.residual else None,
    )  # fmt: skip
    return [step]


def _elementwise(op: str, **fields: Any) -> Callable[[Emitter], list[Any]]:
    """A layer that one kernel runs with a few numbers from its attributes."""

    def emit_step(emit: Emitter) -> list[Any]:
        values = {k: v(emit.layer) if callable(v) else v for k, v in fields.items()}
        return [emit.step(op, **values)]

    return emit_step


def _activation(mode: str) -> Callable[[Emitter], list[Any]]:
    def emit_step(emit: Emitter) -> list[Any]:
        layer = vars(emit.layer)
        bounds = layer.get("low", -math.inf), layer.get("high", math.inf)
        code = emit.kernels.MODES[mode]
        return [emit.step("activation", mode=code, alpha=layer.get("slope", 0.0), bounds=bounds)]

    return emit_step


def _batch_norm(emit: Emitter) -> list[Any]:
    data = emit.norm(emit.node.name, vars(emit.layer)["epsilon"])
    return [
        kernel_steps.scale(
            emit.kernels, as_map(emit.shapes[0]), *data, x=emit.inputs[0], y=emit.outputs[0]
        )
    ]


def _l2(emit: Emitter) -> list[Any]:
    geometry = kernel_steps.geometry(
        as_map(emit.shapes[0]), as_map(emit.shapes[0]), alpha=vars(emit.layer)["epsilon"]
    )
    weights = {"weight": emit.read(f"{emit.node.name}/scale")}
    return [emit.kernels.Step("l2", geometry, emit.inputs[0], emit.outputs[0], None, weights)]


def _mul(emit: Emitter) -> list[Any]:
    """The map first; a vector is used again for every pixel."""
    (a, b), (first, second) = emit.shapes, emit.inputs
    if math.prod(a) < math.prod(b):
        (a, b), (first, second) = (b, a), (second, first)
    geometry = kernel_steps.geometry(as_map(a), as_map(a), mode=int(math.prod(a) != math.prod(b)))
    return [emit.kernels.Step("mul", geometry, first, emit.outputs[0], second)]


def _pool(op: str) -> Callable[[Emitter], list[Any]]:
    def emit_step(emit: Emitter) -> list[Any]:
        layer: layers.AveragePool | layers.MaxPool = emit.layer  # type: ignore[assignment]
        mode = int(getattr(layer, "count_padding", False))
        return [emit.step(op, window=layer.window(emit.shapes), mode=mode)]

    return emit_step


def _softmax(emit: Emitter) -> list[Any]:
    shape = emit.shapes[0]
    axis = vars(emit.layer)["axis"] % len(shape)
    folded = math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])
    geometry = kernel_steps.geometry(folded, folded)
    return [emit.kernels.Step("softmax", geometry, emit.inputs[0], emit.outputs[0])]


_EMIT: dict[type[layers.Layer], Callable[[Emitter], list[Any]]] = {
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
    layers.Concat: concat,
    layers.Split: split,
    layers.ChannelShuffle: channel_shuffle,
    layers.SpaceToDepth: space_to_depth,
    layers.Transpose: transpose,
    layers.Slice: slice_axes,
    layers.Broadcast: broadcast,
    layers.Pad: pad,
}
