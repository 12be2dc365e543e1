"""Lower an optimised graph: plan memory, plan a step or more for each layer, pack the weights.

    graph -> places of its tensors -> plans of steps, layer by layer -> packed weights -> program

`lower` is the story; behind it is one function for each layer kind, found in `_PLAN`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from dsconv import layers
from dsconv.compiler import copies
from dsconv.compiler.fused import Fused, Stage
from dsconv.compiler.node import PlacedNode, as_map
from dsconv.compiler.places import VIEWS, Places
from dsconv.compiler.weights import FoldedWeights
from dsconv.kernels import dispatch
from dsconv.kernels.named_program import Features, LayerLine, NamedProgram
from dsconv.kernels.plans import StepPlan, copy_plan, pack_steps
from dsconv.kernels.steps import UNBOUNDED, conv2d_op
from dsconv.kernels.winograd import best_tile, transform
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
        lines.append(LayerLine(output, "copy", 0, 0, 1))
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
    return LayerLine(name, layer.label, layer.mult_adds(shapes), parameters, steps)


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
    chain, last = layer.shapes(at.shapes), layer.last.layer
    stages = dict(zip(("", "mid_", "in_"), reversed(layer.stages), strict=False))
    fields: dict[str, Any] = {"bounds": _bounds(last.clip)}
    tile = 0
    if len(stages) == 1 and isinstance(last, layers.Dense):
        op = "pointwise"
    elif len(stages) == 1 and isinstance(last, layers.DepthwiseConv2D):
        op = "depthwise"
        fields |= {"window": last.window(chain[:1]), "multiplier": last.multiplier}
    elif len(stages) == 1:
        assert isinstance(last, layers.Conv2D)
        window, channels = last.window(chain[:1]), chain[0][2]
        tile = best_tile(window, channels, last.filters, last.groups) if at.winograd else 0
        op, numbers = conv2d_op(window, channels, last.filters, last.groups, tile)
        fields |= {"window": window, **numbers}
    else:
        depthwise = stages["mid_"].layer
        assert isinstance(depthwise, layers.DepthwiseConv2D)
        low, high = _bounds(depthwise.clip)
        fields |= {"window": depthwise.window([chain[-3]]), "mid_low": low, "mid_high": high}
        op = "separable"
        fields["multiplier"] = depthwise.multiplier
        if "in_" in stages:
            op = "inverted_residual"
            low, high = _bounds(stages["in_"].layer.clip)
            fields |= {"hidden": chain[1][2], "in_low": low, "in_high": high}
    return [at.step(op, weights=partial(_arrays, stages, at.weights, tile), **fields)]


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
