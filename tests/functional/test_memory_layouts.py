"""The bits of every result depend on the numbers that go in, never on how they lie in memory."""

from __future__ import annotations

from typing import Any

import calls
import memory_layouts
import numpy as np
import pytest
from calls import array, same_bits
from hypothesis import given
from hypothesis import strategies as st
from layer_cases import ALL, graph_of, name_of, random_weights
from memory_layouts import laid_out
from random_graphs import RandomGraph, random_graphs

import dsconv
from dsconv import images, interpreter, reference
from dsconv.functional import __all__ as OPERATIONS

each_layout = pytest.mark.parametrize("layout", memory_layouts.NAMES)
WITHOUT_WEIGHTS = {"add", "batch_norm", "global_average_pool", "softmax"}


def test_these_tests_know_every_operation():
    assert set(OPERATIONS) == set(calls.WITH_WEIGHTS) | WITHOUT_WEIGHTS | {"pack"}


@each_layout
@given(st.data())
def test_operations_with_weights(isa, layout, data):
    call = data.draw(calls.any_of(isa, 10_000))
    y = call()
    moved = {k: a if a is None else laid_out(a, layout) for k, a in call.arrays.items()}
    copies = {k: a if a is None else a.copy() for k, a in moved.items()}
    assert same_bits(call(**moved), y)
    for name, a in moved.items():
        assert a is None or np.array_equal(a, copies[name]), f"{name} was changed"
    groups = call.options.get("groups", 1)
    for name, kind in calls.KINDS[call.operation].items():
        packed = dsconv.pack(moved[name], kind, groups=groups)
        assert same_bits(call(**{name: packed}), y)


@each_layout
@pytest.mark.parametrize("shape", [(2, 3, 5, 13), (3, 12, 14, 9), (1, 1, 7, 40), (5, 1, 1, 1)])
def test_operations_without_weights(isa, layout, shape):
    rng = np.random.default_rng(0)
    x, z, vectors = array(rng, *shape), array(rng, *shape), np.abs(array(rng, 4, shape[-1]))
    u, v, w = (laid_out(a, layout) for a in (x, z, vectors))
    assert same_bits(dsconv.global_average_pool(u), dsconv.global_average_pool(x))
    assert same_bits(dsconv.add(u, v), x + z)
    y = dsconv.batch_norm(x, *vectors, epsilon=0.1)
    assert same_bits(dsconv.batch_norm(u, *w, epsilon=0.1), y)
    for axis in range(-4, 4):
        y = dsconv.softmax(u, axis)
        assert y.flags.c_contiguous and same_bits(y, dsconv.softmax(x, axis))


@pytest.mark.parametrize("length", [1, 2, 5, 8, 33, 129, 1001])
def test_softmax_of_a_line_depends_on_this_line_alone(length):
    x = array(np.random.default_rng(length), 3, length, 4)
    y = dsconv.softmax(x, axis=1)
    for n, c in np.ndindex(3, 4):
        assert same_bits(dsconv.softmax(x[n, :, c]), y[n, :, c])
        assert same_bits(dsconv.softmax(x[n, :, c : c + 1], axis=0)[:, 0], y[n, :, c])


@each_layout
@given(data=st.data())
def test_the_reference(layout, data):
    call = data.draw(calls.any_of(dsconv.kernels.dispatch.kernels, 300))
    moved = {k: a if a is None else laid_out(a, layout) for k, a in call.arrays.items()}
    y, mult_adds = call(reference)
    again, count = call(reference, **moved)
    assert (again.tobytes(), count) == (y.tobytes(), mult_adds)
    x = array(np.random.default_rng(1), 2, 3, 4, 5)
    for operation in (reference.softmax, reference.global_average_pool):
        assert operation(laid_out(x, layout))[0].tobytes() == operation(x)[0].tobytes()


def same_results(results: Any, expected: Any) -> bool:
    pairs = zip(results, expected, strict=True)
    return all(a.shape == b.shape and a.tobytes() == b.tobytes() for a, b in pairs)


@each_layout
@pytest.mark.parametrize("layer, shapes", ALL, ids=name_of)
def test_the_interpreter(layer, shapes, layout):
    random = np.random.default_rng(0)
    graph = graph_of(layer, shapes)
    x = tuple(random.normal(size=(3, *shape)) for shape in shapes)
    weights = {f"layer/{n}": a for n, a in random_weights(layer, shapes, random).items()}
    moved = {name: laid_out(a, layout) for name, a in weights.items()}
    expected = interpreter.interpret(graph, weights, x)
    again = interpreter.interpret(graph, moved, tuple(laid_out(a, layout) for a in x))
    assert same_results(again, expected)


@each_layout
@pytest.mark.parametrize("winograd", [False, True])
@given(case=random_graphs())
def test_compiled_graphs(layout: str, winograd: bool, case: RandomGraph):
    def results(weights: Any, x: Any) -> Any:
        y = case.graph.compile(weights, threads=1, winograd=winograd)(x)
        return y if isinstance(y, tuple) else (y,)

    moved = {name: laid_out(a, layout) if a.ndim else a for name, a in case.weights.items()}
    expected = results(case.weights, case.x)
    assert same_results(results(moved, tuple(laid_out(a, layout) for a in case.x)), expected)


@each_layout
def test_pictures(layout):
    pytest.importorskip("PIL", reason="Pillow is not installed")
    picture = np.random.default_rng(0).integers(0, 256, (41, 37, 3)).astype(np.uint8)
    moved = laid_out(picture, layout)
    assert images.resize(moved, 20).tobytes() == images.resize(picture, 20).tobytes()
    for family in ("tensorflow", "torchvision"):
        expected = images.normalise(picture, family)
        assert same_bits(images.normalise(moved, family), expected)
        expected = images.preprocess(picture, 16, family)
        assert same_bits(images.preprocess(moved, 16, family), expected)
