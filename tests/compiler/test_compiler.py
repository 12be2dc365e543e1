"""Compiled graphs: equal to their interpretation, and the same bits however they run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from compiled import assert_bits, assert_compiles, check, mult_adds, outputs, small_graph
from hypothesis import given, settings
from layer_cases import ALL, graph_of, name_of
from layer_cases import random_weights as layer_weights
from random_graphs import RandomGraph, random_graphs, random_inputs

import dsconv
from dsconv.compiler.copies import MOST_COPIES
from dsconv.compiler.passes import optimise
from dsconv.graph import Graph
from dsconv.kernels import dispatch
from dsconv.layers import Add, Layer

EXAMPLES = 4 * settings.default.max_examples  # graphs are small, and there are many of them


# Every layer kind, and random graphs of them


@pytest.mark.parametrize("layer, shapes", ALL, ids=name_of)
def test_one_layer(isa: Any, layer: Layer, shapes: list[tuple[int, ...]]) -> None:
    random = np.random.default_rng(1)
    graph = graph_of(layer, shapes)
    own = layer_weights(layer, shapes, random)
    x = tuple(random.normal(size=(2, *shape)).astype(np.float32) for shape in shapes)
    assert_compiles(graph, {f"layer/{name}": array for name, array in own.items()}, x)


@pytest.mark.parametrize("multiplier", [1, 5])
def test_one_channel_is_no_depthwise_stage(isa: Any, multiplier: int) -> None:
    """Compute a depthwise layer of one channel by a standard step, also before a pointwise one."""
    graph = Graph()
    x = graph.input((9, 11, 1))
    y = graph.depthwise_conv2d(x, multiplier=multiplier, bias=False, name="depthwise")
    block = graph.depthwise_conv2d(x, multiplier=multiplier, bias=False, name="first")
    block = graph.conv2d(block, 7, kernel=1, bias=False, name="second")
    graph.output(y, block)
    random = np.random.default_rng(3)
    weight = random.normal(size=(3, 3, 1, multiplier)).astype(np.float32)
    matrix = random.normal(size=(1, 1, multiplier, 7)).astype(np.float32)
    weights = {"depthwise/weight": weight, "first/weight": weight, "second/weight": matrix}
    image = random.normal(size=(2, 9, 11, 1)).astype(np.float32)
    alone, joined = assert_compiles(graph, weights, (image,))
    assert_bits((alone,), (dsconv.depthwise_conv2d(image, weight),))
    assert_bits((joined,), (dsconv.conv2d(alone, matrix),))
    assert_bits((joined,), (dsconv.separable_conv2d(image, weight, matrix[0, 0]),))


@given(case=random_graphs())
@settings(max_examples=EXAMPLES)
def test_random_graphs(isa: Any, set_num_threads: Any, case: RandomGraph) -> None:
    """Check the bounds, and the bits for any number of threads and for a part of the batch."""
    graph, weights, x = case
    set_num_threads(1)
    results = assert_compiles(graph, weights, x)
    model = graph.compile(weights)
    for threads in (1, 2, 3):
        set_num_threads(threads)
        for part in (slice(3), slice(1, 2), slice(0)):
            y = outputs(model, tuple(array[part] for array in x))
            assert_bits(y, tuple(result[part] for result in results))


@given(case=random_graphs())
@settings(max_examples=EXAMPLES)
def test_instruction_sets_with_fma_give_the_same_bits(case: RandomGraph) -> None:
    if not {"avx2", "avx512"} <= set(dispatch.available()):
        pytest.skip("this machine does not have both avx2 and avx512")
    results = []
    for name in ("avx2", "avx512"):
        with dispatch.use(name):
            results.append(outputs(case.graph.compile(case.weights), case.x))
    assert_bits(*results)


@given(case=random_graphs())
@settings(max_examples=EXAMPLES)
def test_optimisation_keeps_costs_and_outputs(case: RandomGraph) -> None:
    optimised = optimise(case.graph)
    optimised.validate()
    assert optimised.inputs == case.graph.inputs
    assert optimised.outputs == case.graph.outputs
    for tensor in (t for name in optimised.nodes for t in optimised.tensors(name)):
        assert optimised.shape(tensor) == case.graph.shape(tensor)
    assert mult_adds(optimised) == case.graph.cost().mult_adds
    assert optimise(optimised).nodes.keys() == optimised.nodes.keys()


# Corners that random graphs seldom meet


def test_an_input_that_is_an_output() -> None:
    graph, x = small_graph()
    graph.output(x, graph.relu(x), graph.flatten(x))
    check(graph)


def test_views_of_one_tensor_as_outputs() -> None:
    graph, x = small_graph()
    y = graph.conv2d(x, 4, 3)
    graph.output(graph.flatten(y), graph.reshape(y, (-1, 2)), y, graph.relu(y))
    check(graph)


def test_a_view_of_an_output_is_read() -> None:
    graph, x = small_graph()
    y = graph.relu(graph.conv2d(x, 4))
    rows = graph.reshape(y, (7, -1))
    graph.output(y, graph.softmax(rows, axis=0), graph.hard_swish(rows))
    check(graph)


def test_a_tensor_added_to_itself() -> None:
    graph, x = small_graph()
    y = graph.conv2d(x, 6, 3, name="conv")
    y = graph.relu(graph.add(Add(), y, y))
    graph.output(graph.add(Add(), x, x), y, graph.mul(y, y))
    check(graph)


def test_an_input_added_to_both_its_convolutions() -> None:
    graph, x = small_graph()
    y = graph.add(Add(), graph.conv2d(x, 6), graph.conv2d(x, 6, 3))
    graph.output(graph.add(Add(), x, graph.relu6(y)))
    check(graph)


def test_one_part_of_a_split_is_never_read() -> None:
    graph, x = small_graph()
    a, _, c = graph.split(graph.relu(x), (1, 2, 3))
    graph.output(graph.concat(c, a, c))
    check(graph)


def test_a_concatenation_of_very_many() -> None:
    graph, x = small_graph()
    graph.output(graph.concat(*[x] * (MOST_COPIES + 1)))
    with pytest.raises(ValueError, match=r"layer 'concat.*': 16385 parts; at most 16384"):
        graph.compile()


def test_a_gate_may_be_written_before_the_map() -> None:
    graph, x = small_graph()
    gate = graph.sigmoid(graph.global_average_pool(graph.relu(x)))
    first = graph.mul(gate, graph.leaky_relu(x))
    pixel = graph.global_average_pool(first, keep_dims=True)
    graph.output(first, graph.mul(gate, pixel), graph.mul(pixel, gate))
    check(graph)


@pytest.mark.parametrize("channels", [1, 17, 31, 32, 33, 64, 100, 127, 128, 129, 260])
@pytest.mark.parametrize("residual", [False, True])
def test_one_pixel(isa: Any, set_num_threads: Any, channels: int, residual: bool) -> None:
    """Share several panels among threads; an image alone has the bits that it has in a batch."""
    graph = Graph()
    x = graph.input((1, 1, 19))
    y = graph.conv2d(x, channels, name="one")
    if residual:
        y = graph.clip(graph.add(Add(), graph.conv2d(y, channels, name="two"), y), -0.5, 1.5)
    graph.output(y)
    weights, (batch,) = graph.init_weights(3), random_inputs(graph, 3)
    (expected,) = assert_compiles(graph, weights, (batch,))
    model = graph.compile(weights)
    for threads in (1, 2, 3):
        set_num_threads(threads)
        for i in range(3):
            assert_bits(model(batch[i]), expected[i])


@pytest.mark.parametrize("padding", [((9, 0), (1, 1)), ((0, 9), (1, 1)), ((30, 30), (30, 30))])
def test_inverted_residuals_in_the_padding(isa: Any, set_num_threads: Any, padding: Any) -> None:
    graph = Graph()
    x = graph.conv2d(graph.input((4, 4, 8)), 24, name="expand")
    x = graph.depthwise_conv2d(x, 3, padding=padding, name="depthwise")
    graph.output(graph.conv2d(x, 8, name="project"))
    for threads in (1, 2, 7):
        set_num_threads(threads)
        check(graph)


@pytest.mark.parametrize(
    "kernel, stride, dilation, padding",
    [
        (3, 1, 1, "same"),
        (3, 2, 1, "same"),
        (5, 1, 1, "same"),
        (3, 1, 2, "same"),
        (3, 1, 20, "same"),
        (2, 1, 1, "valid"),
        (3, 1, 1, ((30, 2), (1, 1))),
        (3, 2, 3, ((2, 30), (3, 3))),
    ],
)
def test_inverted_residuals_in_groups_of_rows(
    isa: Any, set_num_threads: Any, kernel: int, stride: int, dilation: int, padding: Any
) -> None:
    """Check maps whose expanded rows do not all fit into the middle buffer."""
    graph = Graph()
    x = graph.input((9, 21, 5))
    y = graph.clip(graph.conv2d(x, 600, name="expand"), 0, 6)
    y = graph.depthwise_conv2d(
        y, kernel, stride=stride, dilation=dilation, padding=padding, name="depthwise"
    )
    y = graph.conv2d(y, 5, name="project")
    graph.output(graph.add(Add(), y, x) if graph.shape(y) == graph.shape(x) else y)
    assert len(optimise(graph).nodes) == 2  # the input, and all three stages in one step
    for threads in (1, 2, 3):
        set_num_threads(threads)
        check(graph)


@pytest.mark.parametrize("kernel, channels", [(1, 9000), (3, 950), (3, 3000)])
@pytest.mark.parametrize("filters", [70, 9])
def test_long_sums_take_several_passes(
    isa: Any, set_num_threads: Any, kernel: int, channels: int, filters: int
) -> None:
    """Check that pixels of a map have the bits that each has alone, where one pass is enough."""
    weights = {}
    results = []
    random = np.random.default_rng(5)
    picture = random.normal(size=(6, 5, channels)).astype(np.float32)
    for height, width in ((6, 5), (kernel, kernel)):
        graph = Graph()
        x = graph.input((height, width, channels))
        y = graph.conv2d(x, filters, kernel, padding="valid", name="long")
        second = graph.input(graph.shape(y), name="second")
        graph.output(graph.clip(graph.add(Add(), y, second), -40.0, 60.0))
        weights = weights or graph.init_weights(2)
        results.append(graph.compile(weights))
    large, small = results
    added = random.normal(size=large.inputs["second"]).astype(np.float32)
    for threads in (1, 2, 3):
        set_num_threads(threads)
        y = large((picture, added))
        for i, j in ((0, 0), (6 - kernel, 5 - kernel), (2, 1)):
            patch = np.ascontiguousarray(picture[i : i + kernel, j : j + kernel])
            one = small((patch, added[i : i + 1, j : j + 1].copy()))
            assert_bits(one[0, 0], y[i, j])


@pytest.mark.parametrize("permutation", [(3, 0, 4, 2, 1), (1, 5, 3, 0, 4, 2)])
def test_transpose_of_many_axes(permutation: tuple[int, ...]) -> None:
    graph = Graph()
    x = graph.input((2, 3, 2, 2, 4, 3)[: len(permutation)])
    graph.output(graph.transpose(x, permutation))
    check(graph)


def test_the_same_graph_without_any_layer() -> None:
    graph = Graph()
    graph.output(graph.input((3,)))
    check(graph)


def test_default_weights_are_those_of_seed_0() -> None:
    graph, x = small_graph()
    graph.output(graph.conv2d(x, 3))
    picture = np.ones((1, 5, 7, 6), np.float32)
    assert_bits(
        outputs(graph.compile(), (picture,)),
        outputs(graph.compile(graph.init_weights(0)), (picture,)),
    )


def test_a_graph_that_is_not_complete_is_refused() -> None:
    graph, x = small_graph()
    with pytest.raises(ValueError, match="has no outputs"):
        graph.compile()
    graph.output(graph.relu(x, name="used"))
    graph.relu(x, name="unused")
    with pytest.raises(ValueError, match="no output .* depends on 'unused'"):
        graph.compile()


@pytest.mark.parametrize(("threads", "error"), [(0, ValueError), (1.5, TypeError)])
def test_bad_threads(threads: Any, error: type[Exception]) -> None:
    graph, x = small_graph()
    graph.output(graph.relu(x))
    with pytest.raises(error, match="threads must be"):
        graph.compile(threads=threads)


def test_a_softmax_over_millions():
    graph = Graph()
    graph.output(graph.softmax(graph.input((1, 2_000_000, 1)), axis=1))
    y = graph.compile({})(np.zeros((1, 1, 2_000_000, 1), np.float32))
    assert (y == np.float32(1 / 2_000_000)).all()
