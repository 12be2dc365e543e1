"""The memory plan: whatever is still needed is never overwritten, and sharing never costs memory."""

from __future__ import annotations

import math
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_graphs import RandomGraph, random_graphs

from dsconv import models
from dsconv.compiler.passes import optimise
from dsconv.compiler.places import ALIGNMENT, Buffer, Places, plan, unshared
from dsconv.graph import Graph
from dsconv.layers import Flatten, Input, Reshape

EXAMPLES = 4 * settings.default.max_examples
CACHE_LINE = 64  # bytes


@st.composite
def buffers(draw) -> list[Buffer]:
    found = []
    for _ in range(draw(st.integers(0, 12))):
        first = draw(st.integers(0, 15))
        last = first + draw(st.integers(0, 6))
        found.append(Buffer(draw(st.sampled_from([1, 15, 16, 17, 48, 100, 1000])), first, last))
    return found


def alive_together(a: Buffer, b: Buffer) -> bool:
    return max(a.first, b.first) <= min(a.last, b.last)


@given(buffers())
@settings(max_examples=EXAMPLES)
def test_buffers_alive_together_do_not_overlap(found: list[Buffer]) -> None:
    arena = plan(found)
    assert all(0 <= b.offset and b.offset + b.size <= arena for b in found)
    for a, b in combinations(found, 2):
        if alive_together(a, b):
            assert a.offset + a.size <= b.offset or b.offset + b.size <= a.offset


@given(buffers())
@settings(max_examples=EXAMPLES)
def test_arena_size(found: list[Buffer]) -> None:
    """Check for at least what is alive at once, and at most all buffers side by side."""
    arena = plan(found)
    alive = (sum(b.size for b in found if b.first <= step <= b.last) for step in range(22))
    assert max(alive) <= arena <= unshared(found)
    assert arena % ALIGNMENT == 0


@given(buffers())
@settings(max_examples=EXAMPLES)
def test_buffers_begin_at_cache_lines(found: list[Buffer]) -> None:
    plan(found)
    assert ALIGNMENT * 4 == CACHE_LINE
    assert all(b.offset % ALIGNMENT == 0 for b in found)


def test_a_chain_takes_its_two_largest_neighbours() -> None:
    """Plan 16, 64, 32, 48 one after the other: 64 + 32, and the rest fits beside."""
    chain = [Buffer(size, i, i + 1) for i, size in enumerate((16, 64, 32, 48))]
    assert plan(chain) == 96
    assert unshared(chain) == 160


def test_no_buffers() -> None:
    assert plan([]) == unshared([]) == 0


# The layout of graphs

Span = tuple[int, int, int]  # slot, first float, end

ELEMENTWISE = {
    "add", "mul", "batch_norm", "clip", "leaky_relu", "hard_swish", "hard_sigmoid", "sigmoid"
}  # fmt: skip


def roots(graph: Graph) -> dict[str, str]:
    """Return the tensor whose numbers each tensor shows: itself, unless it is a view."""
    found: dict[str, str] = {}
    for name, node in graph.nodes.items():
        for tensor in graph.tensors(name):
            view = isinstance(node.layer, (Reshape, Flatten))
            found[tensor] = found[node.inputs[0]] if view else tensor
    return found


class Memory:
    """The last writer of each float."""

    def __init__(self, graph: Graph, layout: Places) -> None:
        self.root, self.layout = roots(graph), layout
        self.size = {t: math.prod(graph.shape(t)) for t in self.root}
        arrays = (*graph.inputs, *graph.outputs)  # the slots from 1 on
        self.slot_size = [layout.arena, *(self.size[t] for t in arrays)]
        self.held: dict[Span, str] = {}

    def span(self, tensor: str) -> Span:
        slot, offset = self.layout.place(tensor)
        end = offset + self.size[tensor]
        assert 0 <= offset and end <= self.slot_size[slot], f"{tensor} is larger than its place"
        assert offset % ALIGNMENT == 0
        return slot, offset, end

    def write(self, span: Span, tensor: str) -> None:
        self.held = {s: t for s, t in self.held.items() if not overlap(s, span)}
        self.held[span] = self.root[tensor]

    def read(self, tensor: str) -> Span:
        span = self.span(tensor)
        assert self.held.get(span) == self.root[tensor], f"{tensor} is lost before it is read"
        return span


def overlap(a: Span, b: Span) -> bool:
    return a[0] == b[0] and a[1] < b[2] and b[1] < a[2]


def assert_nothing_is_lost(graph: Graph) -> Places:
    """Run a graph's reads and writes on its layout: each input of each layer is still its own."""
    layout = Places(graph)
    memory = Memory(graph, layout)
    for name in graph.inputs:
        memory.write(memory.span(name), name)
    for name, node in graph.nodes.items():
        if isinstance(node.layer, (Input, Reshape, Flatten)):
            continue
        read = [memory.read(tensor) for tensor in node.inputs]
        for tensor in graph.tensors(name):
            written = memory.span(tensor)
            for span in read:  # what is written while it is read changes number by number
                if overlap(span, written):
                    assert span == written and node.layer.kind in ELEMENTWISE
            memory.write(written, tensor)
    for source, output in layout.copies:
        memory.read(source)
        slot, offset = layout.output_place(output)
        memory.write((slot, offset, offset + memory.size[output]), source)
    for slot, name in enumerate(graph.outputs, start=1 + len(graph.inputs)):
        assert memory.held.get((slot, 0, memory.size[name])) == memory.root[name], name
    return layout


def in_arena(graph: Graph, layout: Places) -> list[str]:
    """Return the tensors with memory of their own in the arena."""
    return [t for t, root in roots(graph).items() if t == root and layout.place(t)[0] == 0]


@given(random_graphs(blocks=6))
@settings(max_examples=EXAMPLES)
def test_random_graphs(case: RandomGraph) -> None:
    for graph in (case.graph, optimise(case.graph)):
        layout = assert_nothing_is_lost(graph)
        sizes = [math.prod(graph.shape(tensor)) for tensor in in_arena(graph, layout)]
        assert layout.unshared == sum(-(-size // ALIGNMENT) * ALIGNMENT for size in sizes)
        assert max(sizes, default=0) <= layout.arena <= layout.unshared


@pytest.mark.parametrize("name", models.names())
def test_networks(name: str) -> None:
    """Check that the passes leave fewer tensors to keep."""
    graph = models.get(name)
    layout = assert_nothing_is_lost(optimise(graph))
    assert 0 < layout.arena <= layout.unshared
    assert layout.unshared <= Places(graph).unshared


def test_arena_bytes_of_a_model() -> None:
    """Plan relu(x) and its pooled self: 5 * 7 * 6 floats, rounded up to 224, output apart."""
    graph = Graph()
    x = graph.sigmoid(graph.leaky_relu(graph.input((5, 7, 6))))
    graph.output(graph.max_pool(x))
    assert graph.compile().arena_bytes == (2 * 4 * 224, 4 * 224)


def test_a_product_does_not_take_the_place_of_a_smaller_factor() -> None:
    graph = Graph()
    x = graph.relu(graph.input((5, 7, 6)))
    gate = graph.sigmoid(graph.global_average_pool(x))
    graph.output(graph.softmax(graph.mul(gate, x)), graph.sigmoid(x))
    assert_nothing_is_lost(graph)


def test_a_layer_named_like_the_copy_of_an_output() -> None:
    """Check that the names of the compiler's own buffers are free for the graph's layers."""
    graph = Graph()
    x = graph.input((5, 7, 6))
    y = graph.conv2d(x, 16, 3, name=f"{x}/copy")
    graph.output(x, graph.conv2d(y, 2, 3))
    assert_nothing_is_lost(graph)
