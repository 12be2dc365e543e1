"""Rewrite a graph: each pass merges producers into their only consumers by one rule.

A rule sees a node, the index of one of its inputs, and the node that makes this input. It returns
the merged layer with its inputs, or None. The merged node has the name of the consumer, so the
names of tensors behind it stay.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from dsconv.compiler.fused import Fused, is_pointwise, wrap
from dsconv.layers import Add, BatchNorm, Clip, Conv2D, Dense, DepthwiseConv2D, Layer
from dsconv.network.structure import Node, Structure

Merged = tuple[Layer, tuple[str, ...]]
Rule = Callable[[Node, Node, int], Merged | None]


def optimise(graph: Structure, rules: Sequence[Rule] | None = None) -> Structure:
    """Wrap the layers with weights, then apply rules in order, each to what the one before made.

    Parameters
    ----------
    graph
        Any complete graph.
    rules
        Default: `RULES`; `LAYERWISE` leaves every convolution a step of its own.
    """
    nodes = _wrapped(graph)
    for rule in RULES if rules is None else rules:
        _merge(nodes, graph.outputs, rule)
    return _rebuild(graph, nodes)


def wrap_weighted(graph: Structure) -> Structure:
    """Turn every convolution and dense layer into a chain of one stage."""
    return _rebuild(graph, _wrapped(graph))


def merge(graph: Structure, rule: Rule) -> Structure:
    """Apply a rule wherever a tensor has one use and is no output of the graph."""
    nodes = dict(graph.nodes)
    _merge(nodes, graph.outputs, rule)
    return _rebuild(graph, nodes)


def fold_batch_norm(producer: Node, node: Node, index: int) -> Merged | None:
    """Fold a batch norm into the convolution before it, as other weights and a bias."""
    layer, norm = producer.layer, node.layer
    if not isinstance(norm, BatchNorm) or not isinstance(layer, Fused):
        return None
    if layer.residual or layer.last.layer.clip is not None or layer.last.norm is not None:
        return None
    last = layer.last._replace(norm=node.name, epsilon=norm.epsilon)
    return Fused((*layer.stages[:-1], last)), producer.inputs


def fuse_clip(producer: Node, node: Node, index: int) -> Merged | None:
    """Clip (ReLU, ReLU6, ...) a result while it is still in registers."""
    layer, clip = producer.layer, node.layer
    if not isinstance(clip, Clip):
        return None
    if isinstance(layer, Fused) and layer.last.layer.clip is None:
        return layer.with_clip((clip.low, clip.high)), producer.inputs
    if isinstance(layer, Add) and layer.clip is None:
        return replace(layer, clip=(clip.low, clip.high)), producer.inputs
    return None


def fuse_addition(producer: Node, node: Node, index: int) -> Merged | None:
    """Add a residual to the result of a convolution while that is still in registers."""
    layer, add = producer.layer, node.layer
    if not isinstance(add, Add) or not isinstance(layer, Fused) or layer.residual:
        return None
    last = layer.last.layer
    if not isinstance(last, Conv2D) or last.clip is not None:
        return None
    if last.groups > 1:  # some of these run on the depthwise kernel, which adds nothing
        return None
    fused = Fused(layer.stages, residual=True).with_clip(add.clip)
    return fused, (*producer.inputs, node.inputs[1 - index])


def fuse_separable(producer: Node, node: Node, index: int) -> Merged | None:
    """Join depthwise and pointwise, so that the map between them is never stored whole."""
    first, second = producer.layer, node.layer
    if index != 0 or not isinstance(first, Fused) or not isinstance(second, Fused):
        return None
    if not isinstance(first.stages[0].layer, DepthwiseConv2D) or len(first.stages) > 1:
        return None
    if len(second.stages) > 1 or not is_pointwise(second.stages[0].layer):
        return None
    fused = Fused(first.stages + second.stages, second.residual)
    return fused, producer.inputs + node.inputs[1:]


def fuse_inverted_residual(producer: Node, node: Node, index: int) -> Merged | None:
    """Join expansion, depthwise and projection into one pass (MobileNetV2, section 5.1)."""
    first, second = producer.layer, node.layer
    if index != 0 or not isinstance(first, Fused) or not isinstance(second, Fused):
        return None
    if len(first.stages) > 1 or first.residual or not is_pointwise(first.stages[0].layer):
        return None
    depthwise = second.stages[0].layer
    if len(second.stages) != 2 or not isinstance(depthwise, DepthwiseConv2D):
        return None
    if depthwise.multiplier != 1:
        return None
    fused = Fused(first.stages + second.stages, second.residual)
    return fused, producer.inputs + node.inputs[1:]


LAYERWISE: tuple[Rule, ...] = (fold_batch_norm, fuse_clip)
RULES: tuple[Rule, ...] = (
    *LAYERWISE,
    fuse_addition,
    fuse_clip,
    fuse_separable,
    fuse_inverted_residual,
)


def _wrapped(graph: Structure) -> dict[str, Node]:
    nodes = {}
    for name, node in graph.nodes.items():
        layer = node.layer
        if isinstance(layer, DepthwiseConv2D) and graph.shape(node.inputs[0])[2] == 1:
            layer = _standard(layer)
        if isinstance(layer, (Conv2D, DepthwiseConv2D, Dense)):
            node = Node(name, wrap(name, layer), node.inputs)
        nodes[name] = node
    return nodes


def _standard(layer: DepthwiseConv2D) -> Conv2D:
    """Return the standard convolution that a depthwise one of a single channel is.

    The kernels take it as one (see packing_of), so it must not become a stage of a block.
    """
    fields = vars(layer).copy()
    return Conv2D(fields.pop("multiplier"), **fields)


def _merge(nodes: dict[str, Node], outputs: Sequence[str], rule: Rule) -> None:
    """Apply a rule to a table of nodes; shapes are inferred later, once for all rules."""
    uses = Counter(tensor for node in nodes.values() for tensor in node.inputs)
    uses.update(outputs)
    for name in list(nodes):
        node = nodes[name]
        for index, tensor in enumerate(node.inputs):
            producer = nodes.get(tensor)
            if producer is None or uses[tensor] != 1:
                continue
            merged = rule(producer, node, index)
            if merged is not None:
                del nodes[producer.name]
                nodes[name] = Node(name, *merged)
                break


def _rebuild(graph: Structure, nodes: dict[str, Node]) -> Structure:
    """Return a graph of these nodes, with the outputs of `graph`."""
    new = Structure(graph.name)
    for node in nodes.values():
        new.add(node.layer, *node.inputs, name=node.name)
    new.output(*graph.outputs)
    return new
