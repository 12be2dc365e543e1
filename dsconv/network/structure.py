"""Describe a network: layers joined by the names of tensors, with their shapes.

Nodes stand in an order in which they can run. A tensor bears the name of the node that makes it,
or "node:i" for output i of a node with several outputs. Shapes are those of one example, because
the batch size is left open.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from dsconv.layers import Input, Layer, Shape

LARGEST = 2**31 - 1  # values in one tensor: a 32-bit index reaches no more


class Node(NamedTuple):
    """Hold a layer, its name and the names of its input tensors."""

    name: str
    layer: Layer
    inputs: tuple[str, ...]


class Structure:
    """Hold the nodes of a directed acyclic graph of layers, and the shapes of its tensors.

    `dsconv.Graph` is this class with a method for each kind of layer, and with all that one does
    with a complete network.

    Parameters
    ----------
    name
        The network's name, for summaries and files.

    Attributes
    ----------
    nodes : dict of str to Node
        The nodes by name, in an order in which they can run.
    outputs : tuple of str
        Names of the output tensors.
    """

    def __init__(self, name: str = "graph") -> None:
        if not isinstance(name, str) or not name or not name.isprintable():
            raise ValueError(f"the graph's name must be a printable string, got {name!r}")
        self.name = name
        self.nodes: dict[str, Node] = {}
        self.outputs: tuple[str, ...] = ()
        self._shapes: dict[str, Shape] = {}  # by tensor
        self._tensors: dict[str, tuple[str, ...]] = {}  # outputs by node
        self._numbers: dict[str, int] = {}  # by kind: no number below it is free

    @property
    def inputs(self) -> tuple[str, ...]:
        """Return the names of the input tensors, in the order in which they were added."""
        return tuple(node.name for node in self.nodes.values() if isinstance(node.layer, Input))

    def add(self, layer: Layer, *inputs: str, name: str | None = None) -> Any:
        """Add a layer behind the tensors `inputs`.

        Parameters
        ----------
        layer
            The layer with its attributes.
        inputs
            Names of existing tensors, in the layer's order.
        name
            Unique, without ":"; by default the kind and the first free number, e.g. "conv2d_1".

        Returns
        -------
        str or tuple of str
            The name of the output tensor; for a layer with several outputs (`Split`) all names.

        Raises
        ------
        ValueError
            If the name is taken, an input is unknown or the shapes do not fit; names the layer.
        """
        if not isinstance(layer, Layer):
            raise TypeError(f"layer must be a layer of dsconv.layers, got {layer!r}")
        return self._add(lambda: layer, inputs, name, kind=layer.kind)

    def _add(
        self,
        make: Callable[..., Layer],
        inputs: tuple[str, ...],
        name: str | None,
        *,
        kind: str | None = None,
        **attributes: Any,
    ) -> Any:
        name = self._new_name(name, kind or str(getattr(make, "kind", "layer")))
        try:
            layer = make(**attributes)
            shapes = [self.shape(tensor) for tensor in inputs]
            outputs = layer.infer(shapes)
            for what, shape in [("output", s) for s in outputs] + [
                (f"parameter {p!r}", s) for p, s in layer.parameters(shapes).items()
            ]:
                if math.prod(shape) > LARGEST:
                    raise ValueError(f"the {what} {shape} has more than {LARGEST} values")
        except (TypeError, ValueError) as error:
            raise type(error)(f"layer {name!r}: {error}") from None
        tensors = (
            (name,) if len(outputs) == 1 else tuple(f"{name}:{i}" for i in range(len(outputs)))
        )
        self.nodes[name] = Node(name, layer, tuple(inputs))
        self._tensors[name] = tensors
        self._shapes.update(zip(tensors, outputs, strict=True))
        return tensors[0] if len(tensors) == 1 else tensors

    def _new_name(self, name: str | None, kind: str) -> str:
        if name is None:
            number = self._numbers.get(kind, 1)
            while f"{kind}_{number}" in self.nodes:
                number += 1
            self._numbers[kind] = number
            return f"{kind}_{number}"
        if not isinstance(name, str) or not name or not name.isprintable() or ":" in name:
            raise ValueError(f'layer names must be printable strings without ":", got {name!r}')
        if name in self.nodes:
            raise ValueError(f"layer {name!r}: the name is taken already")
        return name

    def output(self, *tensors: str) -> None:
        """Make these tensors the outputs of the graph, in this order (replaces earlier ones)."""
        if not tensors:
            raise ValueError("output takes at least one tensor, got none")
        for tensor in tensors:
            self.shape(tensor)
        if len(set(tensors)) < len(tensors):
            raise ValueError(f"an output is named twice: {tensors}")
        self.outputs = tensors

    def shape(self, tensor: str) -> Shape:
        """Return the shape of a tensor for one example: (H, W, C) or (C,)."""
        try:
            return self._shapes[tensor]
        except (KeyError, TypeError):
            raise ValueError(f"there is no tensor {tensor!r} in the graph {self.name!r}") from None

    def tensors(self, node: str) -> tuple[str, ...]:
        """Return the names of a node's output tensors."""
        return self._tensors[node]

    def input_shapes(self, node: str) -> list[Shape]:
        """Return the shapes of a node's inputs, as the methods of its layer take them."""
        return [self._shapes[tensor] for tensor in self.nodes[node].inputs]

    def parameters(self) -> dict[str, Shape]:
        """Return the shape of every parameter by its name "layer/parameter", in layer order."""
        return {
            f"{name}/{parameter}": shape
            for name, node in self.nodes.items()
            for parameter, shape in node.layer.parameters(self.input_shapes(name)).items()
        }

    def validate(self) -> None:
        """Check that the graph has outputs, no cycle, and no node that leads to no output.

        Raises
        ------
        ValueError
            If one of these is not so; names the nodes.
        """
        if not self.outputs:
            raise ValueError(f"the graph {self.name!r} has no outputs")
        order = run_order({name: node.inputs for name, node in self.nodes.items()})
        needed = {tensor.partition(":")[0] for tensor in self.outputs}
        for name in reversed(order):
            if name in needed:
                needed.update(tensor.partition(":")[0] for tensor in self.nodes[name].inputs)
        unused = [name for name in self.nodes if name not in needed]
        if unused:
            raise ValueError(f"no output of the graph {self.name!r} depends on {_some(unused)}")


def run_order(inputs: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Order nodes so that each comes after its inputs; where the order given will do, keep it.

    Parameters
    ----------
    inputs
        Names of a node's input tensors, by the node's name. "node:i" is output i of a node.

    Returns
    -------
    list of str
        Names of the nodes.

    Raises
    ------
    ValueError
        If an input is missing, or the nodes form a cycle; names them.
    """
    order: dict[str, None] = {}
    for root in inputs:
        path = {root: iter(inputs[root])} if root not in order else {}
        while path:
            name = next(reversed(path))
            for tensor in path[name]:
                source = tensor.partition(":")[0]
                if source not in inputs:
                    raise ValueError(f"layer {name!r}: there is no tensor {tensor!r}")
                if source in path:
                    members = list(path)
                    raise ValueError(f"cycle through {_some(members[members.index(source) :])}")
                if source not in order:
                    path[source] = iter(inputs[source])
                    break
            else:
                del path[name]
                order[name] = None
    return list(order)


def _some(names: list[str]) -> str:
    """Return the first few names for an error message."""
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(map(repr, names[:5])) + more
