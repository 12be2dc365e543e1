"""Lower a graph that the passes have optimised: plan memory, plan steps, pack the weights.

    graph -> places of its tensors -> plans of steps, layer by layer -> packed weights -> program

`lower`, the main function, goes this way. `_PLAN` has a function for each layer kind: most plan one
step, layers that only move numbers may plan several, and inputs and views need none.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from dsconv import layers
from dsconv.arguments.window import every_pixel
from dsconv.compiler import copies
from dsconv.compiler.fused import Fused, Stage, Weighted
from dsconv.compiler.node import PlacedNode, as_map
from dsconv.compiler.places import VIEWS, Places
from dsconv.compiler.weights import FoldedWeights
from dsconv.kernels import dispatch
from dsconv.kernels.named_program import Features, LayerLine, NamedProgram
from dsconv.kernels.packed_weight import packing_of
from dsconv.kernels.packing import Packing
from dsconv.kernels.plans import StepPlan, copy_plan, pack_steps
from dsconv.kernels.steps import UNBOUNDED, convolution_step
from dsconv.kernels.winograd import best_tile, transform
from dsconv.layers import Shape
from dsconv.network.structure import Structure

MOST_STEPS = 1 << 16  # of a model

Plan = Callable[[PlacedNode], list[StepPlan]]


def lower(graph: Structure, weights: FoldedWeights, *, winograd: bool = False) -> NamedProgram:
    """Make the program that computes a graph, for the instruction set in use.

    Parameters
    ----------
    graph
        An optimised graph.
    weights
        Its weights, read and folded when they are packed, one step at a time.
    winograd
        Use Winograd's algorithm for the convolutions where it pays.

    Raises
    ------
    ValueError
        If there are more than 2^16 steps, as only copies of maps with many axes make.
    """
    places = Places(graph)
    plans: list[StepPlan] = []
    lines: list[LayerLine] = []
    ends: dict[str, int] = {}  # steps up to the layer and with it, by layer
    for node in graph.nodes.values():
        if isinstance(node.layer, (layers.Input, *VIEWS)):
            continue
        own = _PLAN[type(node.layer)](PlacedNode(graph, places, node, weights, winograd))
        plans += own
        if len(plans) + len(places.copies) > MOST_STEPS:
            raise ValueError(f"layer {node.name!r}: the graph takes more than {MOST_STEPS} steps")
        ends[node.name] = len(plans)
        lines.append(_line(graph, node.name, len(own)))
    for source, output in places.copies:
        to = places.output_place(output)
        plans.append(copy_plan(places.size(source), places.place(source), to))
        lines.append(LayerLine(output, "copy", 0, 1))
    steps, floats = pack_steps(dispatch.kernels, plans)
    return NamedProgram(
        dispatch.kernels,
        steps,
        floats,
        {name: graph.shape(name) for name in graph.inputs},
        {name: graph.shape(name) for name in graph.outputs},
        lines,
        _features(graph, places, ends),
        places.unshared,
    )


def _line(graph: Structure, name: str, steps: int) -> LayerLine:
    layer, shapes = graph.nodes[name].layer, graph.input_shapes(name)
    parameters = layer.weights(shapes) if isinstance(layer, Fused) else 0
    return LayerLine(name, layer.label, parameters, steps)


def _features(graph: Structure, places: Places, ends: dict[str, int]) -> Features | None:
    """Return where the input of the last fully connected layer is, if the graph ends in one."""
    if len(graph.outputs) > 1:
        return None
    node = graph.nodes[graph.outputs[0].partition(":")[0]]
    while isinstance(node.layer, (layers.Softmax, layers.Flatten, layers.Reshape)):
        node = graph.nodes[node.inputs[0].partition(":")[0]]
    if not (isinstance(node.layer, Fused) and isinstance(node.layer.last.layer, layers.Dense)):
        return None
    tensor = node.inputs[0]
    before = ends[node.name] - 1  # a fully connected layer is one step
    return Features(before, places.place(tensor), graph.shape(tensor))


def _bounds(clip: tuple[float, float] | None) -> tuple[float, float]:
    return UNBOUNDED if clip is None else clip


def _fused(at: PlacedNode) -> list[StepPlan]:
    """Plan one step for a chain of stages, whichever kernel it takes."""
    layer: Fused = at.layer  # type: ignore[assignment]
    shapes, first = layer.shapes(at.shapes), max(len(layer.stages) - 2, 0)
    sliding = layer.stages[first].layer  # the depthwise stage, or the only one
    window = every_pixel((1, 1))
    if not isinstance(sliding, layers.Dense):
        window = sliding.window([shapes[first]])
    chain = [
        (_packing(stage.layer, shape), _bounds(stage.layer.clip))
        for stage, shape in zip(layer.stages, shapes, strict=False)
    ]
    tile = 0
    if at.winograd and len(chain) == 1 and isinstance(sliding, layers.Conv2D):
        tile = best_tile(window, shapes[0][2], sliding.filters, sliding.groups)
    op, output, fields = convolution_step(window, chain[::-1], tile)
    stages = dict(zip(("", "mid_", "in_"), reversed(layer.stages), strict=False))
    weights = partial(_arrays, stages, at.weights, tile)
    return [at.step(op, output=output, window=window, weights=weights, **fields)]


def _packing(layer: Weighted, shape: Shape) -> Packing:
    """Return how the kernels take the weight of a layer with this input shape."""
    kind = {layers.Dense: "dense", layers.DepthwiseConv2D: "depthwise", layers.Conv2D: "conv2d"}
    groups = layer.groups if isinstance(layer, layers.Conv2D) else 1
    return packing_of(kind[type(layer)], layer.parameters([shape])["weight"], groups)


def _arrays(
    stages: dict[str, Stage], weights: FoldedWeights, tile: int
) -> dict[str, np.ndarray | None]:
    """Return the plain weights of a step: those of its stages, folded."""
    arrays: dict[str, np.ndarray | None] = {}
    for prefix, stage in stages.items():
        weight, bias = weights.folded(stage)
        arrays[f"{prefix}weight"] = transform(weight, tile) if tile else weight
        arrays[f"{prefix}bias"] = bias
    return arrays


def _plain(op: str, **fields: Any) -> Plan:
    """Plan a layer that one kernel runs with a few numbers from its attributes."""

    def plan(at: PlacedNode) -> list[StepPlan]:
        values = {k: v(at.layer) if callable(v) else v for k, v in fields.items()}
        return [at.step(op, **values)]

    return plan


def _activation(mode: str) -> Plan:
    def plan(at: PlacedNode) -> list[StepPlan]:
        layer, code = vars(at.layer), dispatch.kernels.MODES[mode]
        bounds = layer.get("low", -math.inf), layer.get("high", math.inf)
        return [at.step("activation", mode=code, alpha=layer.get("slope", 0.0), bounds=bounds)]

    return plan


def _batch_norm(at: PlacedNode) -> list[StepPlan]:
    def arrays() -> dict[str, np.ndarray]:
        factor, shift = at.weights.norm(at.name, vars(at.layer)["epsilon"])
        return {"weight": factor.astype(np.float32), "bias": shift.astype(np.float32)}

    return [at.step("scale", weights=arrays)]


def _l2(at: PlacedNode) -> list[StepPlan]:
    def arrays() -> dict[str, np.ndarray]:
        return {"weight": at.weights.read(f"{at.name}/scale")}

    return [at.step("l2", weights=arrays, alpha=vars(at.layer)["epsilon"])]


def _mul(at: PlacedNode) -> list[StepPlan]:
    """Plan a product: the map comes first, and a vector is used again for every pixel."""
    (a, b), (first, second) = map(math.prod, at.shapes), at.inputs
    if a < b:
        first, second = second, first
    shape = as_map(at.output_shapes[0])
    return [at.step("mul", shape=shape, x=first, residual=second, mode=int(a != b))]


def _pool(op: str) -> Plan:
    def plan(at: PlacedNode) -> list[StepPlan]:
        layer: layers.AveragePool | layers.MaxPool = at.layer  # type: ignore[assignment]
        mode = int(getattr(layer, "count_padding", False))
        return [at.step(op, window=layer.window(at.shapes), mode=mode)]

    return plan


def _softmax(at: PlacedNode) -> list[StepPlan]:
    shape = at.shapes[0]
    axis = vars(at.layer)["axis"] % len(shape)
    folded = math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])
    return [at.step("softmax", shape=folded, output=folded)]


_PLAN: dict[type[layers.Layer], Plan] = {
    Fused: _fused,
    layers.Add: _plain("add", bounds=lambda layer: _bounds(layer.clip)),
    layers.Mul: _mul,
    layers.BatchNorm: _batch_norm,
    layers.L2Normalize: _l2,
    layers.LocalResponseNorm: _plain(
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
    layers.GlobalAveragePool: _plain("global_average"),
    layers.Resize: _plain("resize", mode=lambda layer: int(layer.mode == "half_pixel")),
    layers.Concat: copies.concat,
    layers.Split: copies.split,
    layers.ChannelShuffle: copies.channel_shuffle,
    layers.SpaceToDepth: copies.space_to_depth,
    layers.Transpose: copies.transpose,
    layers.Slice: copies.slice_axes,
    layers.Broadcast: copies.broadcast,
    layers.Pad: copies.pad,
}
