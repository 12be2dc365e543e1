"""Results keep their bits for any threads, batch, packing and instruction set.

test_memory_layouts.py has the layouts in memory.
"""

from __future__ import annotations

from typing import Any

import calls
import numpy as np
import pytest
from calls import array, same_bits
from hypothesis import given
from hypothesis import strategies as st

import dsconv
from dsconv.kernels import dispatch

BUDGET = 30_000  # multiply-adds of a call


@given(st.data())
def test_any_number_of_threads(isa, data):
    call = data.draw(calls.any_of(isa, BUDGET))
    y = call(threads=1)
    for threads in (2, 3, 5, 8):
        assert same_bits(call(threads=threads), y)


def test_any_number_of_threads_in_passes_over_memory(isa, set_num_threads):
    rng = np.random.default_rng(0)
    x, z = array(rng, 3, 40, 41, 23), array(rng, 3, 40, 41, 23)  # large enough to be shared out
    gamma, beta, mean = (array(rng, 23) for _ in range(3))
    results = []
    for threads in (1, 2, 3, 5, 8):
        set_num_threads(threads)
        y = dsconv.batch_norm(x, gamma, beta, mean, mean**2, epsilon=1e-3)
        results.append((dsconv.global_average_pool(x), dsconv.add(x, z), y))
    for result in results[1:]:
        assert all(same_bits(a, b) for a, b in zip(result, results[0], strict=True))


@given(st.data(), st.integers(1, 5))
def test_an_image_alone_or_in_a_batch(isa, data, count):
    call = data.draw(calls.any_of(isa, BUDGET))
    shape = call.arrays["x"].shape
    image = shape[-1:] if call.operation == "dense" else shape[-3:]
    x = array(np.random.default_rng(count), count, *image)
    y = call(x=x)
    for i in range(count):
        assert same_bits(call(x=x[i]), y[i])
        assert same_bits(call(x=x[i : i + 1]), y[i : i + 1])
    assert same_bits(call(x=x[::-1]), np.ascontiguousarray(y[::-1]))
    assert call(x=x[:0]).shape == (0, *y.shape[1:])


@given(st.data())
def test_an_image_alone_or_in_a_batch_without_weights(isa, data):
    rng, channels = np.random.default_rng(0), data.draw(st.sampled_from(calls.widths(isa)))
    x = array(rng, 3, 5, 4, channels)
    gamma, beta, mean, variance = np.abs(array(rng, 4, channels))
    for operation in (
        dsconv.global_average_pool,
        dsconv.softmax,
        lambda x: dsconv.batch_norm(x, gamma, beta, mean, variance, epsilon=0.1),
        lambda x: dsconv.add(x, x),
    ):
        y = operation(x)
        for i in range(3):
            assert same_bits(operation(x[i]), y[i])


@given(st.data())
def test_packed_weights(isa, data):
    call = data.draw(calls.any_of(isa, BUDGET))
    groups = call.options.get("groups", 1)
    packed = {
        name: dsconv.pack(call.arrays[name], kind, groups=groups)
        for name, kind in calls.KINDS[call.operation].items()
    }
    assert same_bits(call(**packed), call())
    assert same_bits(call(**packed), call())  # nothing is used up
    for name, weight in packed.items():
        assert weight.shape == call.arrays[name].shape


@given(st.data())
def test_out(isa, data):
    call = data.draw(calls.any_of(isa, BUDGET))
    y = call()
    frame = np.full(y.size + 64, np.nan, np.float32)  # what lies around `out` must stay
    out = frame[32:-32].reshape(y.shape)
    assert same_bits(call(out=out, threads=2), y)
    assert same_bits(out, y)
    assert np.isnan(frame[:32]).all() and np.isnan(frame[-32:]).all()


def test_out_may_be_an_input_of_add(isa):
    rng = np.random.default_rng(0)
    x, z = array(rng, 2, 3, 5, 7), array(rng, 2, 3, 5, 7)
    y = dsconv.add(x, z, activation="relu")
    for which in range(3):
        a, b = x.copy(), z.copy()
        out = (a, b, np.full_like(a, np.nan))[which]
        assert same_bits(dsconv.add(a, b, activation="relu", out=out), y)
        assert same_bits(out, y)
    same = x.copy()
    assert same_bits(dsconv.add(same, same, out=same), x + x)
    assert same_bits(dsconv.add(x, same, out=same), x + (x + x))


def test_out_is_what_is_returned(isa):
    x, one = np.ones((2, 3, 3, 1), np.float32), np.ones((1, 1, 1, 1), np.float32)
    assert dsconv.add(x, x, out=(out := np.empty_like(x))) is out
    assert dsconv.conv2d(x, one, out=(out := np.empty_like(x))) is out
    assert dsconv.depthwise_conv2d(x, one, out=(out := np.empty_like(x))) is out
    assert dsconv.pointwise_conv2d(x, one[0, 0], out=(out := np.empty_like(x))) is out
    assert dsconv.separable_conv2d(x, one, one[0, 0], out=(out := np.empty_like(x))) is out
    out = np.full((2, 1), np.nan, np.float32)
    assert dsconv.global_average_pool(x, out=out) is out and out.tolist() == [[1], [1]]
    assert dsconv.dense(x[:, 0, 0], one[0, 0], out=out) is out


def not_aligned(a: np.ndarray) -> np.ndarray:
    """Copy the numbers to an address that is no multiple of four."""
    moved = np.zeros(a.nbytes + 1, np.uint8)[1:].view(np.float32).reshape(a.shape)
    moved[...] = a
    return moved


def test_arrays_that_are_not_aligned(isa):
    rng = np.random.default_rng(0)
    x, weight, bias = array(rng, 4, 5, 3), array(rng, 3, 7), array(rng, 7)
    y = dsconv.pointwise_conv2d(x, weight, bias)
    assert same_bits(dsconv.pointwise_conv2d(x, not_aligned(weight), not_aligned(bias)), y)
    assert same_bits(dsconv.pointwise_conv2d(not_aligned(x), weight, bias), y)
    assert same_bits(dsconv.add(not_aligned(x), x), x + x)
    assert same_bits(dsconv.global_average_pool(not_aligned(x)), dsconv.global_average_pool(x))


@given(st.data())
def test_a_repeated_image_needs_no_copies_of_it(isa, data):
    call = data.draw(calls.conv2d(isa, 10_000))
    x = call.arrays["x"]
    image = x if x.ndim == 3 else x[0]
    y = call(x=np.broadcast_to(image, (3, *image.shape)))
    assert all(same_bits(y[i], call(x=image)) for i in range(3))


def fused() -> list[str]:
    """Instruction sets of this machine with fused multiply-adds."""
    found = []
    for isa in dispatch.available():
        with dispatch.use(isa) as kernels:
            found += [isa] * kernels.has_fma
    return found


@pytest.mark.skipif(len(fused()) < 2, reason=f"{fused()} alone has fused multiply-adds here")
@given(st.data())
def test_every_instruction_set_with_fused_multiply_adds(data):
    names = fused()
    results: list[Any] = []
    with dispatch.use(data.draw(st.sampled_from(names))) as kernels:
        call = data.draw(calls.any_of(kernels, BUDGET))
    rng = np.random.default_rng(0)
    x, vectors = array(rng, 3, 4, 5, 37), np.abs(array(rng, 4, 37))
    for isa in names:
        with dispatch.use(isa):
            y = dsconv.batch_norm(x, *vectors, epsilon=0.1)
            results.append((call(), y, dsconv.global_average_pool(x), dsconv.add(x, y)))
    for result in results[1:]:
        assert all(same_bits(a, b) for a, b in zip(result, results[0], strict=True))
