"""Give every tensor of a graph a place: an array of the call, or a part of the arena.

A place is (array, offset): array 0 is the arena, then come the graph's inputs and its outputs.
Tensors of the arena whose lifetimes do not meet share memory.
"""

from __future__ import annotations

import math

from dsconv.kernels.named_program import Place
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

ALIGNMENT = 16  # floats: a cache line


class Places:
    """The places of all tensors of a graph.

    Attributes
    ----------
    arena : int
        Floats of the arena for one image.
    unshared : int
        Floats of the arena for one image if no two tensors shared memory.
    copies : list of (source, output) tensor names
        Outputs that are views of an input or of another output, so they are copied at the end.
    """

    def __init__(self, graph: Structure) -> None:
        self._graph = graph
        self._origin: dict[str, str] = {}  # tensor -> the tensor whose memory it is
        self._arrays: dict[str, int] = {}
        self._copy_arrays: dict[str, int] = {}
        self._buffers: dict[str, Buffer] = {}
        self.copies: list[tuple[str, str]] = []
        for array, name in enumerate(graph.inputs, start=1):
            self._arrays[name] = array
        for array, name in enumerate(graph.outputs, start=1 + len(graph.inputs)):
            origin = self._root(name)
            if origin in self._arrays:
                self.copies.append((origin, name))
                self._copy_arrays[name] = array
            else:
                self._arrays[origin] = array
        self._make_buffers()
        buffers = list({id(buffer): buffer for buffer in self._buffers.values()}.values())
        self.arena = plan(buffers)
        self.unshared = unshared(
            [
                Buffer(self.size(name), 0, 0)
                for node in graph.nodes.values()
                for name in graph.tensors(node.name)
                if self._root(name) == name and name not in self._arrays
            ]
        )

    def size(self, tensor: str) -> int:
        """Return the floats of a tensor for one image."""
        return math.prod(self._graph.shape(tensor))

    def place(self, tensor: str) -> Place:
        """Return array and offset of a tensor."""
        origin = self._root(tensor)
        if origin in self._arrays:
            return self._arrays[origin], 0
        return 0, self._buffers[origin].offset

    def output_place(self, name: str) -> Place:
        """Return the place where the caller finds an output of `copies`."""
        return self._copy_arrays[name], 0

    def _root(self, tensor: str) -> str:
        """Follow views back to the tensor whose memory they share."""
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
                if name in self._arrays:
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
        """Return the buffer of the first input if the layer may write into it, else None.

        It may if no later layer reads that input.
        """
        if not isinstance(layer, IN_PLACE):
            return None
        origin = self._root(inputs[0])
        buffer = self._buffers.get(origin)
        if buffer is None or buffer.last > index or last_use[origin] > index:
            return None
        return buffer if buffer.size == self.size(name) else None


class Buffer:
    """Memory of one or more tensors, from the step that first writes it to its last reader."""

    __slots__ = ("first", "last", "offset", "size")

    def __init__(self, size: int, first: int, last: int) -> None:
        self.size = size  # floats for each image
        self.first = first  # index of the step that writes it
        self.last = last  # index of the last step that reads it
        self.offset = 0  # in floats for each image, set by `plan`


def plan(buffers: list[Buffer]) -> int:
    """Give every buffer an offset, and return the floats of the arena.

    Largest first, each at the lowest place where it meets no buffer alive at the same time
    (greedy by size; Pisarchyk and Lee, arXiv 2001.03288).
    """
    placed: list[Buffer] = []
    for buffer in sorted(buffers, key=lambda b: -b.size):
        offset = 0
        neighbours = [b for b in placed if b.first <= buffer.last and buffer.first <= b.last]
        for other in sorted(neighbours, key=lambda b: b.offset):
            if offset + buffer.size <= other.offset:
                break
            offset = max(offset, aligned(other.offset + other.size))
        buffer.offset = offset
        placed.append(buffer)
    return max((aligned(b.offset + b.size) for b in buffers), default=0)


def unshared(buffers: list[Buffer]) -> int:
    """Return the floats of the arena if no two buffers shared memory."""
    return sum(aligned(buffer.size) for buffer in buffers)


def aligned(floats: int) -> int:
    """Round `floats` up to whole cache lines."""
    return -(-floats // ALIGNMENT) * ALIGNMENT
