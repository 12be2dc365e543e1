"""Layout: where each tensor of a graph lives - in an array of the call, or in the arena.

A place is (slot, offset): slot 0 is the arena, then come the graph's inputs and its outputs.
"""

from __future__ import annotations

import math

from dsconv.compiler.memory import Buffer, plan, unshared
from dsconv.layers import (
    Add,
    BatchNorm,
    Clip,
    Flatten,
    HardSigmoid,
    HardSwish,
    Input,
    LeakyReLU,
    Mul,
    Reshape,
    Sigmoid,
)
from dsconv.network.structure import Structure

VIEWS = (Reshape, Flatten)  # the same numbers under another shape
IN_PLACE = (Add, BatchNorm, Clip, HardSigmoid, HardSwish, LeakyReLU, Mul, Sigmoid)

Place = tuple[int, int]


class Layout:
    """Places of all tensors.

    Attributes
    ----------
    arena : int
        Floats of the arena for each image.
    unshared : int
        The same if no two tensors shared memory.
    copies : list of (source, output) tensor names
        Outputs that are views of an input or of another output, and need a copy at the end.
    """

    def __init__(self, graph: Structure) -> None:
        self._graph = graph
        self._origin: dict[str, str] = {}  # tensor -> the tensor whose memory it is
        self._slots: dict[str, int] = {}
        self._copy_slots: dict[str, int] = {}
        self._buffers: dict[str, Buffer] = {}
        self.copies: list[tuple[str, str]] = []
        for slot, name in enumerate(graph.inputs, start=1):
            self._slots[name] = slot
        for slot, name in enumerate(graph.outputs, start=1 + len(graph.inputs)):
            origin = self._root(name)
            if origin in self._slots:
                self.copies.append((origin, name))
                self._copy_slots[name] = slot
            else:
                self._slots[origin] = slot
        self._make_buffers()
        buffers = list({id(buffer): buffer for buffer in self._buffers.values()}.values())
        self.arena = plan(buffers)
        self.unshared = unshared(
            [
                Buffer(self.size(name), 0, 0)
                for node in graph.nodes.values()
                for name in graph.tensors(node.name)
                if self._root(name) == name and name not in self._slots
            ]
        )

    def size(self, tensor: str) -> int:
        """Floats of a tensor for each image."""
        return math.prod(self._graph.shape(tensor))

    def place(self, tensor: str) -> Place:
        """Slot and offset of a tensor."""
        origin = self._root(tensor)
        if origin in self._slots:
            return self._slots[origin], 0
        return 0, self._buffers[origin].offset

    def output_place(self, name: str) -> Place:
        """Where the caller finds an output of `copies`."""
        return self._copy_slots[name], 0

    def _root(self, tensor: str) -> str:
        """Follow views back to the tensor that was computed."""
        while tensor not in self._origin:
            node = self._graph.nodes[tensor.partition(":")[0]]
            if not isinstance(node.layer, VIEWS):
                self._origin[tensor] = tensor
                break
            tensor = node.inputs[0]
        return self._origin[tensor]

    def _make_buffers(self) -> None:
        graph = self._graph
        last_use: dict[str, int] = {}
        for index, node in enumerate(graph.nodes.values()):
            for tensor in node.inputs:
                last_use[self._root(tensor)] = index
        end = len(graph.nodes)
        for tensor in graph.outputs:
            last_use[self._root(tensor)] = end
        for index, node in enumerate(graph.nodes.values()):
            if isinstance(node.layer, (Input, *VIEWS)):
                continue
            for name in graph.tensors(node.name):
                if name in self._slots:
                    continue
                last = max(index, last_use.get(name, index))
                shared = self._overwritten(node.layer, node.inputs, name, index, last_use)
                if shared is None:
                    self._buffers[name] = Buffer(self.size(name), index, last)
                else:
                    shared.last = max(shared.last, last)
                    self._buffers[name] = shared

    def _overwritten(
        self,
        layer: object,
        inputs: tuple[str, ...],
        name: str,
        index: int,
        last_use: dict[str, int],
    ) -> Buffer | None:
        """The buffer that an elementwise layer may write into: its first input, used last here."""
        if not isinstance(layer, IN_PLACE):
            return None
        origin = self._root(inputs[0])
        buffer = self._buffers.get(origin)
        if buffer is None or buffer.last > index or last_use[origin] > index:
            return None
        return buffer if buffer.size == self.size(name) else None
